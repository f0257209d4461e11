# Workers that end are started again; a stop ends everything and leaves nothing.
load helpers

# A worker that fails in slot 1 and serves in the others; each start of slot 1 is noted in $TMP/starts.
half_broken() {
    cat >"$TMP/half" <<END
#!/bin/sh
[ "\$SSHIM_WORKER_ID" = 1 ] || exec "$VICTIM" accept "$ADDR"
date +%s%3N >>"$TMP/starts"
exit 7
END
    chmod +x "$TMP/half"
}

restarted() { # SLOT OLD-PID
    local pid
    pid=$(worker_pid "$1")
    [[ $pid != 0 && $pid != "$2" ]] && workers_ready 3
}

started() { # COUNT of times
    [[ -e $TMP/starts && $(wc -l <"$TMP/starts") -ge $1 ]]
}

@test "a worker that is killed is started again and the others go on" {
    start_broker -w 3 -- "$VICTIM" accept "$ADDR"
    local before other
    before=$(worker_pid 1)
    other=$(worker_pid 0)
    kill -KILL "$before"
    wait_until restarted 1 "$before"
    [[ $(worker_pid 0) == "$other" ]]
    status_is '[.workers[].restarts] == [0, 1, 0]'
    log_has "worker 1 was ended by signal 9"
    all_answer 3
    stop_broker
}

@test "connections are answered while a worker is killed again and again" {
    start_broker -w 3 -- "$VICTIM" accept "$ADDR"
    local round pid
    for round in 1 2 3 4 5; do
        pid=$(worker_pid $((round % 3)))
        # a process that is being killed may still take a connection, and takes it along
        ((pid == 0)) || { kill -KILL "$pid"; wait_until is_gone "$pid"; }
        probe 20
    done
    stop_broker
}

@test "a crash loop backs off, doubling from 100 ms, and is reported once" {
    half_broken
    launch_broker -w 2 -- "$TMP/half"
    wait_until started 6
    local at last='' least=75 i=0
    # each pause is 100, 200, 400, ... ms, a quarter more or less; plus the time the start takes
    while read -r at; do
        if [[ -n $last ]]; then
            echo "pause $i: $((at - last)) ms, at least $least"
            ((at - last >= least))
            least=$((least * 2))
            i=$((i + 1))
        fi
        last=$at
    done <"$TMP/starts"
    [[ $(grep -c "keeps failing" "$TMP/log") == 1 ]]
    [[ $(grep -c "worker 1" "$TMP/log") -le 3 ]]
    wait_until status_is '.workers[1].state == "backoff" and .workers[1].pid == 0'
    status_is '.workers[1].restarts >= 5 and .workers[0].restarts == 0'
    probe 5
    stop_broker
    [[ $STATUS == 0 ]]
}

@test "a server that serves one connection and ends comes back without delay" {
    start_broker -w 2 -- "$VICTIM" accept --once "$ADDR"
    probe 20
    [[ $(grep -o 'pid=[0-9]*' "$TMP/answers" | sort -u | wc -l) == 20 ]]
    stop_broker
    [[ $STATUS == 0 ]]
}

@test "a server that never becomes ready is exit 3 and one line says why" {
    run timeout 60 "$SSHIM" run --control "$CONTROL" -w 2 -- sh -c 'exit 5' 3>&-
    echo "$output"
    [[ $status == 3 ]]
    [[ $(grep -c "no worker became ready" <<<"$output") == 1 ]]
    [[ $output == *"exited with status 5"* ]]
}

@test "an address that is taken is exit 4 and one line names it" {
    start_other "$VICTIM" accept "$ADDR"
    wait_until probe 1
    run timeout 60 "$SSHIM" run --control "$CONTROL" -w 2 -- "$VICTIM" accept "$ADDR" 3>&-
    echo "$output"
    [[ $status == 4 ]]
    [[ $(grep -c "cannot bind $ADDR: Address already in use" <<<"$output") == 1 ]]
}

@test "a server that listens on nothing shared counts as ready after --start-timeout" {
    start_broker -w 2 --start-timeout 1 -- sleep 1000
    log_has "worker 0 listens on nothing that is shared after 1 s"
    stop_broker
}

