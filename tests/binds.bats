# What natively is one bind is one here: as a lock, of an address that was given up, of a socket that is no listener.
load helpers

worker() { # reads a Python program from stdin; sets up s(), which makes a stream socket, and serve()
    cat - >"$TMP/worker.body"
    cat >"$TMP/worker.py" <<'PY'
import errno, os, socket, sys, time
HOST, PORT = sys.argv[1], int(sys.argv[2])
def s(family=socket.AF_INET):
    made = socket.socket(family)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return made
def serve(listener, text=b"right"):
    listener.listen(64)
    while True:
        c, _ = listener.accept()
        c.sendall(text)
        c.close()
PY
    cat "$TMP/worker.body" >>"$TMP/worker.py"
}

ask() {
    python3 -c 'import socket,sys; print(socket.create_connection((sys.argv[1], int(sys.argv[2])), 20).recv(100).decode())' "$@"
}

bind_as_a_lock() { # ROUNDS IDLE: rounds of four children that bind, beside idle ones with many descriptors
    worker <<'PY'
ROUNDS, IDLE = int(sys.argv[3]), int(sys.argv[4])
for _ in range(IDLE):
    if os.fork() == 0:
        for _ in range(100):
            os.dup(1)
        while True:
            time.sleep(60)
listener = s(); listener.bind((HOST, PORT)); listener.listen(64)
wins = []
for _ in range(ROUNDS):
    go_r, go_w = os.pipe(); said_r, said_w = os.pipe(); end_r, end_w = os.pipe()
    children = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            os.close(go_w); os.close(end_w); os.read(go_r, 1)
            lock = socket.socket()
            try:
                lock.bind((HOST, PORT + 1)); os.write(said_w, b"w")
            except OSError:
                os.write(said_w, b"l")
            os.read(end_r, 1); os._exit(0)
        children.append(pid)
    os.close(go_r); os.close(end_r); os.close(go_w)
    said = b""
    while len(said) < 4:
        said += os.read(said_r, 4)
    os.close(end_w)
    for pid in children:
        os.waitpid(pid, 0)
    os.close(said_r); os.close(said_w)
    wins.append(said.count(b"w"))
serve(listener, b"right" if wins == [1] * ROUNDS else repr(wins).encode())
PY
    start_broker -w 1 -- python3 "$TMP/worker.py" "$HOST" "$PORT" "$@"
    [[ $(ask "$HOST" "$PORT") == right ]]
    stop_broker
}

says() { # ANSWER
    [[ $(ask "$HOST" "$PORT" 2>/dev/null) == "$1" ]]
}

@test "children of one copy that bind one address at the same moment: one of them gets it" { bind_as_a_lock 15 0; }
@test "the same in a copy with many processes, at which a look takes long" { bind_as_a_lock 4 10; }

@test "an address that was given up is free for one that overlaps it" {
    worker <<'PY'
wrong = 0
for round in range(15):
    for listens in False, True:
        for first, second in (HOST, "0.0.0.0"), ("0.0.0.0", HOST):
            a = s(); a.bind((first, PORT))
            if listens:
                a.listen(5)
            a.close()
            b = s()
            try:
                b.bind((second, PORT))
            except OSError as error:
                wrong += 1
            b.close()
listener = s(); listener.bind((HOST, PORT))
serve(listener, b"right" if wrong == 0 else b"%d of 60 binds failed" % wrong)
PY
    start_broker -w 1 -- python3 "$TMP/worker.py" "$HOST" "$PORT"
    wait_until says right # a client that comes while one of the first listeners ends is reset
    stop_broker
}

@test "a socket file that was given up can be removed and bound again at once" {
    worker <<'PY'
path, wrong = sys.argv[3], 0
for round in range(60):
    for listens in False, False, True, False:
        if round or os.path.exists(path):
            os.unlink(path)
        try:
            made = socket.socket(socket.AF_UNIX); made.bind(path)
            if listens:
                made.listen(5)
            made.close()
        except OSError as error:
            wrong += 1
listener = s(); listener.bind((HOST, PORT))
serve(listener, b"right" if wrong == 0 else b"%d of 240 binds failed" % wrong)
PY
    start_broker -w 1 -- python3 "$TMP/worker.py" "$HOST" "$PORT" "$TMP/socket"
    wait_until says right
    stop_broker
    rm -f "$TMP/socket" # as natively: closing leaves the file
}

