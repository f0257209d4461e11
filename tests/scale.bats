# More and fewer workers: the highest slots come last and go first, nobody is refused, and the number outlives the broker.
load helpers

scale() { # ARGUMENTS; leaves $status and $output
    run timeout 90 "$SSHIM" scale "$@" --control "$CONTROL" 3>&-
    echo "$output"
}

slots() { # of the workers, "0 1 2"
    status_of '[.workers[].slot] | sort | map(tostring) | join(" ")'
}

@test "scale up starts the next slots and answers when they are ready" {
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    local first
    first=$(worker_pid 0)
    scale 3
    [[ $status == 0 && $output == "3 of 3 workers are ready, 2 more" ]]
    [[ $(slots) == "0 1 2" && $(worker_pid 0) == "$first" ]]
    status_is '.wanted == 3 and .ready == 3 and .state == "ready"'
    all_answer 3
    scale +1
    [[ $status == 0 && $(slots) == "0 1 2 3" ]]
    stop_broker
    [[ $STATUS == 0 ]]
}

@test "scale down ends the highest slots after their last connection, and answers then" {
    start_broker -w 3 --balance first -- "$VICTIM" accept --until "$TMP/go" "$ADDR"
    local last
    last=$(worker_pid 2)
    exec 5<>"/dev/tcp/$HOST/$PORT" 6<>"/dev/tcp/$HOST/$PORT" 7<>"/dev/tcp/$HOST/$PORT"
    wait_until status_is '[.workers[].active] == [1, 1, 1]'
    { wait_until status_is '.wanted == 1' && touch "$TMP/go"; } 3>&- &
    scale 1
    [[ $status == 0 && $output == "1 of 1 workers are ready, 2 fewer; connections that were cut: 0" ]]
    is_gone "$last"
    local fd answer
    for fd in 5 6 7; do
        read -r answer <&$fd
        [[ $answer == *slot=* ]]
    done
    exec 5<&- 6<&- 7<&-
    [[ $(slots) == 0 ]]
    all_answer 1
    scale -0
    [[ $status == 0 && $output == "there are as many workers already" ]]
    stop_broker
}

@test "scale says how many connections were cut at the end of --stop-timeout, and with --no-wait answers before" {
    start_broker -w 2 --stop-timeout 1 --balance roundrobin -- "$VICTIM" accept --delay 60000 "$ADDR"
    exec 6<>"/dev/tcp/$HOST/$PORT" 7<>"/dev/tcp/$HOST/$PORT"
    wait_until status_is '[.workers[].active] == [1, 1]'
    scale 1
    [[ $status == 0 && $output == *"connections that were cut: 1" ]]
    scale 2
    exec 5<>"/dev/tcp/$HOST/$PORT"
    wait_until status_is '.workers[1].active == 1'
    scale -1 --no-wait
    [[ $status == 0 && $output == "1 of 1 workers are ready, 1 fewer that drain" ]]
    status_is '[.workers[] | select(.state == "draining")] | length == 1'
    exec 5<&- 6<&- 7<&-
    stop_broker
}