@test "a broker that is killed after --ready-fd was written goes on" {
    start_broker -w 2 -- "$VICTIM" accept "$ADDR"
    local old=$BROKER
    kill -KILL "$old"
    wait "$old" || true
    wait_until status_is ".pid != $old and .state == \"ready\""
    BROKER=$(status_of .pid)
    all_answer 2
    "$SSHIM" stop --control "$CONTROL"
    wait_until is_gone "$BROKER"
    BROKER=
}

@test "TERM and INT stop everything, exit code 0" {
    local signal
    for signal in TERM INT; do
        start_broker -w 3 -- "$VICTIM" accept "$ADDR"
        kill -"$signal" "$BROKER"
        wait_for_broker
        [[ $STATUS == 0 ]]
        [[ ! -e $CONTROL ]]
        assert_nothing_left
    done
}

@test "workers that ignore TERM are killed after --stop-timeout" {
    start_broker -w 2 --stop-timeout 1 -- "$VICTIM" accept --ignore-term "$ADDR"
    local began=$SECONDS
    kill -TERM "$BROKER"
    wait_until status_is '[.workers[].state] == ["draining", "draining"]'
    wait_for_broker
    [[ $STATUS == 0 ]]
    ((SECONDS - began < 10))
    log_has "killing them"
}

@test "a second TERM kills at once" {
    start_broker -w 2 --stop-timeout 1000 -- "$VICTIM" accept --ignore-term "$ADDR"
    kill -TERM "$BROKER"
    wait_until status_is '.state == "stopping"'
    kill -TERM "$BROKER"
    wait_for_broker 15
    [[ $STATUS == 0 ]]
}

@test "sshim stop returns when everything is gone" {
    start_broker -w 2 --stop-timeout 1 -- "$VICTIM" accept --ignore-term --orphan "$ADDR"
    timeout 30 "$SSHIM" stop --control "$CONTROL"
    LEFT_DEADLINE_S=0 assert_nothing_left
    wait_for_broker
    [[ $STATUS == 0 ]]
}

@test "a stop while the workers still start leaves nothing" {
    launch_broker -w 3 -- sh -c "touch '$TMP'/started.\$SSHIM_WORKER_ID; sleep 1000; exec '$VICTIM' accept '$ADDR'"
    wait_until test -e "$TMP/started.0" -a -e "$TMP/started.1" -a -e "$TMP/started.2"
    status_is '[.workers[].state] | unique == ["starting"]'
    kill -TERM "$BROKER"
    wait_for_broker
    [[ $STATUS == 0 ]]
}

@test "a start that fails half-way leaves nothing" {
    # slot 0 leaves a process that ignores TERM, and then nobody can bind
    start_other "$VICTIM" accept "$ADDR"
    wait_until probe 1
    launch_broker -w 3 --stop-timeout 1 -- "$VICTIM" accept --orphan "$ADDR"
    wait_for_broker
    [[ $STATUS == 4 ]]
    kill -KILL "$OTHER"
    assert_nothing_left
}

@test "what a killed worker leaves behind is ended while the others serve" {
    start_broker -w 2 --stop-timeout 1 -- "$VICTIM" accept --orphan "$ADDR"
    local pid orphan
    pid=$(worker_pid 0)
    orphan=$(pgrep -P "$pid")
    [[ -n $orphan ]]
    kill -KILL "$pid"
    wait_until is_gone "$orphan"
    wait_until workers_ready 2
    all_answer 2
    stop_broker
}

@test "a process that has left its group and its environment is ended by stop" {
    start_broker -w 1 --stop-timeout 1 -- sh -c "
        (setsid env -i /bin/sh -c 'trap \"\" TERM; echo \$\$ >\"$TMP/deserter\"; while :; do sleep 1; done' &)
        exec '$VICTIM' accept '$ADDR'"
    wait_until test -s "$TMP/deserter"
    stop_broker
    [[ $STATUS == 0 ]]
    is_gone "$(cat "$TMP/deserter")"
}

@test "a worker that is stopped by SIGSTOP is left out, told as stuck, and serves again after SIGCONT" {
    start_broker -w 2 -- "$VICTIM" accept "$ADDR"
    kill -STOP "$(worker_pid 0)"
    wait_until status_is '.workers[0].state == "stuck"'
    all_answer 1
    kill -CONT "$(worker_pid 0)"
    wait_until status_is '.workers[0].state == "ready"'
    all_answer 2
    stop_broker
}