@test "a socket that is connected stays so when it is bound to a name" {
    worker <<'PY'
quiet = socket.socket(socket.AF_UNIX); quiet.bind("\0" + sys.argv[3]); quiet.listen(5)
client = socket.socket(socket.AF_UNIX); client.connect("\0" + sys.argv[3])
client.bind("\0" + sys.argv[3] + "-client")
client.sendall(b"still there")
c, _ = quiet.accept()
text = c.recv(100)
right = text == b"still there" and c.getpeername() == ("\0" + sys.argv[3] + "-client").encode()
listener = s(); listener.bind((HOST, PORT))
serve(listener, b"right" if right else text)
PY
    start_broker -w 1 -- python3 "$TMP/worker.py" "$HOST" "$PORT" "sshim-binds-$BASHPID"
    [[ $(ask "$HOST" "$PORT") == right ]]
    stop_broker
}

@test "bind with no family and every address is IPv4: all copies share it" {
    start_broker -w 2 -- "$BUILD/tests/progs/victim_listen" family-0 "$PORT"
    status_is ".listeners[0].address == \"0.0.0.0:$PORT\" and (.listeners | length) == 1"
    workers_ready 2
    stop_broker
}

@test "a call that comes before the C library has set the environment leaves the copy a worker" {
    start_broker -w 2 -- "$BUILD/tests/progs/victim_early" accept "$PORT"
    workers_ready 2
    stop_broker
}

@test "closefrom closes where the kernel refuses close_range, and close_range says so" {
    local error
    for error in ENOSYS EPERM; do
        start_broker -w 2 -- "$BUILD/tests/progs/victim_early" "no-close-range-$error" "$PORT"
        workers_ready 2
        stop_broker
    done
}

each_copy_answers() { # COUNT
    local end=$((SECONDS + DEADLINE_S)) seen=
    until [[ $(tr ' ' '\n' <<<"$seen" | sort -u | grep -c .) == "$1" ]]; do
        seen+=" $(ask "$HOST" "$PORT")" || sleep 0.1
        ((SECONDS < end)) || { echo "answered: $seen"; return 1; }
    done
}

@test "a server whose own processes have connected to it before it binds its port is shared" {
    cat >"$TMP/server.py" <<'PY'
import multiprocessing, os, socket, sys
if __name__ == "__main__":
    if sys.argv[3] == "manager":
        shared = multiprocessing.Manager().dict()
        shared["x"] = 1
    else: # its listener is handed to a program that a vfork child executes, and closed here
        multiprocessing.set_start_method("forkserver")
        process = multiprocessing.Process(target=len, args=("",))
        process.start()
        process.join()
    listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
    while True:
        connection, _ = listener.accept()
        connection.sendall(os.environ["SSHIM_WORKER_ID"].encode())
        connection.close()
PY
    local kind
    for kind in manager forkserver; do
        start_broker -w 3 --stop-timeout 1 -- python3 "$TMP/server.py" "$HOST" "$PORT" "$kind"
        each_copy_answers 3
        stop_broker
        ! grep -qE 'exited|failing' "$TMP/log" || return 1
        rm "$TMP/log"
    done
}

# has_child_by_number EXPRESSION: libc.syscall with it forks, and the parent closes the listener.
has_child_by_number() {
    worker <<PY
import ctypes, os, platform, signal
listener = s(); listener.bind((HOST, PORT)); listener.listen(64)
libc = ctypes.CDLL(None)
machine = platform.machine()
if $1 == 0:
    serve(listener)
listener.close()
signal.pause()
PY
    start_broker -w 2 --stop-timeout 1 -- python3 "$TMP/worker.py" "$HOST" "$PORT"
    for _ in {1..10}; do
        [[ $(ask "$HOST" "$PORT") == right ]]
    done
    stop_broker
}

@test "a child that was made by number keeps the listener that its parent closes" {
    has_child_by_number 'libc.syscall({"x86_64": 56, "i686": 120}.get(machine, 220), int(signal.SIGCHLD), 0, 0, 0, 0)'
    # clone3(2), the same number everywhere; its arguments in memory: flags, pidfd, ids, exit_signal, stack ...
    has_child_by_number 'libc.syscall(435, (ctypes.c_uint64 * 8)(0, 0, 0, 0, int(signal.SIGCHLD)), 64)'
}

