# Rules of the operator: workers that have done, lived or grown enough are replaced, and their number follows the load.
load helpers

recycled() { # COUNT
    (($(grep -c 'is recycled: ' "$TMP/log") >= $1))
}

# Connections all the time, each answered rightly, and never more workers than one above -w.
serves_meanwhile() { # WORKERS CONDITION...
    local workers=$1 end=$((SECONDS + DEADLINE_S))
    shift
    until "$@"; do
        probe 20
        status_is ".workers | length <= $workers + 1"
        ((SECONDS < end))
    done
}

@test "--max-conns, --max-age and --max-rss replace one worker at a time, and no connection is lost" {
    start_broker -w 2 --settle 0 --max-conns 40 -- "$VICTIM" epoll "$ADDR"
    serves_meanwhile 2 recycled 3
    log_has "connections (--max-conns)"
    wait_until status_is '([.workers[].ends.recycled] | add) >= 2 and ([.workers[].ends.operator] | add) == 0'
    [[ $(status_of '[.listeners[].lost] | add') == 0 ]]
    stop_broker
    rm "$TMP/log"
    start_broker -w 2 --settle 0 --max-age 1s --handoff direct -- "$VICTIM" accept "$ADDR"
    serves_meanwhile 2 recycled 2
    log_has "s (--max-age)"
    stop_broker
    rm "$TMP/log"
    start_broker -w 1 --settle 0 --max-rss 4K -- "$VICTIM" accept "$ADDR"
    serves_meanwhile 1 recycled 1
    log_has "MiB resident (--max-rss)"
    stop_broker
}

# A server that is started once the file is there, and not at all if that says so.
gate() {
    printf '#!/bin/sh\nuntil [ -e "%s/gate" ]; do sleep 0.02; done\n. "%s/gate"\nexec "$@"\n' "$TMP" "$TMP" >"$TMP/gated"
    chmod 755 "$TMP/gated"
    : >"$TMP/gate"
}

@test "if the new worker fails, the old one goes on; a restart that is asked for takes a replacement in" {
    gate
    start_broker -w 2 --settle 0 --max-age 1 -- "$TMP/gated" "$VICTIM" accept "$ADDR"
    local slot pid
    echo 'exit 3' >"$TMP/gate"
    wait_until log_has "restart aborted: the new copy for slot"
    read -r slot pid < <(sed -n 's/.*worker \([0-9]*\) (pid \([0-9]*\)) is recycled.*/\1 \2/p' "$TMP/log" | tail -n 1)
    [[ $(worker_pid "$slot") == "$pid" ]]
    status_is '.state == "ready"'
    all_answer 2
    stop_broker
    gate
    rm "$TMP/log"
    start_broker -w 2 --settle 0 --max-age 2 -- "$TMP/gated" "$VICTIM" accept "$ADDR"
    rm "$TMP/gate"
    wait_until log_has "is recycled"
    status_is '.state == "ready"'
    timeout 60 "$SSHIM" restart --control "$CONTROL" >"$TMP/restarted" 3>&- &
    local asked=$!
    wait_until log_has "replacing 2 workers"
    : >"$TMP/gate"
    wait "$asked"
    grep -qx "2 of 2 workers were replaced" "$TMP/restarted"
    stop_broker
}

@test "--workers LOW..HIGH: more while connections wait, fewer after idleness" {
    start_broker -w 1..3 --scale-after 50 --scale-idle 1 -- "$VICTIM" accept --delay 200 "$ADDR"
    local i
    for ((i = 0; i < 8; i++)); do
        "$PROBE" -n 1000 "$ADDR" >/dev/null 3>&- &
    done
    wait_until workers_ready 3
    status_is '.wanted == 3'
    # shellcheck disable=SC2046
    kill $(jobs -p | grep -vx "$BROKER") || true
    wait_until workers_ready 1
    wait_until status_is '.wanted == 1 and (.workers | length == 1)'
    log_has "connections wait for longer than --scale-after: workers from now on: 3 (--workers 1..3)"
    log_has "workers are idle for --scale-idle: workers from now on: 1"
    probe 1
    stop_broker
}

@test "a replacement that the broker's death or an upgrade interrupts is no operator's" {
    local how
    gate
    start_broker -w 1 --settle 0 --max-conns 5 -- "$TMP/gated" "$VICTIM" accept "$ADDR"
    for how in crash upgrade; do
        rm "$TMP/gate"
        : >"$TMP/log"
        probe 8
        wait_until log_has "is recycled"
        wait_until status_is '.workers | length == 2' # the new one waits at the gate
        case $how in
        crash)
            kill -KILL "$BROKER"
            wait_for_broker
            wait_until log_has 'after a crash of the broker'
            ;;
        upgrade) "$SSHIM" upgrade --control "$CONTROL" ;;
        esac
        status_is '.state == "ready"' # no restart of an operator
        : >"$TMP/gate"
        wait_until status_is '(.workers | length == 1) and .workers[0].ends.recycled == 1 and .workers[0].ends.operator == 0'
    done
    timeout 60 "$SSHIM" stop --control "$CONTROL"
}
