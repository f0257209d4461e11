# --once: a worker that ends by itself is not replaced, and when the last one has ended `sshim run` does, with the status of the first
# that failed.
load helpers

# run_once OPTIONS -- COMMAND: leaves what `sshim run` said and its exit code in $output and $status.
run_once() {
    status=0
    output=$(timeout 60 "$SSHIM" run --once --control "$CONTROL" "$@" 3>&- 2>&1) || status=$?
    echo "exit code $status: $output"
}

# A copy that serves until somebody writes its status into $TMP/end.SLOT; then it ends with that.
ends_on_demand() {
    cat >"$TMP/server" <<END
#!/usr/bin/env python3
import os, socket, sys
slot = os.environ["SSHIM_WORKER_ID"]
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
own = socket.create_server((sys.argv[1], int(sys.argv[3]) + int(slot))) if len(sys.argv) > 3 else None
server.settimeout(0.05)
while not os.path.exists("$TMP/end." + slot):
    try:
        client, peer = server.accept()
    except TimeoutError:
        continue
    client.sendall(f"slot={slot} pid={os.getpid()} peer={peer[0]}:{peer[1]} end\n".encode())
    client.close()
number = open("$TMP/end." + slot).read().strip()
os.unlink("$TMP/end." + slot)
os._exit(int(number)) if number.isdigit() else os.kill(os.getpid(), getattr(__import__("signal"), number))
END
    chmod +x "$TMP/server"
}

end_worker() { # SLOT STATUS|SIGNAL
    echo "$2" >"$TMP/end.new"
    mv "$TMP/end.new" "$TMP/end.$1"
}

has_state() { # SLOT STATE
    [[ $(status_of ".workers[] | select(.slot == $1) | .state") == "$2" ]]
}

takes_clients() { # HOST PORT
    (exec 7<>"/dev/tcp/$1/$2") 2>/dev/null
}

refuses_clients() {
    ! takes_clients "$@"
}

@test "the status of an only worker is passed on, whether it has served or not" {
    local expected end
    while read -r expected end; do
        run_once -w 1 -- sh -c "$end"
        ((status == expected))
        [[ $output == *"all workers have ended; exiting with $expected, "* ]]
    done <<'END'
0 exit 0
3 exit 3
255 exit 255
137 kill -KILL $$
143 kill -TERM $$
END
}

@test "the status is that of the first worker that failed, and is known when the last one has ended" {
    ends_on_demand
    start_broker -w 3 --once -- "$TMP/server" "$HOST" "$PORT"
    end_worker 0 0
    wait_until has_state 0 ended
    end_worker 1 7
    wait_until has_state 1 ended
    log_has 'worker 1 exited with status 7; it is not replaced (--once)'
    ! log_has 'worker 0 exited' || false
    all_answer 1
    status_is '.state == "degraded" and .ready == 1 and .wanted == 3'
    end_worker 2 9
    wait_for_broker
    ((STATUS == 7))
    log_has 'all workers have ended; exiting with 7, the status of the first that failed'
}

@test "a signal that somebody sent is an end as well, and an address of the worker that ended refuses clients" {
    ends_on_demand
    start_broker -w 2 --once -- "$TMP/server" "$HOST" "$PORT" "$((PORT + 1))"
    takes_clients "$HOST" "$((PORT + 1))"
    kill -KILL "$(worker_pid 0)"
    wait_until has_state 0 ended
    wait_until refuses_clients "$HOST" "$((PORT + 1))"
    all_answer 1
    end_worker 1 0
    wait_for_broker
    ((STATUS == 137))
}

@test "errors of the broker keep their codes, and are one line; the status of a worker with --quiet is none" {
    run_once -w 1 -- "$TMP/no-such-program"
    [[ $status == 127 && $output == *"cannot run"* && $output != *"all workers have ended"* ]]
    run_once -w 1 -- "$TMP"
    [[ $status == 126 && $output != *"all workers have ended"* ]]
    run_once -w 1..2 -- true
    [[ $status == 2 && $output == *"--once needs a fixed number of workers"* ]]
    run_once -w 0
    [[ $status == 2 && $output == *"with -w 0 there are none"* ]]
    run_once -w 1 -q -- sh -c 'exit 127'
    [[ $status == 127 && -z $output ]]
}

@test "who holds the address is said also where the server ends by itself" {
    ends_on_demand
    start_other python3 -c "import socket, time; s = socket.create_server(('$HOST', $PORT)); time.sleep(86400)"
    wait_until takes_clients "$HOST" "$PORT"
    run_once -w 1 -- python3 -c "
import socket
try:
    socket.create_server(('$HOST', $PORT))
except OSError:
    raise SystemExit(5)"
    [[ $status == 5 && $output == *"$ADDR"*"python3"* ]]
}