# serves_blind PRELUDE: registered in two epoll descriptors before bind, one of them changed since; then the PRELUDE, and no /proc.
serves_blind() {
    worker <<PY
import ctypes, select, struct
listener = s()
idle, busy = select.epoll(), select.epoll()
idle.register(listener, 0)
busy.register(listener, select.EPOLLPRI)
busy.modify(listener, select.EPOLLIN)
for _ in range(3): # the number of what is closed by now is no registration
    with socket.socket() as other:
        busy.register(other, select.EPOLLIN)
$1
try:
    os.listdir("/proc/self/fd")
    sys.exit("there is a /proc")
except OSError:
    pass
listener.bind((HOST, PORT)); listener.listen(64); listener.setblocking(False)
while True:
    for fd, _ in busy.poll():
        assert fd == listener.fileno()
        try:
            c, _ = listener.accept()
        except BlockingIOError:
            continue
        c.sendall(b"right %d" % os.getpid())
        c.close()
PY
    start_broker -w 3 -- python3 "$TMP/worker.py" "$HOST" "$PORT" "$TMP"
    wait_until workers_ready 3
    : >"$TMP/answers"
    wait_until all_three_answer
    stop_broker
}

all_three_answer() {
    ask "$HOST" "$PORT" >>"$TMP/answers"
    [[ $(grep -c right "$TMP/answers") -ge 6 && $(sort -u "$TMP/answers" | wc -l) == 3 ]]
}

@test "an event loop that was set up before bind is kept where /proc is out of reach after chroot" {
    needs_root
    serves_blind 'os.chroot(sys.argv[3]); os.chdir("/")'
}

@test "an event loop that was set up before bind is kept where Landlock forbids /proc" {
    python3 -c 'import ctypes, sys
sys.exit(ctypes.CDLL(None).syscall(444, None, 0, 1) < 1)' || skip "this kernel has no Landlock"
    # what it handles: READ_FILE and READ_DIR; no_new_privs; restrict
    serves_blind 'libc = ctypes.CDLL(None)
rules = libc.syscall(444, struct.pack("Q", 12), 8, 0)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.syscall(446, rules, 0) == 0
os.close(rules)'
}

# Other processes of the machine, with so many files that no turn sees all of them. They end with the test.
open_many_files() {
    mkfifo "$TMP/opened"
    env -u SSHIM_TEST python3 - >"$TMP/opened" 3>&- <<'PY' &
import ctypes, os, resource, signal
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
most = min(18000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
end_r, end_w = os.pipe()
for fd in range(end_w + 1, most):
    os.dup2(end_r, fd)
for _ in range(4):
    if os.fork() == 0:
        os.close(end_w)
        os.read(end_r, 1)
        os._exit(0)
print("opened", flush=True)
signal.pause()
PY
    local said
    read -r said <"$TMP/opened"
    [[ $said == opened ]]
}

# Two of these writes of its journal are those of a channel whose grant is not sent yet.
answered_by_the_next() { # ADDRESS
    open_many_files
    mkdir "$TMP/crash"
    cp "$BUILD"/libsshim.so "$BUILD"/sshim-* "$TMP/crash"
    cp "$BUILD/tests/sshim-crash" "$TMP/crash/sshim"
    local point
    for point in 10 11 12; do
        python3 -c 'import struct, sys; sys.stdout.buffer.write(struct.pack("3i", 0, int(sys.argv[1]), -1))' "$point" >"$TMP/points"
        CRASH_POINTS=$TMP/points "$TMP/crash/sshim" run -v -w 1 --control "$CONTROL" -- \
            "$BUILD/bench/server" epoll-one "$1" 3>&- 2>"$TMP/log" &
        wait_until status_is '.ready == 1'
        echo "point $point"
        log_has 'after a crash of the broker'
        [[ $(<"$TMP/log") != *"cannot bind"* ]]
        "$SSHIM" stop --control "$CONTROL"
        wait_until no_process_is_left
    done
}

@test "a broker that is killed before it answers a bind: the next one answers it, however many files the machine has open" {
    answered_by_the_next "$ADDR"
}

@test "a broker that is killed before it answers a bind of a path: the next one answers it in the same way" {
    answered_by_the_next "unix:$TMP/s"
}
