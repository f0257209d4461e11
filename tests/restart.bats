# A rolling restart loses nobody, replaces nobody by a copy that does not do what the old one did, and says what it did.
load helpers
load deploy

versions() { # COUNT [ADDRESS]: the names that so many clients hear, each once
    local i answer
    for ((i = 0; i < $1; i++)); do
        exec 7<>"/dev/tcp/$HOST/${2:-$PORT}" || return 1
        read -r answer _ <&7 || answer=nothing
        exec 7<&- 7>&-
        echo "$answer"
    done | sort -u | paste -sd' '
}

hears() { # NAMES [PORT]: what 12 clients hear is exactly this
    local heard
    heard=$(versions 12 "${2:-$PORT}")
    echo "heard: $heard"
    [[ $heard == "$1" ]]
}

restart() { # OPTIONS; leaves $status and $output
    run timeout 90 "$SSHIM" restart --control "$CONTROL" "$@" 3>&-
    echo "$output"
}

second_port() {
    OTHER_PORT=$("$PROBE" --free-port)
    while [[ $OTHER_PORT == "$PORT" ]]; do OTHER_PORT=$("$PROBE" --free-port); done
}

@test "a restart replaces every copy, and says so when the old ones have ended" {
    deploy name=old "$ADDR"
    serve -w 3
    local old
    old=$(status_of '.workers[].pid')
    deploy name=new "$ADDR"
    restart
    [[ $status == 0 && $output == "3 of 3 workers were replaced" ]]
    local pid
    for pid in $old; do
        is_gone "$pid"
    done
    hears new
    stop_broker
}

@test "restart --no-wait answers while the old copies still have connections" {
    start_broker -w 1 --settle 0 -- "$VICTIM" accept --until "$TMP/go" "$ADDR"
    exec 7<>"/dev/tcp/$HOST/$PORT"
    wait_until status_is '.workers[0].active == 1'
    restart --no-wait
    [[ $status == 0 && $output == "1 of 1 worker was replaced" ]]
    status_is '[.workers[] | select(.state == "draining")] | length == 1'
    local answer
    touch "$TMP/go"
    read -r answer <&7
    [[ $answer == *slot=0* ]]
    exec 7<&- 7>&-
    wait_until status_is '.workers | length == 1'
    stop_broker
}

@test "a restart says how many connections were cut at the end of --stop-timeout" {
    start_broker -w 1 --settle 0 --stop-timeout 1 -- "$VICTIM" accept --delay 60000 "$ADDR"
    exec 7<>"/dev/tcp/$HOST/$PORT"
    wait_until status_is '.workers[0].active == 1'
    restart
    [[ $status == 0 && $output == *"connections of the old workers that were cut: 1"* ]]
    exec 7<&- 7>&-
    stop_broker
}

@test "a version that listens and dies within --settle replaces nobody" {
    deploy name=old "$ADDR"
    serve -w 3
    deploy name=new "$ADDR" die=0.3
    restart
    [[ $status == 1 && $output == *"the new copy for slot 0 exited with status 9"*"0 of 3 workers were replaced"* ]]
    hears old
    workers_ready 3
    stop_broker
}

@test "a version that dies while a later slot is replaced ends the restart, and what was replaced is told" {
    deploy name=old "$ADDR"
    serve -w 3 --settle 2
    deploy name=new "$ADDR" die=3
    restart
    [[ $status == 1 && $output == *"after it had taken over; 0 of 3 workers were replaced"* ]]
    wait_until status_is '[.workers[] | select(.state == "ready")] | length >= 2'
    versions 12 | grep -q old
    stop_broker
}

@test "a version that cannot bind its second port replaces nobody" {
    second_port
    deploy name=old "$ADDR" "$HOST:$OTHER_PORT"
    serve -w 2
    deploy name=new "$ADDR" wait="$TMP/never" "$HOST:$OTHER_PORT"
    run timeout 90 "$SSHIM" restart --control "$CONTROL" 3>&- &
    local asker=$!
    both_listen() { [[ $(grep -c "listens on $ADDR" "$TMP/out") == 3 ]]; }
    wait_until both_listen
    sleep 2 # the measured time: longer than --settle
    status_is '[.workers[] | select(.state == "ready")] | length == 2'
    status_is '[.workers[] | select(.state == "starting")] | length == 1'
    "$SSHIM" stop --control "$CONTROL"
    wait "$asker" || true
    wait_for_broker
}