@test "a stop ends with 0 as ever, unless a worker had failed before" {
    ends_on_demand
    start_broker -w 2 --once -- "$TMP/server" "$HOST" "$PORT"
    end_worker 0 0
    wait_until has_state 0 ended
    stop_broker
    ((STATUS == 0))
    start_broker -w 2 --once -- "$TMP/server" "$HOST" "$PORT"
    end_worker 0 6
    wait_until has_state 0 ended
    stop_broker
    ((STATUS == 6))
}

@test "whom the operator ends is replaced, and a restart fills each slot" {
    ends_on_demand
    start_broker -w 2 --once --settle 0 -- "$TMP/server" "$HOST" "$PORT"
    local before
    before=$(worker_pid 0)
    "$SSHIM" kill 0 KILL --control "$CONTROL" 3>&-
    wait_until is_gone "$before"
    wait_until workers_ready 2
    end_worker 1 4
    wait_until has_state 1 ended
    run "$SSHIM" kill 1 --control "$CONTROL" 3>&-
    [[ $status == 1 && $output == *"has ended, and is not replaced (--once)"* ]]
    [[ $("$SSHIM" restart --control "$CONTROL" 3>&-) == "2 of 2 workers were replaced" ]]
    workers_ready 2
    end_worker 0 0
    end_worker 1 0
    wait_for_broker
    ((STATUS == 4))
}

@test "scale: more workers are started, and fewer than those that have not ended is the end" {
    ends_on_demand
    start_broker -w 1 --once -- "$TMP/server" "$HOST" "$PORT"
    "$SSHIM" scale 2 --control "$CONTROL" 3>&-
    end_worker 0 0
    wait_until has_state 0 ended
    all_answer 1
    run "$SSHIM" scale 1 --control "$CONTROL" 3>&-
    wait_for_broker
    ((STATUS == 0))
}

@test "an upgrade and the broker's death: what has ended stays so, and its status is known" {
    ends_on_demand
    start_broker -w 2 --once -- "$TMP/server" "$HOST" "$PORT"
    end_worker 0 8
    wait_until has_state 0 ended
    "$SSHIM" upgrade --control "$CONTROL" 3>&-
    has_state 0 ended
    all_answer 1
    end_worker 1 9
    wait_for_broker
    ((STATUS == 8))

    start_broker -w 2 --once -- "$TMP/server" "$HOST" "$PORT"
    end_worker 0 0
    wait_until has_state 0 ended
    kill -KILL "$BROKER"
    wait_for_broker
    ((STATUS == 137))
    wait_until has_state 0 ended
    all_answer 1
    end_worker 1 0
    wait_until log_has 'all workers have ended; exiting with 1'
    wait_until no_process_is_left
}

@test "a server that goes into the background goes on, and its status is that of the process that stays" {
    cat >"$TMP/daemon" <<END
#!/bin/sh
"$TMP/server" "$HOST" "$PORT" &
exit 0
END
    chmod +x "$TMP/daemon"
    ends_on_demand
    start_broker -w 1 --once -- "$TMP/daemon"
    all_answer 1
    end_worker 0 12
    wait_for_broker
    ((STATUS == 12))
}

@test "a start by seccomp after a launcher has bypassed the library is no end" {
    [[ -x $BUILD/tests/unloaded/victim ]]
    start_broker -w 2 --once -- sh -c 'exec "$0" accept "$1"' "$BUILD/tests/unloaded/victim" "$ADDR"
    status_is '[.workers[].via] | unique == ["seccomp"]'
    all_answer 2
    log_has 'starting all again by --intercept seccomp'
    stop_broker
    ((STATUS == 0))
}

# Some of the first writes of its journal are around the fork of the worker, when it has no pid yet, or nobody has got its notifications.
@test "a broker that is killed while it starts a worker by seccomp starts that again: it has not ended by itself" {
    ends_on_demand
    mkdir "$TMP/crash"
    cp "$BUILD"/libsshim.so "$BUILD"/sshim-* "$TMP/crash"
    cp "$BUILD/tests/sshim-crash" "$TMP/crash/sshim"
    local point
    for point in 5 6 7 8 9; do
        python3 -c 'import struct, sys; sys.stdout.buffer.write(struct.pack("3i", 0, int(sys.argv[1]), -1))' "$point" >"$TMP/points"
        CRASH_POINTS=$TMP/points "$TMP/crash/sshim" run --once -w 1 --intercept seccomp --control "$CONTROL" -- \
            "$TMP/server" "$HOST" "$PORT" 3>&- 2>"$TMP/log" &
        wait_until status_is '.ready == 1'
        log_has 'after a crash of the broker'
        "$SSHIM" stop --control "$CONTROL"
        wait_until no_process_is_left
    done
}

@test "a server that joined does not keep the broker" {
    ends_on_demand
    start_broker -w 1 --once -- "$TMP/server" "$HOST" "$PORT"
    start_other env SSHIM_BROKER="$CONTROL" LD_PRELOAD="$LIB" "$VICTIM" accept "$ADDR"
    wait_until status_is '.joined == 1'
    end_worker 0 11
    wait_for_broker
    ((STATUS == 11))
    wait_until is_gone "$OTHER"
}