is_stopped() { # PID
    [[ $(cut -d' ' -f3 "/proc/$1/stat") == T ]]
}

@test "a worker that is stopped when the broker is killed, or later, is left out and serves again after SIGCONT, or is replaced" {
    start_broker -w 2 -- "$VICTIM" accept "$ADDR"
    local first second
    first=$(worker_pid 0)
    second=$(worker_pid 1)
    kill -STOP "$first"
    wait_until status_is '.workers[0].state == "stuck"'
    kill -KILL "$BROKER"
    wait_for_broker
    wait_until status_is '.workers[0].state == "stuck"'
    is_stopped "$first"
    all_answer 1
    kill -CONT "$first"
    wait_until status_is '.workers[0].state == "ready"'
    all_answer 2
    kill -STOP "$second" # of this one no signal tells any more
    wait_until is_stopped "$second"
    probe 20
    kill -CONT "$second"
    all_answer 2
    [[ $(worker_pid 0) == "$first" && $(worker_pid 1) == "$second" ]]
    "$SSHIM" stop --control "$CONTROL"
}

# In turn, by one process: nothing but the pause is between the two signals.
stop_and_kill() { # PAUSE_S PID...
    python3 -c 'import os, signal, sys, time
for worker in sys.argv[3:]:
    os.kill(int(worker), signal.SIGSTOP)
time.sleep(float(sys.argv[2]))
os.kill(int(sys.argv[1]), signal.SIGKILL)' "$BROKER" "$@"
}

# Those that were stopped live, and serve when they go on.
go_on() { # PID...
    local worker
    wait_until status_is true
    for worker in "$@"; do # it stops as soon as it runs, which may be later than the broker's end
        wait_until is_stopped "$worker"
    done
    kill -CONT "$@"
    all_answer 10
    [[ $(status_of '[.workers[].pid] | sort | map(tostring) | join(" ")') == "$*" ]]
    "$SSHIM" stop --control "$CONTROL"
    no_process_is_left
}

start_ten() { # leaves their pids in ${workers[@]}
    start_broker -w 10 -- "$VICTIM" accept "$ADDR"
    read -r -a workers < <(status_of '[.workers[].pid] | sort | map(tostring) | join(" ")')
}

@test "workers that are stopped in the moment in which the broker is killed, or shortly before, survive and serve again" {
    local workers pause
    for pause in 0 0.0005 0.002 0.005 0.02; do
        start_ten
        stop_and_kill "$pause" "${workers[@]}"
        wait_for_broker
        go_on "${workers[@]}"
    done
}

@test "workers that are stopped while the broker is stopped survive its end and serve again" {
    local workers
    start_ten
    kill -STOP "$BROKER"
    wait_until is_stopped "$BROKER"
    stop_and_kill 0 "${workers[@]}"
    wait_for_broker
    go_on "${workers[@]}"
}

deputy() {
    pgrep -P "$(status_of .pid)" -x sshim-deputy
}

session_of() { # PID
    ps -o sid= -p "$1" | tr -d ' '
}

# All workers are in the session that the deputy leads, which is not the broker's and has no terminal.
all_in_one_session() { # COUNT
    [[ $(deputy | wc -l) == 1 ]]
    local pid sessions
    sessions=$(for pid in $(status_of '.workers[].pid'); do session_of "$pid"; done)
    [[ $(sort -u <<<"$sessions") == "$(deputy)" && $(wc -l <<<"$sessions") == "$1" ]]
    [[ $(session_of "$(status_of .pid)") != "$(deputy)" ]]
}

has_deputy_other_than() { # PID
    [[ -n $(deputy) && $(deputy) != "$1" ]]
}