@test "a version that gets a client before it binds its second port shares that port with the old copies" {
    second_port
    deploy name=old "$ADDR" "$HOST:$OTHER_PORT"
    serve -w 2
    deploy name=new "$ADDR" first=1 "$HOST:$OTHER_PORT"
    timeout 90 "$SSHIM" restart --control "$CONTROL" >"$TMP/answer" 3>&- &
    local asker=$!
    while ! is_gone "$asker"; do # clients all the while, of which each is answered
        versions 2 >/dev/null
    done
    wait "$asker"
    grep "2 of 2 workers were replaced" "$TMP/answer"
    hears new
    hears new "$OTHER_PORT"
    [[ $(grep -c "in use" "$TMP/log") == 0 ]]
    stop_broker
}

@test "a version that listens on a socket file first and not on its port before --start-timeout replaces nobody" {
    deploy name=old temp="$TMP/pool" "$ADDR"
    serve -w 1 --start-timeout 8
    deploy name=new temp="$TMP/pool" wait="$TMP/never" "$ADDR"
    restart
    [[ $status == 1 && $output == *"after 8 s the new copy for slot 0 does not listen on $ADDR"* ]]
    hears old
    deploy name=new temp="$TMP/pool" "$ADDR"
    restart
    [[ $status == 0 ]]
    hears new
    stop_broker
    rm -f "$TMP"/pool.*
}

@test "a version that listens and never waits replaces nobody" {
    deploy name=old "$ADDR"
    serve -w 1 --start-timeout 8
    deploy name=new "$ADDR" never_waits=1
    restart
    [[ $status == 1 && $output == *"listens on $ADDR and does not wait for connections there"* ]]
    hears old
    stop_broker
}

@test "a configuration with another port is a version like any other" {
    second_port
    deploy name=old "$ADDR"
    serve -w 2
    deploy name=new "$HOST:$OTHER_PORT"
    restart
    [[ $status == 0 ]]
    hears new "$OTHER_PORT"
    stop_broker
}

@test "a restart with --parallel goes on with several slots at a time" {
    deploy name=old "$ADDR"
    serve -w 4
    deploy name=new "$ADDR"
    restart --parallel 4
    [[ $status == 0 ]]
    hears new
    stop_broker
}

@test "HUP during a restart is not dropped: another restart follows" {
    deploy name=v1 "$ADDR"
    serve -w 2
    deploy name=v2 "$ADDR"
    kill -HUP "$BROKER"
    wait_until status_is '[.workers[] | select(.state == "starting")] | length == 1'
    deploy name=v3 "$ADDR"
    kill -HUP "$BROKER"
    wait_until log_has "another one follows it"
    twice() { [[ $(grep -c "2 of 2 workers were replaced" "$TMP/log") == 2 ]]; }
    DEADLINE_S=120 wait_until twice # four copies, one after the other
    hears v3
    stop_broker
}

@test "servers that joined are left out of a restart, which says so and is no success" {
    launch_broker -w 0
    wait_until log_has "ready for servers"
    start_other env SSHIM_BROKER="$CONTROL" LD_PRELOAD="$LIB" "$VICTIM" accept "$ADDR"
    wait_until status_is '.workers | length == 1'
    restart
    [[ $status == 1 && $output == *"servers that joined and were left out: 1"* ]]
    kill "$OTHER"
    wait_until is_gone "$OTHER"
    stop_broker
}

@test "a restart under way goes on after an upgrade of the broker" {
    deploy name=old "$ADDR"
    serve -w 3
    deploy name=new "$ADDR"
    kill -HUP "$BROKER"
    wait_until status_is '[.workers[] | select(.restarts == 1)] | length == 1'
    timeout 30 "$SSHIM" upgrade --control "$CONTROL"
    wait_until log_has "3 of 3 workers were replaced"
    hears new
    stop_broker
}

@test "a restart under way goes on after a crash of the broker" {
    deploy name=old "$ADDR"
    serve -w 3
    deploy name=new "$ADDR"
    kill -HUP "$BROKER"
    wait_until status_is '[.workers[] | select(.restarts == 1)] | length == 1'
    kill -KILL "$BROKER"
    wait_for_broker
    wait_until log_has "3 of 3 workers were replaced"
    hears new
    "$SSHIM" stop --control "$CONTROL"
}

