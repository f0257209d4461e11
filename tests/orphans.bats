# Broker and keeper are killed together: the workers serve by themselves, and the next run says which processes they are.
load helpers

# The next run ends with 4 and one line, which names the address and the processes.
is_refused() { # RUN ARGUMENTS...
    launch_broker "$@"
    wait_for_broker
    [[ $STATUS == 4 ]]
    [[ $(grep -c "^sshim: the broker at $CONTROL was killed" "$TMP/log") == 1 ]]
    [[ $(tail -n 1 "$TMP/log") == "sshim: the broker at "* ]]
}

# Does what the line says.
end_as_told() {
    local told pid
    told=$(sed -n "s/.*'kill \\([0-9 ]*\\)'.*/\\1/p" "$TMP/log")
    [[ -n $told ]]
    echo "told to end: $told"
    # shellcheck disable=SC2086
    kill $told
    for pid in $told; do wait_until is_gone "$pid"; done
}

goes_on_after_orphans() { # MODE OPTIONS...
    local mode=$1 pid
    shift
    start_broker -w 3 "$@" -- "$VICTIM" "$mode" "$ADDR"
    probe 10
    local pids
    pids=$(status_of '.workers[].pid')
    kill_broker_and_keeper
    probe 20
    is_refused -w 3 "$@" -- "$VICTIM" "$mode" "$ADDR"
    log_has "still serve $ADDR"
    for pid in $pids; do log_has "pid $pid (victim)"; done
    probe 10 # they were left alone
    [[ -S $CONTROL ]]
    end_as_told
    start_broker -w 3 "$@" -- "$VICTIM" "$mode" "$ADDR"
    all_answer 3
    stop_broker
    [[ $STATUS == 0 ]]
}

@test "workers without a broker serve on, the next run names them, the one after they were ended serves" {
    goes_on_after_orphans epoll
}
@test "the same of threads that block in accept" { goes_on_after_orphans threads; }
@test "the same of workers that have forked children which accept" { goes_on_after_orphans prefork; }
@test "the same with --handoff direct" { goes_on_after_orphans accept --handoff direct; }

@test "the same of a server that sets SO_REUSEPORT, though its address could be bound" {
    cat >"$TMP/reuseport.py" <<'PY'
import os, socket, sys
host, port = sys.argv[1].rsplit(":", 1)
listener = socket.create_server((host, int(port)), reuse_port=True)
while True:
    connection, _ = listener.accept()
    connection.sendall(b"%d\n" % os.getpid())
    connection.close()
PY
    start_broker -w 1 -- python3 "$TMP/reuseport.py" "$ADDR"
    local worker
    worker=$(worker_pid 0)
    kill_broker_and_keeper
    is_refused -w 1 -- python3 "$TMP/reuseport.py" "$ADDR"
    log_has "pid $worker (python3)"
    end_as_told
    start_broker -w 1 -- python3 "$TMP/reuseport.py" "$ADDR"
    [[ $(worker_pid 0) != "$worker" ]]
    stop_broker
}

@test "servers that had joined are named as well" {
    start_broker -w 0
    LD_PRELOAD=$LIB SSHIM_BROKER=$CONTROL start_other "$VICTIM" accept "$ADDR"
    wait_until workers_ready 1
    kill_broker_and_keeper
    probe 5
    is_refused -w 0
    log_has "pid $OTHER (victim)"
    end_as_told
    start_broker -w 0
    stop_broker
}

@test "a socket file is served on, named, and bound by the run after that" {
    TO=$TMP/server.sock
    start_broker -w 2 -- "$VICTIM" accept "$TO"
    kill_broker_and_keeper
    probe 4 "$TO"
    is_refused -w 2 -- "$VICTIM" accept "$TO"
    log_has "unix:$TO"
    end_as_told
    start_broker -w 2 -- "$VICTIM" accept "$TO"
    probe 4 "$TO"
    stop_broker
    [[ $STATUS == 0 ]]
    [[ ! -e $TO ]]
    rm -f "$TMP"/.sshim-* # of the broker that was killed
}

@test "workers that nothing but their address tells of are named when it cannot be bound" {
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    local worker
    worker=$(worker_pid 0)
    kill_broker_and_keeper
    rm "$CONTROL" "$CONTROL.link"
    launch_broker -w 1 -- "$VICTIM" accept "$ADDR"
    wait_for_broker
    [[ $STATUS == 4 ]]
    log_has "cannot bind $ADDR: Address already in use, by pid $worker (victim)"
    end_as_told
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    probe 2
    stop_broker
}

@test "a process that listens on every address of the port is named" {
    start_other python3 -c 'import socket, sys, time
listener = socket.create_server(("0.0.0.0", int(sys.argv[1])))
print("listens", flush=True)
time.sleep(600)' "$PORT"
    wait_until grep -q listens "$TMP/out.other"
    launch_broker -w 1 -- "$VICTIM" accept "$ADDR"
    wait_for_broker
    [[ $STATUS == 4 ]]
    log_has "cannot bind $ADDR: Address already in use, by pid $OTHER (python3)"
    kill -KILL "$OTHER"
}

@test "a process of another user that looks like a worker keeps nobody from starting" {
    [[ $(id -u) == 0 ]] || skip "only root can start a process of another user"
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    local worker other
    worker=$(worker_pid 0)
    other=$("$PROBE" --free-port)
    kill_broker_and_keeper
    kill -KILL "$worker"
    wait_until is_gone "$worker"
    SSHIM_BROKER=$CONTROL start_other python3 -c 'import os, socket, sys, time
os.setgroups([])
os.setresuid(65534, 65534, 65534)
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("poses", flush=True)
time.sleep(600)' "$HOST" "$other"
    wait_until grep -q poses "$TMP/out.other"
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    probe 2
    stop_broker
    kill -KILL "$OTHER"
}


