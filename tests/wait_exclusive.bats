#!/usr/bin/env bats
# Event loops that the kernel wakes past the broker while connections come fast (shim/take/wait_exclusive.h): it costs the
# broker nothing, and what a worker was woken for is not lost with it.

load helpers

LOAD=$BUILD/bench/load
SERVER=$BUILD/bench/server

# Clients that ask one after the other in the background for SECONDS; their counts come to $TMP/load.
ask_for() { # SECONDS
    "$LOAD" -c 1 -d "$1" -t 30000 "$ADDR" >"$TMP/load" 3>&- 8>&- &
    ASKER=$!
}

count() { # NAME
    jq ".outcomes.$1" "$TMP/load"
}

direct() {
    status_of '.listeners[0].direct'
}

# The worker that has taken the most, which is the first exclusive waiter.
favourite() {
    status_of '.workers | max_by(.accepted).pid'
}

# 500 more were taken past the broker than a moment ago.
has_exclusive_waiter() {
    local before
    before=$(direct)
    sleep 0.3
    (($(direct) > before + 150))
}

wakes_of_broker() {
    awk '/^voluntary/ { print $2 }' "/proc/$BROKER/status"
}

# In half a second: fewer wake-ups of the broker than a tenth of what was answered.
is_broker_asleep() {
    local wakes taken
    wakes=$(wakes_of_broker) taken=$(direct)
    sleep 0.5
    echo "wake-ups: $(($(wakes_of_broker) - wakes)), taken directly: $(($(direct) - taken))"
    (($(wakes_of_broker) - wakes < ($(direct) - taken) / 5))
}

@test "where connections come fast and workers are idle, the broker is not woken for them" {
    start_broker -w 4 -- "$SERVER" epoll-one "$ADDR"
    ask_for 60
    wait_until has_exclusive_waiter
    wait_until is_broker_asleep
    kill "$ASKER"
    wait "$ASKER"
    [[ $(count lost)$(count refused)$(count reset)$(count timed_out)$(count wrong) == 00000 ]]
}

@test "once they come slowly the broker spreads them again" {
    start_broker -w 4 -- "$SERVER" epoll-all "$ADDR"
    ask_for 60
    wait_until has_exclusive_waiter
    kill "$ASKER"
    wait "$ASKER"
    start_other "$LOAD" -r 40 -d 2 "$ADDR"
    wait_until is_gone "$OTHER"
    local workers
    workers=$(jq '.workers | length' "$TMP/out.other")
    echo "served by $workers of 4"
    ((workers == 4))
}

@test "a worker that is stopped in an exclusive wait keeps no client waiting" {
    start_broker -w 4 -- "$SERVER" epoll-one "$ADDR"
    ask_for 60
    for _ in 1 2 3; do
        wait_until has_exclusive_waiter
        local pid
        pid=$(favourite)
        kill -STOP "$pid"
        sleep 0.2 # others serve meanwhile
        kill -CONT "$pid"
    done
    kill "$ASKER"
    wait "$ASKER"
    [[ $(count lost)$(count refused)$(count reset)$(count timed_out)$(count wrong) == 00000 ]]
}

@test "a worker that is killed in an exclusive wait loses only what it serves" {
    start_broker -w 4 -- "$SERVER" epoll-one "$ADDR"
    ask_for 60
    for _ in 1 2 3; do
        wait_until has_exclusive_waiter
        kill -KILL "$(favourite)"
    done
    wait_until has_exclusive_waiter
    kill "$ASKER"
    wait "$ASKER"
    [[ $(count refused)$(count timed_out)$(count wrong) == 000 ]]
    (($(count lost) + $(count reset) <= 3))
}
