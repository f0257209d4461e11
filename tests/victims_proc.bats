#!/usr/bin/env bats
# Servers that fork, exec, daemonise, change their root or their user; other preloaded libraries.

load victims.bash

setup() {
    victims_setup
    mkdir "$T/jail"
    chmod 711 "$T"
}
teardown() { victims_teardown; }

@test "a listener that is inherited over exec is served" { victim victim_proc reexec; }
@test "a program that only accepts on what it inherited is served" { victim victim_proc reexec-accept; }
@test "a socket bound before exec listens after it" { victim victim_proc reexec-bound; }
@test "a listener closed by exec is gone, and the next program binds again" { victim victim_proc reexec-cloexec; }
@test "exec with an environment that cannot be read gives EFAULT" { victim victim_proc exec-bad-environment; }
@test "children that exec with the listener are served" { victim victim_proc exec-in-child; }
@test "a listener passed to a child by SCM_RIGHTS is served" { victim victim_proc passed; }
@test "a listener passed by SCM_RIGHTS to another program is served" { victim victim_proc passed exec; }
@test "a socket-activated server finds its listener on fd 3" { victim victim_proc activate; }
@test "a server that writes its title over its environment is served" { victim victim_proc title; }
@test "a server that writes its title over its environment and then daemonises is served" {
    start 3 -- "$PROGS/victim_proc" title-daemon "$PORT"
    probe "$PORT" 3
    # the pid of each slot is the one whose death empties it
    local pid
    pid=$("$SSHIM" status --json --control "$CONTROL" | jq '.workers[1].pid')
    kill -KILL "$pid"
    wait_for slot_one_is_served_again
    probe "$PORT" 3
    local restarts
    restarts=$("$SSHIM" status --json --control "$CONTROL" | jq -c '[.workers[].restarts]')
    echo "$restarts"
    [[ $restarts == "[0,1,0]" ]]
    "$SSHIM" stop --control "$CONTROL"
    wait "$BROKER"
    BROKER=
}

slot_one_is_served_again() {
    "$SSHIM" status --json --control "$CONTROL" |
        jq -e '.workers[1] | .restarts == 1 and (.state == "ready" or .state == "busy")' >"$T/status"
}

has_ended() { # PID
    ! kill -0 "$1" 2>/dev/null
}

@test "a child that a killed worker leaves is ended though its environment and its listener are gone" {
    start 2 -- "$PROGS/victim_proc" title-child "$PORT" "$T/child"
    wait_for test -s "$T/child.0"
    wait_for test -s "$T/child.1"
    local child other
    child=$(cat "$T/child.1")
    other=$(cat "$T/child.0")
    kill -KILL "$("$SSHIM" status --json --control "$CONTROL" | jq '.workers[1].pid')"
    wait_for has_ended "$child"
    kill -0 "$other"
    probe "$PORT" 2
    "$SSHIM" stop --control "$CONTROL"
    wait "$BROKER"
    BROKER=
    wait_for has_ended "$other"
}

@test "a server that daemonises and then listens is served" { victim victim_proc daemon-before; }
@test "a server that listens and then daemonises is served" { victim victim_proc daemon-after; }
@test "a server that calls daemon() between bind and listen is served" { victim victim_proc daemon-between; }
@test "vfork children that close everything leave the parent's listener alone" { victim victim_proc vfork; }

@test "vfork children that put other files on our numbers change nothing here" {
    start 1 --share all -- "$PROGS/victim_proc" vfork-dup "$PORT"
    probe "$PORT" 1
    stop_clean
}

@test "a server that pre-forks by itself is served" { victim victim_proc prefork; }
@test "a server that runs a program for each connection is served" { victim victim_proc exec-per-connection; }

need_root() {
    [ "$(id -u)" -eq 0 ] || skip "only root can chroot and setuid"
}

for_when() {
    need_root
    start 3 -- "$PROGS/victim_proc" "$1" "$PORT" "$2:$T/jail"
    probe "$PORT" 3
    stop_clean
}

