#!/usr/bin/env bats
# Uncommon orders of bind, listen, shutdown and connect, and the kinds of address.

load victims.bash

setup() { victims_setup; }
teardown() { victims_teardown; }

@test "listen called three times is served" { victim victim_listen twice; }
@test "listen(0) and then again with a number is served" { victim victim_listen zero-first; }
@test "listen(0) alone is served" { victim victim_listen zero-only; }
@test "listen(-1) is served" { victim victim_listen negative; }
@test "each of a hundred loops that had the socket before bind hears of its connections" { victim victim_listen many-loops; }
@test "bind takes less than 2 KiB of stack" { victim victim_listen small-stack; }
@test "a listener shut down and listened on again is served" { victim victim_listen shutdown; }
@test "shutdown ends a blocked accept with EINVAL, and listen works again" { victim victim_listen shutdown-wakes; }
@test "a second bind in one process fails with EADDRINUSE and breaks nothing" { victim victim_listen bind-twice; }
@test "a second bind with SO_REUSEPORT on both is a second listener" { victim victim_listen reuseport; }
@test "a listener on port 0 is each copy's own" { victim victim_listen port-zero; }
@test "listen without bind is the kernel's business" { victim victim_listen unbound; }
@test "a UDP socket on the same number stays native" { victim victim_listen udp; }

@test "a socket bound and then connected is a client with that source port" {
    victim victim_listen connect "$(free_port)"
}

@test "data listeners made after the first accept are each copy's own" {
    victim victim_listen data "$(free_port)"
}

@test "IPv4 peers of a dual-stack listener have mapped addresses" {
    start 3 -- "$PROGS/victim_listen" dual "$PORT"
    probe "127.0.0.1:$PORT" 3
    probe "[::1]:$PORT" 3
    stop_clean
}

@test "an IPv6-only listener leaves the IPv4 address to another" {
    start 3 -- "$PROGS/victim_listen" dual "$PORT" v6only
    probe "[::1]:$PORT" 3
    probe "127.0.0.1:$PORT" 3
    stop_clean
}

@test "a path that every copy removes and binds again stays everybody's" {
    start 3 -- "$PROGS/victim_listen" path 0 "$T/path.sock"
    probe "$T/path.sock" 3
    stop_clean
    run ls -A "$T"
    [[ $output != *path* && $output != *.sshim* ]]
}

# chmod after bind, fchmod before it, and the umask: what each copy set is what it sees.
path_modes() {
    cat <<'PY'
import os, socket, stat, sys
path = sys.argv[1]
os.umask(0o027)
def mode(path): return stat.S_IMODE(os.stat(path).st_mode)
if os.path.exists(path):
    os.unlink(path)
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()
os.chmod(path, 0o662)
assert mode(path) == 0o662, oct(mode(path))
assert stat.S_ISSOCK(os.stat(path).st_mode) and os.stat(path).st_uid == os.geteuid()
while True:
    connection, _ = listener.accept()
    connection.recv(100)
    connection.sendall(b"%s 0 ok\n" % os.environ["SSHIM_WORKER_ID"].encode())
    connection.close()
PY
}

@test "the rights of a path are those that every copy gave it" {
    path_modes >"$T/server.py"
    start 3 -- python3 "$T/server.py" "$T/path.sock"
    [ "$(stat -c %a "$T/path.sock")" = 662 ]
    probe "$T/path.sock" 3
    [ "$(stat -c %a "$T/path.sock")" = 662 ]
    stop_clean
}

@test "a relative path is shared as well" {
    cd "$T"
    start 3 -- "$PROGS/victim_listen" path 0 path.sock
    probe "$T/path.sock" 3
    stop_clean
}

@test "a path bound twice in one copy fails with EADDRINUSE" {
    start 3 -- "$PROGS/victim_listen" path-in-use 0 "$T/path.sock"
    probe "$T/path.sock" 3
    stop_clean
}

@test "an abstract name is shared" {
    start 3 -- "$PROGS/victim_listen" abstract 0 "victim-$PORT"
    probe "@victim-$PORT" 3
    stop_clean
}

@test "eight listeners of one server are all served by all copies" {
    start 3 -- "$PROGS/victim_listen" many "$PORT" 8
    for i in 0 1 2 3 4 5 6 7; do
        probe "$((PORT + i))" 3
    done
    stop_clean
}

all_listen() { # COPIES
    [ "$(grep -c "all listen" "$T/out")" = "$1" ]
}

@test "a hundred listeners of one server are all served by all copies" {
    start 2 -- "$PROGS/victim_listen" crowd "$PORT" 100
    wait_for all_listen 2
    for i in 1 64 65 100; do
        probe "127.0.1.$i:$PORT" 2
    done
    stop_clean
}

@test "more listeners than can be shared are served by the copy alone, which says so" {
    start 1 -- "$PROGS/victim_listen" crowd "$PORT" 270
    WAIT_MAX_S=90 wait_for all_listen 1
    probe "127.0.1.1:$PORT" 1
    probe "127.0.1.255:$PORT" 1
    probe "127.0.2.13:$PORT" 1
    [ "$(grep -c "shares 256 listeners, the most it can" "$T/err")" = 1 ]
    "$SSHIM" stop --control "$CONTROL"
    wait "$BROKER"
    wait_for nothing_of_ours
}
