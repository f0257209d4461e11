# A server may wait for connections in any way: every copy serves, with the right peer address.
load helpers

# Three copies of the victim; 30 connections one after the other; at the end nothing is left.
serves_in_all_copies() { # MODE [OPTIONS]
    start_broker -w 3 -- "$VICTIM" "$@" "$ADDR"
    all_answer 3
    stop_broker
    [[ $STATUS == 0 ]]
}

@test "a server that blocks in accept" {
    serves_in_all_copies accept
}

@test "a server that accepts first and expects EAGAIN" {
    serves_in_all_copies accept-first
}

@test "a server that waits in select" {
    serves_in_all_copies select
}

@test "a server that waits in poll" {
    serves_in_all_copies poll
}

@test "a server that waits in ppoll" {
    serves_in_all_copies ppoll
}

@test "a server that waits in epoll, level-triggered" {
    serves_in_all_copies epoll
}

@test "a server that waits in epoll, edge-triggered" {
    serves_in_all_copies epoll-edge
}

@test "a server that waits in epoll, one-shot" {
    serves_in_all_copies epoll-oneshot
}

# Asks on and on beside the test, until $TMP/enough is there.
ask_beside() { # NUMBER
    local enough=$TMP/enough
    local TMP=$TMP/beside.$1
    mkdir "$TMP"
    until [[ -e $enough ]]; do probe 10 "$ADDR"; done
}

@test "a server that waits in epoll, exclusive" {
    start_broker -w 3 -- "$VICTIM" epoll-exclusive "$ADDR"
    # Where copies share one open socket the kernel chooses: a client alone may see one copy only, as natively.
    local askers=()
    if [[ ${VICTIM_OPTIONS:-} == *direct* ]]; then
        for number in 1 2 3 4 5 6 7; do
            ask_beside "$number" 3>&- 8>&- &
            askers+=($!)
        done
    fi
    all_answer 3
    touch "$TMP/enough"
    for asker in "${askers[@]}"; do wait "$asker"; done
    stop_broker
    [[ $STATUS == 0 ]]
}

@test "a server that accepts in another thread than the one that polls" {
    serves_in_all_copies poll-apart
}

@test "a server whose threads all block in accept" {
    serves_in_all_copies threads
}

@test "a server with a thread per connection" {
    serves_in_all_copies thread-per
}

@test "a server that forks per connection" {
    serves_in_all_copies fork-per
}

@test "a server that forks and executes a program per connection, inetd style" {
    serves_in_all_copies exec-per
}

@test "a server that forks its own workers before the first connection" {
    serves_in_all_copies prefork
}

@test "a server that goes into the background after listen" {
    serves_in_all_copies accept --background
}

@test "a saturated pool answers every connection, whatever way it waits" {
    local mode pid
    for mode in accept accept-first select epoll epoll-edge threads; do
        start_broker -w 2 -- "$VICTIM" "$mode" --delay 5 "$ADDR"
        local clients=()
        for _ in 1 2 3 4 5 6; do
            timeout 60 "$PROBE" -n 20 "$ADDR" >>"$TMP/answers.$mode" 3>&- &
            clients+=($!)
        done
        for pid in "${clients[@]}"; do wait "$pid"; done
        [[ $(grep -c ' ok$' "$TMP/answers.$mode") == 120 ]]
        [[ $(grep -o 'slot=[0-9]*' "$TMP/answers.$mode" | sort -u | wc -l) == 2 ]]
        status_is '.listeners[0].connections == 120'
        stop_broker
    done
}

@test "every listener of one epoll fd takes past the broker, not only the last" {
    local other addr pid index
    other=$HOST:$("$PROBE" --free-port)
    start_broker -w 2 -- "$VICTIM" epoll --delay 2 "$ADDR" "$other"
    for addr in "$ADDR" "$other"; do
        local clients=()
        for _ in 1 2 3 4 5 6; do
            timeout 60 "$PROBE" -n 50 "$addr" >>"$TMP/answers" 3>&- &
            clients+=($!)
        done
        for pid in "${clients[@]}"; do wait "$pid"; done
    done
    [[ $(grep -c ' ok$' "$TMP/answers") == 600 ]]
    for index in 0 1; do
        echo "listener $index: $(status_of ".listeners[$index].direct") of $(status_of ".listeners[$index].connections")"
        (($(status_of ".listeners[$index].direct") > 50))
    done
    stop_broker
}
