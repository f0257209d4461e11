# What `sshim status` tells is complete and its numbers agree.
# shellcheck disable=SC2030,SC2031 # each test is a subshell
load helpers

# hold COUNT [ADDRESS]: that many connections stay open; end_hold closes them.
hold() {
    : >"$TMP/out.hold"
    "$PROBE" -n "$1" --hold "${2:-$ADDR}" 3>&- 8>&- >"$TMP/out.hold" 2>&1 </dev/null &
    STARTED+=($!)
    HOLDERS+=($!)
    wait_until grep -qx held "$TMP/out.hold"
}

end_hold() {
    kill -KILL "${HOLDERS[@]}"
    HOLDERS=()
}

# When nothing is under way: an offer that was taken back was accepted and handed over once more, and what the
# workers accepted is what came in.
sums_agree() {
    status_of '{workers: [.workers[].accepted], listeners: .listeners}'
    status_is '(.listeners | map(.accepted == .handed + .direct
            and .handed == .taken + .recalled + .lost + .untaken
            and .connections == .taken + .direct) | all)
        and ([.workers[].accepted] | add) == ([.listeners[].connections] | add)'
}

@test "the JSON document has exactly the fields of the manual" {
    start_broker -w 2 --name web -- "$VICTIM" accept "$ADDR"
    probe 4
    status_is '(keys == ["conn_log_dropped", "drained", "joined", "last_restart", "listeners", "log_dropped", "longest_turn_ms", "name", "pid", "ready", "schema_version", "serving", "state", "uptime_s",
            "wanted", "workers"])
        and (.workers | map(keys == ["accepted", "active", "ends", "pid", "restarts", "slot", "state", "uptime_s", "via"]) | all)
        and (.listeners | map(keys == ["accepted", "address", "asked", "backlog", "connections", "dead", "denied", "direct", "full", "handed", "handover_waits", "held", "held_complete", "hold_evicted",
            "hold_shut", "hold_timeouts", "hung_up", "leader", "limited", "lost", "name", "proxy_rejected", "queued", "recalled", "shut_downs", "taken", "untaken", "waited_ms"]) | all)
        and .serving and .last_restart == "none"'
    status_is '(.listeners | length) == 1 and (.workers | length) == 2 and .name == "web" and .state == "ready"'
    status_is ".pid == $BROKER and .listeners[0].address == \"$ADDR\""
    status_is ".listeners[0].backlog == $(cat /proc/sys/net/core/somaxconn) and .listeners[0].queued == 0"
    local slot
    for slot in 0 1; do
        [[ $(tr '\0' ' ' <"/proc/$(worker_pid $slot)/cmdline") == "$VICTIM accept $ADDR " ]]
    done
    stop_broker
}

@test "the table can be read by a person" {
    start_broker -w 2 --name web -- "$VICTIM" accept "$ADDR"
    probe 4
    run "$SSHIM" status --control "$CONTROL"
    [[ $status == 0 ]]
    [[ $output == *"web (pid $BROKER) is ready: 2 of 2 workers are ready"* ]]
    [[ $output == *"LISTENER"*"BACKLOG"*"QUEUED"*"ACCEPTED"* ]]
    [[ $(wc -L <<<"$output") -le 80 ]] # of a terminal
    [[ $output == *"$ADDR"* ]]
    [[ $output == *"SLOT"*"PID"*"STATE"*"RESTARTS"*"UPTIME"* ]]
    local slot
    for slot in 0 1; do
        grep -Eq "^ +$slot +$(worker_pid $slot) +(ready|busy) +[0-9]+ +[0-9]+ +0 " <<<"$output"
    done
    stop_broker
}

@test "every connection is counted once, in each way of hand-off" {
    local mode
    for mode in auto broker direct; do
        start_broker -w 3 --handoff "$mode" -- "$VICTIM" accept --delay 2 "$ADDR"
        local clients=() pid
        for _ in 1 2 3 4 5 6 7 8; do
            timeout 60 "$PROBE" -n 25 "$ADDR" >/dev/null 3>&- &
            clients+=($!)
        done
        for pid in "${clients[@]}"; do wait "$pid"; done
        wait_until status_is '.listeners[0].connections == 200'
        sums_agree
        status_is '.listeners[0].queued == 0 and ([.workers[].accepted] | min > 0)'
        case $mode in
        broker) status_is '.listeners[0].direct == 0' ;;
        direct) status_is '.listeners[0].handed == 0' ;;
        esac
        wait_until status_is '[.workers[].active] | add == 0'
        stop_broker
    done
}

