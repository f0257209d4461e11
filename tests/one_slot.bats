# What an operator does with one slot: drain, resume, kill, restart; and reopen and stop --now.
load helpers

ask() { # COMMAND ARGUMENTS; leaves $status and $output
    run timeout 90 "$SSHIM" "$@" --control "$CONTROL" 3>&-
    echo "$output"
}

state_of() { # SLOT
    status_of ".workers[] | select(.slot == $1) | .state"
}

@test "a drained slot gets no connections, keeps what it has, and serves again when it is resumed" {
    start_broker -w 2 --balance roundrobin -- "$VICTIM" accept --until "$TMP/go" "$ADDR"
    local pid answer
    pid=$(worker_pid 1)
    exec 6<>"/dev/tcp/$HOST/$PORT" 7<>"/dev/tcp/$HOST/$PORT"
    wait_until status_is '[.workers[].active] == [1, 1]'
    ask drain 1 --no-wait
    [[ $status == 0 && $output == "slot 1 drains" && $(state_of 1) == draining ]]
    touch "$TMP/go"
    ask drain 1
    [[ $status == 0 && $output == "slot 1 is drained" && $(state_of 1) == drained ]]
    read -r answer <&6 && read -r answer <&7
    exec 6<&- 7<&-
    status_is '.ready == 1 and .drained == 1 and .wanted == 2 and .state == "ready"'
    probe 4
    [[ $(grep -c slot=1 "$TMP/answers") == 0 ]]
    [[ $(worker_pid 1) == "$pid" ]]
    ask resume 1
    [[ $status == 0 && $output == "slot 1 is in service" ]]
    status_is '.ready == 2 and .drained == 0'
    all_answer 2
    ask resume 1
    [[ $status == 0 && $output == "slot 1 is in service already" ]]
    stop_broker
}

@test "drain gives up waiting after --timeout, exit 1; the slot stays drained" {
    start_broker -w 2 --balance first -- "$VICTIM" accept --delay 60000 "$ADDR"
    exec 7<>"/dev/tcp/$HOST/$PORT"
    wait_until status_is '[.workers[].active] | add == 1'
    local slot
    slot=$(status_of '.workers[] | select(.active == 1) | .slot')
    ask drain "$slot" --timeout 1
    [[ $status == 1 && $output == "sshim: slot $slot gets no connections; open after 1 s: 1" ]]
    [[ $(state_of "$slot") == draining ]]
    exec 7<&-
    stop_broker || true
}

@test "when all are drained connections wait, and the first that is resumed takes them" {
    start_broker -w 2 -- "$VICTIM" epoll "$ADDR"
    ask drain 0
    ask drain 1
    [[ $status == 0 && $output == *"no worker takes connections now"* ]]
    timeout 60 "$PROBE" -n 3 "$ADDR" >"$TMP/answers" 2>&1 3>&- &
    local client=$!
    wait_until status_is '.listeners[0].queued == 1'
    ask resume 1
    wait "$client"
    [[ $(grep -c slot=1 "$TMP/answers") == 3 ]]
    stop_broker
}

@test "a slot stays drained when its worker is replaced, and over an upgrade and a crash of the broker" {
    local pid
    start_broker -w 2 -- "$VICTIM" accept "$ADDR"
    ask drain 1
    pid=$(worker_pid 1)
    kill -KILL "$pid"
    is_replaced() { [[ $(worker_pid 1) != "$pid" && $(state_of 1) == drained ]]; }
    wait_until is_replaced
    ask restart
    [[ $status == 0 && $(state_of 1) == drained ]]
    ask upgrade
    wait_until log_has "after an upgrade"
    [[ $(state_of 1) == drained ]]
    kill -KILL "$BROKER"
    wait_until log_has "after a crash of the broker"
    [[ $(state_of 1) == drained ]]
    probe 10
    [[ $(grep -c slot=1 "$TMP/answers") == 0 ]]
    ask resume 1
    all_answer 2
    "$SSHIM" stop --control "$CONTROL"
    wait_for_broker
}

@test "draining and resuming again and again under load refuses nobody" {
    local how round client clients
    for how in accept epoll; do
        clients=()
        start_broker -w 3 -- "$VICTIM" "$how" "$ADDR"
        for client in 1 2 3 4; do
            timeout 120 "$PROBE" -n 1500 "$ADDR" >"$TMP/answers.$client" 2>&1 3>&- &
            clients+=($!)
        done
        for ((round = 0; round < 10; round++)); do
            ask drain $((round % 3))
            [[ $status == 0 ]]
            ask resume $((round % 3))
            [[ $status == 0 ]]
        done
        for client in "${clients[@]}"; do
            wait "$client"
        done
        stop_broker
    done
}

