#!/usr/bin/env bats
# What each path of a connection costs in system calls; ARCHITECTURE.md, "What a connection costs".

load helpers

LOAD=$BUILD/bench/load
SERVER=$BUILD/bench/server

is_traced() { # PID
    [[ $(awk '/^TracerPid/ { print $2 }' "/proc/$1/status") != 0 ]]
}

# count_calls FILE PID...: counts what these processes do from now on. Its pid is $COUNTER.
count_calls() {
    local file=$1 pid
    shift
    local targets=()
    for pid in "$@"; do targets+=(-p "$pid"); done
    strace -qq -f -c -U name,calls -o "$file" "${targets[@]}" 3>&- 2>/dev/null &
    COUNTER=$!
    for pid in "$@"; do wait_until is_traced "$pid"; done
}

stop_counting() {
    kill -INT "$COUNTER"
    wait "$COUNTER" || true
}

calls() { # FILE NAME
    awk -v name="$2" '$1 == name { print $2; found = 1 } END { if (!found) print 0 }' "$1"
}

at_most() { # WHAT COUNT LIMIT
    echo "$1: $2, at most $3"
    (($2 <= $3))
}

answers() { # COUNT CLIENTS MIX
    "$LOAD" -n "$1" -c "$2" -m "$3" -d 60 -t 30000 "$ADDR" >"$TMP/load"
    [[ $(jq .outcomes.right "$TMP/load") == "$1" ]]
}

workers() {
    status_of '.workers[].pid'
}

is_queued() { # COUNT
    [[ $(ss -Htln "sport = :$PORT" | awk '{ print $2 }') == "$1" ]]
}

# A worker that the tracer or the machine holds up keeps what it was sent: what is taken back from it, the others ask for.
SATURATED=(--accept-timeout 10000 -w 2)

# queue_answers COUNT FILE PID...: so many clients are in the queue before the pool goes on, and what these processes call
# from then on is counted: however late the clients get a processor, the pool is saturated. How long it took is $TOOK_MS.
queue_answers() {
    local load begin all
    mapfile -t all < <(workers)
    all+=("$BROKER")
    kill -STOP "${all[@]}"
    "$LOAD" -n "$1" -c "$1" -m l1 -d 60 -t 60000 "$ADDR" >"$TMP/load" 3>&- 8>&- &
    load=$!
    wait_until is_queued "$1"
    count_calls "${@:2}"
    begin=${EPOCHREALTIME/./}
    kill -CONT "${all[@]}"
    wait "$load"
    TOOK_MS=$(((${EPOCHREALTIME/./} - begin) / 1000))
    stop_counting
    [[ $(jq .outcomes.right "$TMP/load") == "$1" ]]
}

# What it calls for each connection, and how often it wakes: by its timers, every few milliseconds.
broker_sleeps() {
    local name
    queue_answers 400 "$TMP/broker" "$BROKER"
    for name in accept4 sendmsg recvmsg; do at_most "broker's $name" "$(calls "$TMP/broker" $name)" 60; done
    at_most "broker's epoll_wait in $TOOK_MS ms" "$(calls "$TMP/broker" epoll_wait)" $((60 + TOOK_MS / 2))
}

@test "an idle worker: the broker spends accept4, sendmsg and close, the worker one recvmsg" {
    start_broker -w 2 -- "$SERVER" blocking "$ADDR"
    answers 20 1 f1
    count_calls "$TMP/broker" "$BROKER"
    answers 200 1 f1
    stop_counting
    at_most "broker's accept4" "$(calls "$TMP/broker" accept4)" 204
    at_most "broker's sendmsg" "$(calls "$TMP/broker" sendmsg)" 204
    at_most "broker's close" "$(calls "$TMP/broker" close)" 204
    at_most "broker's epoll_ctl" "$(calls "$TMP/broker" epoll_ctl)" 10
    # shellcheck disable=SC2046
    count_calls "$TMP/workers" $(workers)
    answers 200 1 f1
    stop_counting
    # a worker that the tracer holds up may take one from the backlog instead: one call either way
    at_most "workers' recvmsg and accept4" \
        $(($(calls "$TMP/workers" recvmsg) + $(calls "$TMP/workers" accept4))) 220
    at_most "workers' fcntl" "$(calls "$TMP/workers" fcntl)" 0
    at_most "workers' sendmsg" "$(calls "$TMP/workers" sendmsg)" 10
}

@test "a saturated pool that blocks in accept: one accept4, and the broker sleeps" {
    start_broker "${SATURATED[@]}" -- "$SERVER" blocking "$ADDR"
    answers 40 32 l1
    # shellcheck disable=SC2046
    queue_answers 400 "$TMP/workers" $(workers)
    at_most "workers' accept4" "$(calls "$TMP/workers" accept4)" 480
    at_most "workers' recvmsg" "$(calls "$TMP/workers" recvmsg)" 80
    broker_sleeps
}

@test "a saturated pool with --handoff broker: connections that have not waited for long are not asked for their clients" {
    start_broker -w 2 --handoff broker -- "$SERVER" blocking "$ADDR"
    answers 40 4 f1
    count_calls "$TMP/broker" "$BROKER"
    answers 400 4 f1
    stop_counting
    at_most "broker's poll" "$(calls "$TMP/broker" poll)" 80
}

@test "a saturated event loop: no datagram to the broker, no offer" {
    start_broker "${SATURATED[@]}" -- "$SERVER" epoll-one "$ADDR"
    answers 40 32 l1
    # shellcheck disable=SC2046
    queue_answers 400 "$TMP/workers" $(workers)
    at_most "workers' sendmsg" "$(calls "$TMP/workers" sendmsg)" 80
    at_most "workers' accept4" "$(calls "$TMP/workers" accept4)" 480
    at_most "workers' recvmsg" "$(calls "$TMP/workers" recvmsg)" 160
}

# saturated_loop MODE CALL...: one call that waits and one accept4 a connection; the broker sleeps.
saturated_loop() {
    start_broker "${SATURATED[@]}" -- "$SERVER" "$1" "$ADDR"
    answers 40 32 l1
    # shellcheck disable=SC2046
    queue_answers 400 "$TMP/workers" $(workers)
    at_most "workers' sendmsg" "$(calls "$TMP/workers" sendmsg)" 60
    at_most "workers' accept4" "$(calls "$TMP/workers" accept4)" 480
    at_most "workers' recvmsg" "$(calls "$TMP/workers" recvmsg)" 60
    local name waits=0
    for name in "${@:2}"; do waits=$((waits + $(calls "$TMP/workers" "$name"))); done
    at_most "workers' waits" "$waits" 520
    at_most "connections without a wait" $((400 - waits)) 0
    broker_sleeps
}

@test "a saturated loop over poll: one poll and one accept4, and the broker sleeps" {
    saturated_loop poll-sync poll
}

@test "a saturated loop over select: one select and one accept4, and the broker sleeps" {
    saturated_loop select-sync select pselect6
}

@test "a start asks only for the signals that the broker has changed, and for no names of descriptors" {
    start_broker -w 1 -- "$SERVER" blocking "$ADDR"
    count_calls "$TMP/broker" "$BROKER" # and what it forks
    "$SSHIM" scale 2 --control "$CONTROL"
    wait_until status_is '[.workers[] | select(.state == "ready")] | length == 2'
    stop_counting
    at_most "rt_sigaction" "$(calls "$TMP/broker" rt_sigaction)" 20
    at_most "readlink" $(($(calls "$TMP/broker" readlink) + $(calls "$TMP/broker" readlinkat))) 0
    stop_broker
}