@test "open connections are counted where they are, and evenly given" {
    # nothing is recalled from a worker that a loaded machine gives no turn
    start_broker -w 4 --accept-timeout 10000 -- "$VICTIM" epoll --hold "$ADDR"
    for _ in {1..12}; do
        # A worker that has not come back to its wait is passed over, so let all come back.
        wait_until status_is '[.workers[].state] | unique == ["ready"]'
        hold 1
    done
    wait_until status_is '[.workers[].active] == [3, 3, 3, 3]'
    end_hold
    wait_until status_is '[.workers[].active] | add == 0'
    status_is '[.workers[].accepted] == [3, 3, 3, 3]'
    sums_agree
    stop_broker
}

@test "offers that were taken back are counted, and the sums still agree" {
    start_broker -w 2 --handoff broker -- "$VICTIM" accept "$ADDR"
    local pid
    pid=$(worker_pid 0)
    for _ in 1 2 3 4 5 6; do
        # Stopped by a signal the broker learns late: it may have offered meanwhile, and the worker taken it.
        kill -STOP "$pid"
        { sleep 1; kill -CONT "$pid"; } 3>&- &
        probe 3
        wait $!
        probe 3
    done
    wait_until status_is '[.workers[].accepted] | add == 36'
    sums_agree
    stop_broker
}

@test "the counts of a worker that ended are kept" {
    start_broker -w 2 -- "$VICTIM" accept "$ADDR"
    probe 10
    kill -KILL "$(worker_pid 0)"
    wait_until status_is '.workers[0].restarts == 1 and .workers[0].state == "ready"'
    probe 10
    status_is '[.workers[].accepted] | add == 20'
    status_is '.listeners[0].connections == 20'
    stop_broker
}

@test "states: starting, ready, busy, stuck, backoff" {
    cat >"$TMP/server" <<END
#!/bin/sh
case \$SSHIM_WORKER_ID in
1) sleep 1000 ;;
2) exit 1 ;;
*) exec "$VICTIM" accept --delay 60000 "$ADDR" ;;
esac
END
    chmod +x "$TMP/server"
    launch_broker -w 4 --stop-timeout 1 -- "$TMP/server"
    wait_until status_is '[.workers[].state] == ["ready", "starting", "backoff", "ready"]'
    start_other "$PROBE" "$ADDR"
    wait_until status_is '[.workers[].state] | sort == ["backoff", "busy", "ready", "starting"]'
    kill -STOP "$(worker_pid 3)"
    wait_until status_is '.workers[3].state == "stuck"'
    stop_broker
}

@test "connections that wait are shown as queued" {
    start_broker -w 1 --stop-timeout 1 -- "$VICTIM" accept --delay 60000 "$ADDR"
    for _ in 1 2 3 4; do start_other "$PROBE" "$ADDR"; done
    # one is in service, one may be on its way
    wait_until status_is '.listeners[0].queued >= 2 and .listeners[0].queued <= 3'
    stop_broker
}

@test "--backlog is the length of the queue" {
    start_broker -w 1 --backlog 17 -- "$VICTIM" accept "$ADDR"
    status_is '.listeners[0].backlog == 17'
    stop_broker
    start_broker -w 1 --backlog app -- "$VICTIM" accept "$ADDR"
    status_is '.listeners[0].backlog == 128'
    stop_broker
}

@test "a status with a hundred slots arrives whole" {
    start_broker -w 100 -- "$VICTIM" accept "$ADDR"
    status_is '(.workers | length) == 100'
    [[ $("$SSHIM" status --control "$CONTROL" | grep -Ec '^ +[0-9]+ +[0-9]+ ') == 100 ]]
    stop_broker
}

# state_is STATE READY WANTED EXIT: what both forms of status say, and their exit code.
state_is() {
    local code=0 text
    text=$("$SSHIM" status --json --control "$CONTROL") || code=$?
    [[ $code == "$4" ]] && jq -e "[.state, .ready, .wanted] == [\"$1\", $2, $3]" <<<"$text" >/dev/null || return 1
    code=0
    text=$("$SSHIM" status --control "$CONTROL") || code=$?
    [[ $code == "$4" && $text == *"is $1: $2 of $3 workers are ready"* ]]
}

# A server that waits while $TMP/wait is there, and fails while $TMP/fail or $TMP/fail-ID is.
moody() {
    cat >"$TMP/moody" <<EOF
#!/bin/sh
while [ -e "$TMP/wait" ]; do sleep 0.05; done
[ ! -e "$TMP/fail" ] && [ ! -e "$TMP/fail-\$SSHIM_WORKER_ID" ] || exit 1
exec "$VICTIM" accept "$ADDR"
EOF
    chmod 755 "$TMP/moody"
}