@test "workers share a session that is not the broker's, also those that are started later, after an upgrade and after a crash" {
    start_broker -w 2 -- "$VICTIM" accept "$ADDR"
    local broker
    all_in_one_session 2
    "$SSHIM" scale 3 --control "$CONTROL"
    kill -KILL "$(worker_pid 0)"
    wait_until status_is '.workers[0].restarts >= 1 and .ready == 3'
    all_in_one_session 3
    "$SSHIM" upgrade --control "$CONTROL"
    "$SSHIM" restart --control "$CONTROL"
    all_in_one_session 3
    broker=$(status_of .pid)
    kill -KILL "$broker"
    wait_until status_is ".pid != $broker"
    "$SSHIM" restart --control "$CONTROL"
    all_in_one_session 3
    all_answer 3
    "$SSHIM" stop --control "$CONTROL"
    wait_for_broker
}

@test "a deputy that was killed is replaced with the next worker, one that was stopped goes on" {
    start_broker -w 2 -- "$VICTIM" accept "$ADDR"
    local broker=$BROKER old worker
    old=$(deputy)
    kill -STOP "$old"
    wait_until is_stopped "$old"
    kill -KILL "$(worker_pid 0)"
    wait_until status_is '.workers[0].restarts >= 1 and .ready == 2'
    [[ $(deputy) == "$old" ]]
    worker=$(worker_pid 1)
    kill -KILL "$old" "$(worker_pid 0)"
    wait_until status_is '.workers[0].restarts >= 2 and .ready == 2'
    has_deputy_other_than "$old"
    "$SSHIM" restart --control "$CONTROL"
    all_in_one_session 2
    all_answer 2
    [[ $(status_of .pid) == "$broker" && $(worker_pid 1) != "$worker" ]]
    stop_broker
}

@test "a worker that is stopped when the broker is killed does not hold up a stop of the next one" {
    start_broker -w 2 --stop-timeout 1 -- "$VICTIM" accept "$ADDR"
    kill -STOP "$(worker_pid 0)"
    kill -KILL "$BROKER"
    wait_for_broker
    wait_until status_is true
    "$SSHIM" stop --control "$CONTROL"
    no_process_is_left
}

@test "a stopped worker does not hold up a stop" {
    start_broker -w 2 --stop-timeout 1 -- "$VICTIM" accept "$ADDR"
    kill -STOP "$(worker_pid 0)"
    stop_broker
    [[ $STATUS == 0 ]]
}

# Listens, and begins to accept five seconds later. A client that sends p is never answered.
begins_late() {
    cat <<'END'
import os, socket, sys, time
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
time.sleep(5)
while True:
    client, _ = listener.accept()
    while client.recv(1) == b"p":
        time.sleep(600)
    client.sendall(b"pid=%d\n" % os.getpid())
    client.close()
END
}

@test "a fresh worker that has not begun to accept is not taken for stuck while another one is" {
    local pinned fresh
    start_broker -w 2 --stuck-kill 12 --accept-timeout 10000 -- python3 -c "$(begins_late)" "$HOST" "$PORT"
    exec 7<>"/dev/tcp/$HOST/$PORT"
    printf p >&7
    wait_until status_is '[.workers[].active] | add == 1'
    pinned=$(status_of '.workers[] | select(.active == 1) | .pid')
    kill -KILL "$(status_of '.workers[] | select(.active == 0) | .pid')"
    wait_until workers_ready 2
    fresh=$(status_of ".workers[] | select(.pid != $pinned) | .pid")
    exec 6<>"/dev/tcp/$HOST/$PORT"
    printf a >&6
    read -r -t 30 -u 6
    [[ $REPLY == "pid=$fresh" ]]
    exec 6>&-
    wait_until log_has "(pid $pinned) has been stuck for"
    exec 7>&-
    [[ $(<"$TMP/log") != *"(pid $fresh) has been stuck"* ]]
    stop_broker
}

keeper() {
    pgrep -P "$BROKER" -x sshim-keeper
}

uptime_ms() { # of what a clock of ours says, and of what the broker says of worker 0
    echo "$(date +%s%3N) $(status_of '.workers[0].uptime_s * 1000')"
}