@test "a number that cannot be is exit 2, and nothing changes" {
    local bad
    start_broker -w 2 -- "$VICTIM" accept "$ADDR"
    for bad in 0 -2 -9 4097 +4095 x + -x 1.5 0x2 99999999999999999999; do
        scale "$bad"
        [[ $status == 2 ]]
        [[ ${#lines[@]} == 1 ]]
    done
    scale
    [[ $status == 2 && $output == *"needs a number"* ]]
    scale 2 3
    [[ $status == 2 && $output == *"'3'"* ]]
    status_is '.wanted == 2'
    stop_broker
}

@test "servers that joined are moved aside, and cannot be scaled by themselves" {
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    start_other env LD_PRELOAD="$LIB" SSHIM_BROKER="$CONTROL" "$VICTIM" accept "$ADDR"
    local joined=$OTHER
    wait_until workers_ready 2
    scale 3
    [[ $status == 0 && $output == "3 of 3 workers are ready, 2 more" ]]
    [[ $(worker_pid 3) == "$joined" ]]
    ANSWER_BY=pid all_answer 4
    scale 1
    [[ $status == 0 && $(worker_pid 3) == "$joined" ]]
    ANSWER_BY=pid all_answer 2
    stop_broker
    start_broker -w 0
    scale 2
    [[ $status == 1 && $output == *"has no command"* ]]
    stop_broker
}

@test "new copies that keep ending are told, exit 1, and scaled back" {
    # shellcheck disable=SC2016
    start_broker -w 1 -- sh -c '[ "$SSHIM_WORKER_ID" = 0 ] || exit 3; exec "$0" accept "$1"' "$VICTIM" "$ADDR"
    scale 2
    [[ $status == 1 && $output == "sshim: 1 of 2 workers are ready; new ones that keep ending: 1; see the log, or scale back to 1" ]]
    status_is '.wanted == 2 and .state == "degraded"'
    scale 1
    [[ $status == 0 ]]
    status_is '.wanted == 1 and .state == "ready"'
    stop_broker
}

@test "the number outlives a crash of the broker and an upgrade, and gives way to another -w" {
    start_broker -w 2 -- "$VICTIM" accept "$ADDR"
    scale 3
    "$SSHIM" upgrade --control "$CONTROL"
    wait_until log_has "going on with 3 workers after an upgrade"
    status_is '.wanted == 3 and .ready == 3'
    kill -KILL "$BROKER"
    wait_until log_has "going on with 3 workers after a crash of the broker"
    status_is '.wanted == 3 and .ready == 3'
    wait_for_broker
    start_broker -w 2 -- "$VICTIM" accept "$ADDR"
    status_is '.wanted == 3 and .ready == 3'
    kill -KILL "$BROKER"
    wait_for_broker
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    status_is '.wanted == 1 and .ready == 1'
    stop_broker
}

# ask COMMAND ARGUMENTS: in the background; $ASKER is its pid, $TMP/answer what it says.
ask() {
    timeout 90 "$SSHIM" "$@" --control "$CONTROL" >"$TMP/answer" 2>&1 3>&- &
    ASKER=$!
}

# kill_broker: another one goes on.
kill_broker() {
    local broker
    broker=$(status_of .pid)
    kill -KILL "$broker"
    wait_until status_is ".pid != $broker"
}

is_answered() { # TEXT
    wait "$ASKER"
    cat "$TMP/answer"
    [[ $(<"$TMP/answer") == "$1" ]]
}

@test "whoever asked for more workers is answered when they are ready, though the broker is killed meanwhile, twice" {
    # shellcheck disable=SC2016
    start_broker -w 1 -- sh -c 'until [ -z "$(ls "$2"/slow 2>&-)" ]; do sleep 0.05; done; exec "$0" accept "$1"' "$VICTIM" "$ADDR" "$TMP"
    touch "$TMP/slow"
    ask scale +2
    wait_until status_is '.wanted == 3'
    kill_broker
    wait_for_broker
    kill_broker
    rm "$TMP/slow"
    is_answered "3 of 3 workers are ready, 2 more"
    touch "$TMP/slow"
    ask scale 4
    wait_until status_is '.wanted == 4'
    "$SSHIM" upgrade --control "$CONTROL"
    rm "$TMP/slow"
    is_answered "4 of 4 workers are ready, 1 more"
    "$SSHIM" stop --control "$CONTROL"
}

@test "whoever asked for fewer workers, or for a drain, is answered when the last connection ended, though the broker is killed meanwhile" {
    start_broker -w 2 --balance roundrobin -- "$VICTIM" accept --until "$TMP/go" "$ADDR"
    exec 6<>"/dev/tcp/$HOST/$PORT" 7<>"/dev/tcp/$HOST/$PORT"
    wait_until status_is '[.workers[].active] == [1, 1]'
    ask scale -1
    wait_until status_is '.wanted == 1'
    kill_broker
    wait_for_broker
    touch "$TMP/go"
    is_answered "1 of 1 workers are ready, 1 fewer; connections that were cut: 0"
    rm "$TMP/go"
    exec 5<>"/dev/tcp/$HOST/$PORT"
    wait_until status_is '[.workers[].active] == [1]'
    ask drain 0
    wait_until status_is '.drained == 1'
    kill_broker
    touch "$TMP/go"
    is_answered $'slot 0 is drained\nno worker takes connections now: they wait in the queue'
    exec 5<&- 6<&- 7<&-
    "$SSHIM" stop --control "$CONTROL"
}

@test "scaling up and down again and again under load refuses nobody" {
    local round client clients=()
    start_broker -w 2 -- "$VICTIM" accept "$ADDR"
    for client in 1 2 3 4; do
        timeout 120 "$PROBE" -n 2000 "$ADDR" >"$TMP/answers.$client" 2>&1 3>&- &
        clients+=($!)
    done
    for ((round = 0; round < 10; round++)); do
        scale 4
        [[ $status == 0 ]]
        scale 1
        [[ $status == 0 ]]
    done
    for client in "${clients[@]}"; do
        wait "$client"
    done
    stop_broker
}