@test "state and exit code tell starting, ready, degraded, failing, restarting and stopping" {
    moody
    touch "$TMP/wait"
    launch_broker -w 2 --stop-timeout 60 -- "$TMP/moody"
    wait_until state_is starting 0 2 0
    rm "$TMP/wait"
    wait_until state_is ready 2 2 0
    touch "$TMP/fail-1"
    kill -KILL "$(worker_pid 1)"
    wait_until state_is degraded 1 2 1
    touch "$TMP/fail"
    kill -KILL "$(worker_pid 0)"
    wait_until state_is failing 0 2 3
    rm "$TMP/fail" "$TMP/fail-1"
    wait_until state_is ready 2 2 0
    touch "$TMP/wait"
    kill -STOP "$(worker_pid 0)" # it does not hear of TERM
    kill -HUP "$BROKER"
    wait_until state_is restarting 2 2 0
    kill -TERM "$BROKER"
    wait_until status_is '.state == "stopping"'
    local code=0
    "$SSHIM" status --control "$CONTROL" || code=$?
    [[ $code == 3 ]]
    rm "$TMP/wait"
    kill -TERM "$BROKER"
    wait_for_broker
    code=0
    "$SSHIM" status --control "$CONTROL" || code=$?
    [[ $code == 3 ]]
}

@test "status --wait ready waits for a broker that comes and for its workers, and says so" {
    moody
    touch "$TMP/wait"
    "$SSHIM" status --control "$CONTROL" --wait ready >"$TMP/said" 3>&- &
    local waiter=$!
    launch_broker -w 2 -- "$TMP/moody"
    wait_until state_is starting 0 2 0
    kill -0 "$waiter"
    rm "$TMP/wait"
    wait "$waiter"
    [[ $(<"$TMP/said") == *"2 of 2 workers are ready"* ]]
    stop_broker
}

@test "status --wait gives up after --timeout: 1 when degraded, else 3; list shows a degraded instance as well" {
    local code=0
    mkdir -p "$TMP/xdg/sshim"
    export XDG_RUNTIME_DIR=$TMP/xdg
    CONTROL=$TMP/xdg/sshim/web.sock
    "$SSHIM" status --control "$CONTROL" --wait ready --timeout 1 2>"$TMP/said" || code=$?
    [[ $code == 3 && $(<"$TMP/said") == "sshim: not ready within 1 s: no broker answers"* ]]
    [[ $(wc -l <"$TMP/said") == 1 ]]
    moody
    start_broker -w 2 -- "$TMP/moody"
    touch "$TMP/fail-1"
    kill -KILL "$(worker_pid 1)"
    wait_until state_is degraded 1 2 1
    code=0
    "$SSHIM" status --control "$CONTROL" --wait ready --timeout 1 || code=$?
    [[ $code == 1 ]]
    code=0
    "$SSHIM" status --control "$CONTROL" --wait stopped --timeout 1 || code=$?
    [[ $code == 1 ]]
    code=0
    "$SSHIM" list 2>"$TMP/said" >"$TMP/rows" || code=$?
    cat "$TMP/said" "$TMP/rows"
    [[ $code == 1 && ! -s $TMP/said ]]
    grep -q ' degraded ' "$TMP/rows"
    stop_broker
}

@test "status --wait stopped waits until no broker answers" {
    "$SSHIM" status --control "$CONTROL" --wait stopped
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    "$SSHIM" status --control "$CONTROL" --wait stopped 3>&- 8>&- &
    local waiter=$!
    probe 2
    kill -0 "$waiter"
    stop_broker
    wait "$waiter"
}

ends_are() { # CAUSE NUMBER
    status_is "[.workers[].ends.$1] | add == $2"
}

@test "the ends of workers are counted by their cause" {
    start_broker -w 2 --settle 0 -- "$VICTIM" accept "$ADDR"
    ends_are exit 0
    kill -KILL "$(worker_pid 0)"
    wait_until ends_are signal 1
    wait_until workers_ready 2
    kill -SEGV "$(worker_pid 0)"
    wait_until ends_are crash 1
    wait_until workers_ready 2
    "$SSHIM" kill 1 --control "$CONTROL"
    wait_until ends_are operator 1
    wait_until workers_ready 2
    "$SSHIM" restart --control "$CONTROL"
    ends_are operator 3
    status_is '.last_restart == "done" and ([.workers[].ends.signal] == [1, 0])'
    stop_broker
}
