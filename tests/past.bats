#!/usr/bin/env bats
# Programs that reach the kernel past the library though it is loaded: recognised, said, with the remedy.

load victims.bash

setup() { victims_setup; }
teardown() { victims_teardown; }

says() { # TEXT
    grep -qF -- "$1" "$T/err"
}

# start, without waiting for its copies
launch() { # OPTION... -- COMMAND...
    : >"$T/ready"
    "$SSHIM" run -w 2 --control "$CONTROL" --ready-fd 9 "$@" 9>"$T/ready" 3>&- >"$T/out" 2>"$T/err" &
    BROKER=$!
}

stop_any() {
    "$SSHIM" stop --control "$CONTROL"
    wait "$BROKER" || true
    BROKER=
    wait_for nothing_of_ours
}

@test "a server that calls libc past the library is started again by the other way, and served" {
    start 2 -- "$PROGS/victim_past" everything "$PORT"
    says "listens on 127.0.0.1:$PORT past the library"
    says "starting all again by --intercept seccomp"
    probe "$PORT" 2
    stop_any
}

@test "where the other way was ruled out, it is said that a server calls past the library" {
    launch --intercept preload -- "$PROGS/victim_past" everything "$PORT"
    wait_for says "listens on 127.0.0.1:$PORT past the library"
    says "give --intercept seccomp"
    stop_any
}

@test "a server that waits by io_uring is told of within seconds, with the remedy" {
    start 2 -- "$PROGS/victim_ring" accept "$PORT"
    wait_for says "by io_uring"
    says "give --handoff direct"
    stop_any
}

@test "the remedy: under --handoff direct a server that waits by io_uring is served" {
    start 2 --handoff direct -- "$PROGS/victim_ring" accept "$PORT"
    probe "$PORT" 2
    stop_clean
}

@test "nothing is said of a server that waits by epoll and has an io_uring, as libuv" {
    local worker
    start 2 --verbose -- "$PROGS/victim_ring" epoll "$PORT"
    for worker in 0 1; do wait_for says "looked whether worker $worker waits by io_uring"; done
    probe "$PORT" 2
    stop_any
    ! says "seems to wait" || false
}

@test "nothing is said of a server that listens by itself on a port of its own choice" {
    cat >"$T/server.py" <<'END'
import socket, sys, time
own = socket.create_server(("127.0.0.1", 0))
time.sleep(3) # longer than the looks at a copy that starts
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    connection, _ = listener.accept()
    connection.close()
END
    start 2 -- python3 "$T/server.py" "$PORT"
    stop_clean
}