@test "under --handoff direct no slot can be drained, and drain says so" {
    start_broker -w 1 --handoff direct -- "$VICTIM" accept "$ADDR"
    ask drain 0
    [[ $status == 1 && $output == *"--handoff direct"* ]]
    stop_broker
}

@test "kill sends TERM or the signal that is named, and the slot is filled again" {
    local pid
    start_broker -w 2 -- "$VICTIM" accept "$ADDR"
    pid=$(worker_pid 0)
    ask kill 0
    [[ $status == 0 && $output == "worker 0 (pid $pid) was sent signal 15 (Terminated)" ]]
    wait_until is_gone "$pid"
    wait_until workers_ready 2
    local name
    for name in STOP 19 SIGSTOP sigstop; do
        pid=$(worker_pid 1)
        ask kill 1 "$name"
        [[ $status == 0 ]]
        is_stopped() { [[ $(cut -d' ' -f3 "/proc/$pid/stat") == T ]]; }
        wait_until is_stopped
        ask kill 1 CONT
        wait_until workers_ready 2
    done
    ask kill 1 NOTHING
    [[ $status == 2 && $output == *"'NOTHING'"* ]]
    ask kill 7
    [[ $status == 1 && $output == "sshim: "*"no slot '7'"* ]]
    stop_broker
}

@test "restart SLOT replaces that one alone" {
    local first second
    start_broker -w 2 --settle 0 -- "$VICTIM" accept "$ADDR"
    first=$(worker_pid 0)
    second=$(worker_pid 1)
    ask restart 1
    [[ $status == 0 && $output == "1 of 1 worker was replaced" ]]
    [[ $(worker_pid 0) == "$first" && $(worker_pid 1) != "$second" ]]
    is_gone "$second"
    ask restart 2
    [[ $status == 1 && $output == *"no slot '2'"* ]]
    # and a restart of all after that has all to replace
    ask restart
    [[ $status == 0 && $output == "2 of 2 workers were replaced" ]]
    [[ $(worker_pid 0) != "$first" ]]
    stop_broker
}

@test "a restart of one slot goes on after a crash of the broker, and ends when the slot is scaled away" {
    start_broker -w 2 --settle 2 -- "$VICTIM" accept "$ADDR"
    local first second
    first=$(worker_pid 0)
    second=$(worker_pid 1)
    "$SSHIM" restart 1 --control "$CONTROL" 3>&- >/dev/null 2>&1 &
    wait_until log_has "replacing worker 1"
    kill -KILL "$BROKER"
    wait_until log_has "going on with the restart"
    wait_until log_has "1 of 1 worker was replaced"
    [[ $(worker_pid 0) == "$first" && $(worker_pid 1) != "$second" ]]
    ask restart 1 --no-wait &
    wait_until status_is '.state == "restarting"'
    ask scale 1
    [[ $status == 0 ]]
    wait_until log_has "restart aborted: the slot was given up by sshim scale"
    wait
    "$SSHIM" stop --control "$CONTROL"
    wait_for_broker
}

@test "reopen says that there is nothing to reopen" {
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    ask reopen
    [[ $status == 0 && $output == *"no log file to reopen"* ]]
    stop_broker
}

@test "stop --now, and a second TERM, kill what would have had --stop-timeout" {
    local how
    for how in now twice; do
        start_broker -w 1 --stop-timeout 600 -- "$VICTIM" accept --ignore-term "$ADDR"
        if [[ $how == now ]]; then
            timeout 20 "$SSHIM" stop --now --control "$CONTROL"
        else
            kill -TERM "$BROKER"
            wait_until status_is '.state == "stopping"'
            kill -TERM "$BROKER"
        fi
        wait_for_broker 20
        [[ $STATUS == 0 ]]
    done
}

@test "whoever changes something is logged with pid and uid, and who only looks is not" {
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    ask drain 0
    grep -qE "^sshim: command 'drain 0' from pid [0-9]+, uid $(id -u)\$" "$TMP/log"
    ask status
    run log_has "'status"
    [[ $status != 0 ]]
    stop_broker
}