@test "the time in which the broker was suspended is nobody's uptime, also for the one that goes on after it" {
    # a worker that is busy is looked at, so that the broker has a timer by which it sees that it was suspended
    start_broker -w 1 --stuck-warn 1 -- "$VICTIM" accept --delay 60000 "$ADDR"
    exec 7<>"/dev/tcp/$HOST/$PORT"
    wait_until status_is '.workers[0].active == 1'
    wait_until log_has "has been stuck"
    local clock0 clock1 up0 up1
    read -r clock0 up0 < <(uptime_ms)
    kill -STOP "$BROKER"
    sleep 5 # the measured time
    kill -CONT "$BROKER"
    status_is '.workers[0].state == "stuck"'
    kill -KILL "$BROKER"
    wait_for_broker
    wait_until status_is '.workers | length == 1'
    read -r clock1 up1 < <(uptime_ms)
    echo "$((clock1 - clock0)) ms later it is $((up1 - up0)) ms older"
    ((up1 - up0 <= clock1 - clock0 - 3000))
    exec 7>&-
    "$SSHIM" stop --control "$CONTROL"
}

@test "a keeper that was started late is nobody's leftover: after all workers were killed it still saves the broker" {
    start_broker -w 3 -- "$VICTIM" accept "$ADDR"
    local old slot
    old=$(keeper)
    kill -KILL "$old"
    is_another() { [[ -n $(keeper) && $(keeper) != "$old" ]]; }
    wait_until is_another
    old=$(keeper)
    for slot in 0 1 2; do
        kill -KILL "$(worker_pid $slot)"
    done
    wait_until status_is '[.workers[].restarts] | min >= 1'
    wait_until workers_ready 3
    [[ $(keeper) == "$old" ]]
    kill -KILL "$BROKER"
    wait_for_broker
    wait_until workers_ready 3
    probe 10
    "$SSHIM" stop --control "$CONTROL"
}

@test "an offer in the channel of a worker that was killed with the broker goes to another" {
    start_broker -w 2 --handoff broker --accept-timeout 10000 -- "$VICTIM" accept "$ADDR"
    kill -KILL "$BROKER" # no signal tells the next one that a worker was stopped
    wait_for_broker
    wait_until workers_ready 2
    local broker worker client
    broker=$(status_of .pid)
    worker=$(worker_pid 0)
    kill -STOP "$worker"
    timeout 60 "$PROBE" -n 4 "$ADDR" >"$TMP/answers" 3>&- &
    client=$!
    wait_until status_is '.listeners[0].untaken == 1'
    kill -STOP "$broker" # it does not see the worker end
    kill -KILL "$worker"
    wait_until eval "[[ ! -e /proc/$worker ]]"
    kill -KILL "$broker"
    wait "$client"
    wait_until workers_ready 2
    probe 10
    "$SSHIM" stop --control "$CONTROL"
}

@test "a keeper that cannot be started is told once and tried again until it runs" {
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    prlimit --pid "$BROKER" --nofile=3:
    kill -KILL "$(keeper)"
    wait_until log_has "cannot start the keeper: Too many open files"
    sleep 2.5 # the measured time: it has been tried again, and not been told
    [[ $(grep -c 'cannot start the keeper' "$TMP/log") == 1 ]]
    [[ -z $(keeper) ]]
    prlimit --pid "$BROKER" --nofile=1000:
    wait_until keeper
    wait_until log_has "the keeper runs again"
    kill -KILL "$BROKER"
    wait_for_broker
    wait_until workers_ready 1
    probe 5
    "$SSHIM" stop --control "$CONTROL"
}

@test "a broker that is killed between bind and listen of its workers goes on with their sockets" {
    cat >"$TMP/server.py" <<'END'
import os, socket, sys, time
host, port = sys.argv[1].rsplit(":", 1)
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind((host, int(port)))
print("bound", flush=True)
while not os.path.exists(sys.argv[2]):
    time.sleep(0.02)
listener.listen()
while True:
    c, peer = listener.accept()
    c.sendall(b"slot=%s peer=%s:%d \n" % (os.environ["SSHIM_WORKER_ID"].encode(), peer[0].encode(), peer[1]))
    c.close()
END
    launch_broker -w 2 -- python3 "$TMP/server.py" "$ADDR" "$TMP/go"
    both_are_bound() { [[ $(grep -c bound "$TMP/out") == 2 ]]; }
    wait_until both_are_bound
    kill -KILL "$BROKER"
    wait_for_broker
    wait_until status_is '.workers | length == 2'
    touch "$TMP/go"
    wait_until workers_ready 2
    all_answer 2
    [[ $(grep -c bound "$TMP/out") == 2 ]]
    "$SSHIM" stop --control "$CONTROL"
}