restart_in_background() { # ASKER is its pid, "$TMP/answer" what it says
    timeout 120 "$SSHIM" restart --control "$CONTROL" >"$TMP/answer" 2>&1 3>&- &
    ASKER=$!
    wait_until status_is '[.workers[] | select(.restarts == 1)] | length == 1'
}

is_answered_well() {
    wait "$ASKER"
    cat "$TMP/answer"
    [[ $(cat "$TMP/answer") == "3 of 3 workers were replaced" ]]
    hears new
}

@test "whoever asked for a restart is answered when it ends, though the broker is upgraded meanwhile" {
    deploy name=old "$ADDR"
    serve -w 3
    deploy name=new "$ADDR"
    restart_in_background
    timeout 30 "$SSHIM" upgrade --control "$CONTROL"
    is_answered_well
    stop_broker
}

@test "whoever asked for a restart is answered when it ends, though the broker is killed meanwhile, twice" {
    deploy name=old "$ADDR"
    serve -w 3
    deploy name=new "$ADDR"
    restart_in_background
    local broker=$BROKER
    kill -KILL "$broker"
    wait_for_broker
    wait_until status_is ".pid != $broker"
    kill -KILL "$(status_of .pid)"
    is_answered_well
    "$SSHIM" stop --control "$CONTROL"
}

@test "a restart goes on, and whoever asked is answered, though another run takes over meanwhile" {
    deploy name=old "$ADDR"
    serve -w 3
    kill -KILL "$BROKER"
    wait_for_broker
    wait_until status_is '.ready == 3'
    deploy name=new "$ADDR"
    restart_in_background
    serve -w 3
    status_is ".pid == $BROKER"
    log_has "going on with the restart that was under way"
    is_answered_well
    stop_broker
}

@test "a copy that was killed during a restart comes back as the new version and the restart ends well" {
    deploy name=old "$ADDR"
    serve -w 3
    deploy name=new "$ADDR"
    kill -HUP "$BROKER"
    wait_until status_is '[.workers[] | select(.state == "starting")] | length == 1'
    kill -KILL "$(worker_pid 2)"
    wait_until log_has "3 of 3 workers were replaced"
    hears new
    stop_broker
}

# The processes of the server itself, behind whatever started them.
servers() {
    pgrep -f "python3 $ROOT/tests/progs/deploy.py $TMP/conf\$"
}

# The server is a child of the process that the broker started, and does not hear of its signals.
behind_a_shell() { # OPTIONS of run
    start_broker "$@" -- sh -c "python3 '$ROOT/tests/progs/deploy.py' '$TMP/conf'; exit \$?"
}

@test "a server behind a shell that does not exec is replaced as well: no client gets the old one" {
    deploy name=old "$ADDR"
    behind_a_shell -w 2
    deploy name=new "$ADDR"
    restart
    [[ $status == 0 ]]
    hears new
    only_new() { [[ $(servers | wc -l) == 2 ]]; }
    wait_until only_new
    stop_broker
}

@test "children that a server leaves behind when it gets TERM take nothing more" {
    deploy name=old "$ADDR" fork=2
    serve -w 2
    deploy name=new "$ADDR" fork=2
    restart
    [[ $status == 0 ]]
    hears new
    stop_broker
}

@test "a leftover of a replaced worker that ignores TERM waits without turning round, and is killed" {
    deploy name=old term=ignore "$ADDR"
    behind_a_shell -w 1
    local old
    old=$(servers)
    deploy name=new "$ADDR"
    restart --no-wait
    [[ $status == 0 ]]
    wait_until hears new
    local before after
    before=$(awk '{ print $14 + $15 }' "/proc/$old/stat")
    sleep 2 # the measured time
    after=$(awk '{ print $14 + $15 }' "/proc/$old/stat")
    echo "$((after - before)) ticks of the processor in 2 s"
    ((after - before < 20))
    wait_until is_gone "$old"
    stop_broker
}

@test "under --handoff direct a copy that drains takes nothing more" {
    deploy name=old "$ADDR"
    behind_a_shell -w 2 --handoff direct
    deploy name=new "$ADDR"
    restart
    [[ $status == 0 ]]
    hears new
    stop_broker
}