@test "chroot before bind" { for_when chroot before; }
@test "chroot between bind and listen" { for_when chroot between; }
@test "chroot after listen" { for_when chroot after; }
@test "setuid before bind" { for_when setuid before; }
@test "setuid between bind and listen" { for_when setuid between; }
@test "setuid after listen" { for_when setuid after; }
@test "chroot and setuid before bind" { for_when jail before; }
@test "chroot and setuid between bind and listen" { for_when jail between; }
@test "chroot and setuid after listen" { for_when jail after; }

@test "a Python server that runs programs between its connections is served" {
    cat >"$T/server.py" <<'PY'
import os, socket, subprocess, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
subprocess.run(["true"], close_fds=True, check=True)
while True:
    connection, peer = listener.accept()
    connection.recv(100)
    words = subprocess.run(["echo", os.environ["SSHIM_WORKER_ID"], str(peer[1])], close_fds=True,
                           capture_output=True).stdout
    connection.sendall(words.strip() + b" ok\n")
    connection.close()
PY
    start 3 -- python3 "$T/server.py" "$PORT"
    probe "$PORT" 3
    stop_clean
}

@test "a server in a module that is loaded at run time is served" { victim victim_load plain; }
@test "a server in a module that prefers its own libraries (RTLD_DEEPBIND) is served" { victim victim_load deepbind; }

# Another library that stands in front of the same calls, before and behind ours.
stacked() {
    start 3 -- env LD_PRELOAD="$1" "$PROGS/victim_wait" epoll-before-bind "$PORT"
    probe "$PORT" 3
    stop_clean
}

@test "another preloaded library behind ours sees and breaks nothing" {
    stacked "$BUILD/libsshim.so:$PROGS/preload.so"
}

@test "another preloaded library in front of ours sees and breaks nothing" {
    stacked "$PROGS/preload.so:$BUILD/libsshim.so"
}

@test "another preloaded library in front of ours that refuses descriptors, as torsocks, does not concern ours" {
    stacked "$PROGS/refuses_fds.so:$BUILD/libsshim.so"
}

@test "another preloaded library, which asks the kernel by syscall(), behaves behind ours and in front of it" {
    local library
    for library in by_number by_number-jump; do
        stacked "$BUILD/libsshim.so:$PROGS/$library.so"
        stacked "$PROGS/$library.so:$BUILD/libsshim.so"
    done
}

# The listener is closed on exec and handed down by other means, with an environment that has nothing of ours.
handed_down() { # HOW
    cat >"$T/parent.py" <<'PY'
import ctypes, os, signal, socket, sys
how, port, child = sys.argv[1:]
listener = socket.create_server(("127.0.0.1", int(port)))
argv = [sys.executable, child, "9"]
if how == "actions":
    pid = os.posix_spawn(argv[0], argv, {}, file_actions=[(os.POSIX_SPAWN_DUP2, listener.fileno(), 9)])
    listener.close()
    signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
    os.waitpid(pid, 0)
    sys.exit(0)
os.dup2(listener.fileno(), 9)
libc = ctypes.CDLL(None)
names = (ctypes.c_char_p * 4)(*[a.encode() for a in argv], None)
libc.execveat(-100, argv[0].encode(), names, (ctypes.c_char_p * 1)(None), 0)
PY
    cat >"$T/child.py" <<'PY'
import os, socket, sys
listener = socket.socket(fileno=int(sys.argv[1]))
while True:
    connection, peer = listener.accept()
    with connection:
        connection.recv(100)
        connection.sendall(b"%s %d ok\n" % (os.environb.get(b"SSHIM_WORKER_ID", b"x"), peer[1]))
PY
    start 3 -- python3 "$T/parent.py" "$1" "$PORT" "$T/child.py"
    probe "$PORT" 3
    stop_clean
}

@test "a listener handed down by file actions of posix_spawn, in an empty environment, is served" { handed_down actions; }
@test "a listener handed down by execveat, in an empty environment, is served" { handed_down execveat; }

@test "a library that was preloaded already is kept" {
    # a broker built with AddressSanitizer wants its library first
    ASAN_OPTIONS=verify_asan_link_order=0 LD_PRELOAD="$PROGS/preload.so" start 3 -- "$PROGS/victim_fd" dup2-away "$PORT"
    grep -q preload.so "/proc/$(ours | head -n 1)/maps"
    probe "$PORT" 3
    stop_clean
}