@test "a stop that was under way when the broker is killed goes on" {
    start_broker -w 2 --stop-timeout 600 -- "$VICTIM" accept --ignore-term "$ADDR"
    local pid pids
    pids=$(status_of '.workers[].pid')
    kill -TERM "$BROKER"
    wait_until status_is '[.workers[].state] == ["draining", "draining"]'
    kill -KILL "$BROKER"
    wait_for_broker
    for pid in $pids; do
        kill -KILL "$pid"
    done
    wait_until no_process_is_left
    [[ ! -e $CONTROL ]]
}

@test "sshim stop returns when everything is gone, though the broker is killed meanwhile" {
    start_broker -w 2 --stop-timeout 3 -- "$VICTIM" accept --ignore-term "$ADDR"
    timeout 60 "$SSHIM" stop --control "$CONTROL" 3>&- &
    local asker=$!
    wait_until status_is '[.workers[].state] == ["draining", "draining"]'
    kill -KILL "$BROKER"
    wait_for_broker
    wait "$asker"
    no_process_is_left
    [[ ! -e $CONTROL ]]
}

@test "workers do not inherit a file descriptor, a blocked signal or the raised fd limit of the broker" {
    (
        ulimit -Sn 777
        start_broker -w 1 -- "$VICTIM" accept "$ADDR"
        echo "$BROKER" >"$TMP/broker"
    )
    BROKER=$(cat "$TMP/broker")
    local pid
    pid=$(worker_pid 0)
    grep -q '^SigBlk:	0000000000000000$' "/proc/$pid/status"
    grep -Eq '^Max open files +777 ' "/proc/$pid/limits"
    # What a copy without us would have, and what the shim hides: the canonical socket, the program's own.
    PORT=$("$PROBE" --free-port)
    start_other "$VICTIM" accept "$HOST:$PORT"
    wait_until probe 1 "$HOST:$PORT"
    [[ $(find "/proc/$pid/fd" -mindepth 1 | wc -l) -le $(($(find "/proc/$OTHER/fd" -mindepth 1 | wc -l) + 2)) ]]
    [[ -z $(find "/proc/$pid/fd" -lname '*eventpoll*' -o -lname '*signalfd*') ]]
    "$SSHIM" stop --control "$CONTROL"
    wait_until is_gone "$BROKER"
    BROKER=
}

@test "a pool that was ready once is not given up after an upgrade, however often its worker fails" {
    cat >"$TMP/flaky" <<END
#!/bin/sh
[ -e "$TMP/broken" ] || exec "$VICTIM" accept "$ADDR"
date +%s%3N >>"$TMP/starts"
exit 7
END
    chmod +x "$TMP/flaky"
    start_broker -w 1 -- "$TMP/flaky"
    touch "$TMP/broken"
    kill -KILL "$(worker_pid 0)"
    wait_until started 3
    timeout 60 "$SSHIM" upgrade --control "$CONTROL"
    wait_until started 5
    rm "$TMP/broken"
    wait_until workers_ready 1
    all_answer 1
    stop_broker
}

@test "a worker that was ready and is killed is started again at once" {
    start_broker -w 5 -- "$VICTIM" accept "$ADDR"
    local slot
    all_told() { [[ $(grep -c "was ended by signal 9" "$TMP/log") == 5 ]]; }
    # shellcheck disable=SC2046
    kill -KILL $(status_of '.workers[].pid')
    wait_until all_told
    # the broker fills a slot right after it has told of the end; a pause would be 75 ms or more
    status_is '[.workers[] | select(.state == "backoff")] | length <= 1'
    wait_until workers_ready 5
    for slot in 0 1 2 3 4; do
        status_is ".workers[$slot].restarts == 1"
    done
    stop_broker
}

@test "a broker that is ready says where: addresses and control socket" {
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    log_has "1 of 1 workers are ready on $ADDR; the control socket is $CONTROL"
    stop_broker
    start_broker -w 0
    log_has "ready for servers that join by SSHIM_BROKER=$CONTROL"
    stop_broker
}
