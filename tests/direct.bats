#!/usr/bin/env bats
# --handoff direct: what would break first where all copies share one open socket. `make direct` runs every victim so.

load victims.bash

setup() {
    VICTIM_OPTIONS="--handoff direct"
    victims_setup
}
teardown() { victims_teardown; }

@test "direct: a signal with SA_RESTART does not end accept, one without does" {
    victim victim_accept restarted
    victim victim_accept interrupted
}

@test "direct: shutdown ends a blocked accept with EINVAL, and listen works again" { victim victim_listen shutdown-wakes; }
@test "direct: a listener closed by exec is gone, and the next program binds again" { victim victim_proc reexec-cloexec; }
@test "direct: a program that only accepts on what it inherited is served" { victim victim_proc reexec-accept; }
@test "direct: a child that sets O_NONBLOCK sets it for the parent" { victim victim_wait nonblock-fork; }
@test "direct: a listener switched between waiting and not waiting does what was said last" { victim victim_wait nonblock-toggled; }
@test "direct: calls by number do what their names do" { victim victim_wait all-by-number; }
@test "direct: SO_RCVTIMEO ends accept with EAGAIN" { victim victim_wait timeout after; }

# Another copy, or an earlier moment of this one, made the shared socket non-blocking.
executed() {
    cat <<'PY'
import os, socket, sys
if len(sys.argv) == 2:
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    listener.setblocking(False)
    listener.setblocking(True)
    os.set_inheritable(listener.fileno(), True)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:], str(listener.fileno())])
listener = socket.socket(fileno=int(sys.argv[2]))
assert os.get_blocking(listener.fileno())
while True:
    connection, peer = listener.accept()
    connection.recv(100)
    connection.sendall(b"%s %d ok\n" % (os.environ["SSHIM_WORKER_ID"].encode(), peer[1]))
    connection.close()
PY
}

@test "direct: a program executed with a listener that blocks is blocked by it" {
    executed >"$T/server.py"
    start 3 -- /usr/bin/python3 "$T/server.py" "$PORT"
    probe "$PORT" 3
    "$SSHIM" status --json --control "$CONTROL" | jq -e '.listeners[0].direct >= 20'
    stop_clean
}

# A listener, and a program executed with it in which one thread ends the accept of another.
with_child() {
    cat <<'PY'
import os, signal, socket, sys, threading, time
if len(sys.argv) == 3:
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    os.set_inheritable(listener.fileno(), True)
    if os.fork() == 0:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:], str(listener.fileno())])
    signal.pause()
listener = socket.socket(fileno=int(sys.argv[3]))
def accept():
    try:
        listener.accept()
    except OSError as error:
        with open(sys.argv[2], "w") as out:
            print(error.errno, file=out)
thread = threading.Thread(target=accept)
thread.start()
for _ in range(1000):
    if open(f"/proc/self/task/{thread.native_id}/stat").read().rsplit(")", 1)[1].split()[0] == "S":
        break
    time.sleep(0.005)
listener.shutdown(socket.SHUT_RD)
thread.join()
PY
}

@test "direct: an only copy's child that has the listener over exec can end its own accept" {
    with_child >"$T/server.py"
    start 1 --share all -- /usr/bin/python3 "$T/server.py" "$PORT" "$T/errno"
    wait_for grep -qx 22 "$T/errno"
    stop_clean
}

# Inherits its listener twice, and serves on the second after it has closed the first. What is hidden has high numbers.
with_two() {
    cat <<'PY'
import os, socket, sys
if len(sys.argv) == 2:
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    numbers = [listener.fileno(), os.dup(listener.fileno())]
    for number in numbers:
        os.set_inheritable(number, True)
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:], *map(str, numbers)])
first, second = (socket.socket(fileno=int(n)) for n in sys.argv[2:])
hidden = sum(int(n) >= 500 for n in os.listdir("/proc/self/fd"))
first.close()
while True:
    connection, peer = second.accept()
    connection.recv(100)
    ok = b"ok" if hidden == 1 else b"%d hidden" % hidden
    connection.sendall(b"%s %d %s\n" % (os.environ["SSHIM_WORKER_ID"].encode(), peer[1], ok))
    connection.close()
PY
}

@test "direct: a listener that is inherited twice is one listener" {
    with_two >"$T/server.py"
    start 2 -- /usr/bin/python3 "$T/server.py" "$PORT"
    probe "$PORT" 2
    stop_clean
}

@test "direct: one accept is all that a connection costs a copy that blocks" {
    start 3 -- strace -D -f -qq -e trace=accept,accept4,poll -o "$T/trace" "$PROGS/victim_fd" fd0 "$PORT"
    probe "$PORT" 3
    stop_clean
    ! grep -q 'poll(' "$T/trace"
}

# took_over OLD NEW: a broker that begins with another --handoff than the one that was killed serves on all the same.
took_over() {
    VICTIM_OPTIONS="--handoff $1" start 2 -- "$PROGS/victim_fd" fd0 "$PORT"
    kill -KILL "$BROKER"
    wait "$BROKER" || true
    wait_for "$SSHIM" status --control "$CONTROL"
    VICTIM_OPTIONS="--handoff $2" start 2 -- "$PROGS/victim_fd" fd0 "$PORT"
    probe "$PORT" 2
    grep -q -- "--handoff stays $1" "$T/err"
    "$SSHIM" stop --control "$CONTROL"
    wait "$BROKER"
    BROKER=
}

@test "direct: workers that a broker with another --handoff takes over serve on as they began" {
    took_over direct auto
    took_over auto direct
}
