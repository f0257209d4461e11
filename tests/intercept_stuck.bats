# Which workers are stuck where nothing of them is seen but what the kernel says of their threads and sockets.
load helpers
load go

STATIC=$BUILD/tests/unloaded/victim
MOODS=(--intercept seccomp --stuck-kill 2 -- python3 "$ROOT/tests/progs/moods.py")

# One open connection to each of N copies: FD_OF[pid].
declare -A FD_OF
reach_each() { # N
    local line fd
    FD_OF=()
    while ((${#FD_OF[@]} < $1)); do
        exec {fd}<>"/dev/tcp/$HOST/$PORT"
        read -r -t 20 line <&"$fd"
        [[ $line == pid=* ]]
        if [[ -n ${FD_OF[${line#pid=}]:-} ]]; then
            exec {fd}>&-
        else
            FD_OF[${line#pid=}]=$fd
        fi
    done
}

was_killed() { # PID
    log_has "(pid $1) has been stuck for" && log_has "killing it"
}

@test "a copy that hangs in a call while its client has more to say is killed; others that seem still are not" {
    start_broker -w 5 "${MOODS[@]}" "$HOST" "$PORT"
    reach_each 5
    local pids pid
    pids=("${!FD_OF[@]}")
    printf p..... >&"${FD_OF[${pids[0]}]}" # waits for events, and reads no more of this client
    printf c..... >&"${FD_OF[${pids[1]}]}" # computes
    printf h >&"${FD_OF[${pids[2]}]}"      # hangs, and nobody wants anything of it
    printf n..... >&"${FD_OF[${pids[3]}]}" # never waits for events, but runs
    printf h..... >&"${FD_OF[${pids[4]}]}"
    wait_until was_killed "${pids[4]}"
    wait_until workers_ready 5
    sleep 3 # and none of the others
    for pid in "${pids[@]:0:4}"; do
        status_is "[.workers[].pid] | index($pid) != null"
    done
    [[ $(grep -c 'has been stuck' "$TMP/log") == 1 ]]
    status_is '[.workers[].ends.stuck] | add == 1'
    stop_broker
}

@test "a copy that is stopped while it has a client is killed and replaced; what the other has open is unharmed" {
    start_broker -w 2 "${MOODS[@]}" "$HOST" "$PORT"
    reach_each 2
    local pids
    pids=("${!FD_OF[@]}")
    kill -STOP "${pids[0]}"
    wait_until was_killed "${pids[0]}"
    wait_until workers_ready 2
    printf x >&"${FD_OF[${pids[1]}]}"
    local rest
    read -r -t 20 rest <&"${FD_OF[${pids[1]}]}" || [[ -z $rest && $? == 1 ]] # its end, in order
    status_is "[.workers[].pid] | index(${pids[1]}) != null"
    stop_broker
}

@test "behind sudo it is the copy that is looked at and killed, not what waits for it" {
    needs_root
    start_broker -w 2 --intercept seccomp --stuck-kill 2 -- sudo python3 "$ROOT/tests/progs/moods.py" "$HOST" "$PORT"
    reach_each 2
    local pids
    pids=("${!FD_OF[@]}")
    printf h..... >&"${FD_OF[${pids[0]}]}"
    wait_until is_gone "${pids[0]}"
    wait_until workers_ready 2
    [[ $(grep -c 'has been stuck' "$TMP/log") == 1 ]]
    [[ -e /proc/${pids[1]} ]]
    stop_broker
}

@test "clients in the queue while every copy hangs: one is replaced, and answers" {
    start_broker -w 2 --stuck-kill 2 -- "$STATIC" accept "$ADDR"
    local pids
    pids=$(status_of '.workers[].pid')
    # shellcheck disable=SC2086 # a list
    kill -STOP $pids
    wait_until status_is '[.workers[].state] == ["stuck", "stuck"]'
    "$PROBE" -n 1 "$ADDR"
    grep -q 'has been stuck for .*killing it' "$TMP/log"
    # shellcheck disable=SC2086 # one of them is gone
    kill -CONT $pids || true
    wait_until workers_ready 2
    stop_broker
}

# Asks once more on an open connection: the pid of the copy that answers, or nothing.
ask_on() { # FD
    local line
    printf 'GET / HTTP/1.1\r\nHost: x\r\n\r\n' >&"$1"
    while read -r -t 20 line <&"$1"; do
        [[ ! $line =~ ^[0-9]+$ ]] || { echo "$line"; return; }
    done
}

@test "a Go server under load: the copy that is stopped is replaced, requests to the others go on" {
    graceful_go
    start_broker -w 2 --stuck-kill 2 -- "$TMP/server" "$ADDR"
    local one other pid=
    exec {one}<>"/dev/tcp/$HOST/$PORT"
    pid=$(ask_on "$one")
    until exec {other}<>"/dev/tcp/$HOST/$PORT" && [[ $(ask_on "$other") != "$pid" ]]; do
        exec {other}>&-
    done
    while [[ ! -e $TMP/enough ]]; do
        curl -s -m 20 "http://$ADDR/" || echo failed
    done >"$TMP/heard" &
    local load=$!
    kill -STOP "$pid"
    [[ -z $(ask_on "$one") ]]
    wait_until was_killed "$pid"
    [[ $(ask_on "$other") != "$pid" ]]
    wait_until workers_ready 2
    touch "$TMP/enough"
    wait "$load"
    sort "$TMP/heard" | uniq -c
    [[ $(grep -c failed "$TMP/heard") -le 1 ]] # what it had accepted when it was stopped
    stop_broker
}

looks_at_workers() {
    timeout 1.5 strace -qq -f -e trace=openat -o "$TMP/calls" -p "$BROKER" || true
    grep -q "/proc/$(worker_pid 0)/syscall" "$TMP/calls"
}

@test "without --stuck-kill nothing is looked at; a reload begins and ends it, and an upgrade goes on with it" {
    printf '%s\n' 'workers = 1' 'intercept = seccomp' >"$TMP/conf"
    start_broker --config "$TMP/conf" -- "$VICTIM" accept "$ADDR"
    run looks_at_workers
    ((status == 1))
    echo 'stuck-kill = 1' >>"$TMP/conf"
    "$SSHIM" restart --control "$CONTROL" 3>&-
    wait_until looks_at_workers
    "$SSHIM" upgrade --control "$CONTROL"
    wait_until looks_at_workers
    sed -i 's/^stuck-kill.*/stuck-kill = 0/' "$TMP/conf"
    "$SSHIM" restart --control "$CONTROL" 3>&-
    run looks_at_workers
    ((status == 1))
    stop_broker
}
