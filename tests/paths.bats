#!/usr/bin/env bats
# The file of an AF_UNIX listener: every copy unlinks it before it binds, and when it ends.

load helpers

# Connects again and again until the file "done" is there; prints how often it worked, and every other outcome.
connect_until_done() {
    python3 - "$TMP/server.sock" "$TMP/done" <<'P'
import collections, os, socket, sys
outcomes = collections.Counter()
while not os.path.exists(sys.argv[2]) and sum(outcomes.values()) < 200000:
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(sys.argv[1])
            s.sendall(b"x")
            outcomes["answered" if s.recv(100) else "empty"] += 1
    except OSError as error:
        outcomes[type(error).__name__] += 1
print(*(f"{k}={v}" for k, v in sorted(outcomes.items())))
P
}

unlinking_server() {
    cat >"$TMP/server.py" <<'P'
import os, signal, socket, sys
path = sys.argv[1]
if os.path.exists(path):
    os.unlink(path)
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen(5)
def end(*_):
    if os.path.exists(path):
        os.unlink(path)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
while True:
    connection, _ = listener.accept()
    with connection:
        connection.recv(100)
        connection.sendall(b"pid %d\n" % os.getpid())
P
    start_broker -w 3 -- python3 "$TMP/server.py" "$TMP/server.sock"
}

@test "copies that unlink the socket file, at their start and end, never cut a client off" {
    unlinking_server
    connect_until_done >"$TMP/outcomes" 3>&- &
    local client=$!
    "$SSHIM" restart --control "$CONTROL"
    "$SSHIM" restart --control "$CONTROL"
    touch "$TMP/done"
    wait "$client"
    cat "$TMP/outcomes"
    [[ $(<"$TMP/outcomes") =~ ^answered=[0-9]+$ ]]
    stop_broker
    [[ ! -e $TMP/server.sock ]]
}

# Looks by connect() whether somebody answers at any of the files, binds them all, and says what it saw.
looking_server() {
    cat >"$TMP/server.py" <<'P'
import contextlib, errno, os, select, socket, sys
listeners = []
for path in sys.argv[1:]:
    with socket.socket(socket.AF_UNIX) as look:
        error = look.connect_ex(path.replace("@", "\0"))
    print(errno.errorcode.get(error, error), flush=True)
    if not error:
        sys.exit("another one is running")
    if os.path.exists(path):
        os.unlink(path)
    listeners.append(socket.socket(socket.AF_UNIX))
    listeners[-1].bind(path.replace("@", "\0"))
    listeners[-1].listen(5)
while True:
    for ready in select.select(listeners, [], [])[0]:
        connection, _ = ready.accept()
        with connection, contextlib.suppress(BrokenPipeError): # by a copy that has looked at this moment
            connection.recv(100)
            connection.sendall(b"pid %d\n" % os.getpid())
P
    start_broker "$@" -- python3 "$TMP/server.py" "$TMP/server.sock" "$TMP/second.sock" "@sshim-test-$PORT"
}

@test "a server that looks by connect whether its files and names are free starts in each copy, and anew" {
    looking_server -w 3
    [[ $(grep -cxE 'ENOENT|ECONNREFUSED' "$TMP/out") == 9 ]]
    "$SSHIM" restart --control "$CONTROL"
    workers_ready 3
    [[ $(tail -n +10 "$TMP/out" | grep -cx ECONNREFUSED) == 9 ]]
    run grep -q "another one" "$TMP/log"
    ((status != 0))
    stop_broker
}

both_listen() {
    [[ $(grep -cx listens "$TMP/out") == 2 ]]
}

# Copy 1 looks; its connect() is held up until copy 0 listens. Then the same socket goes elsewhere, as a client.
@test "copies that look by connect at the same moment do not meet, whatever socket they look with" {
    cat >"$TMP/server.py" <<'P'
import errno, os, select, socket, sys, time
folder, host, port, second, other = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
place = lambda name: os.path.join(folder, name)
looks = [((host, port), True), ((host, second), False), (place("server.sock"), True), (place("second.sock"), False),
         ("\0sshim-test-%d" % port, True), ("\0sshim-test-%d" % second, False)]
outside = {socket.AF_INET: (host, other), socket.AF_UNIX: place("outside.sock")}
family = lambda address: socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
def wait_for(name):
    while not os.path.exists(place(name)):
        time.sleep(0.001)
    os.unlink(place(name))
def listen(address):
    listener = socket.socket(family(address))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(address)
    listener.listen(5)
    return listener
def look(address, waits):
    s = socket.socket(family(address))
    s.setblocking(waits)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, bytes([7]) + bytes(15))
    dup, epoll = s.dup(), select.epoll()
    epoll.register(dup, select.EPOLLOUT)
    open(place("gate"), "w").close()
    found = s.connect_ex(address)
    open(place("looked"), "w").close()
    same = (os.fstat(s.fileno()).st_ino == os.fstat(dup.fileno()).st_ino, os.get_inheritable(s.fileno()), os.get_blocking(s.fileno()),
            s.getsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, 16)[0], s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
    s.connect_ex(outside[s.family])
    ready = epoll.poll(20) == [(dup.fileno(), select.EPOLLOUT)]
    print(errno.errorcode.get(found, found), same == (True, False, waits, 7, 0), ready, dup.getpeername() == outside[s.family], flush=True)
listeners = []
if os.environ["SSHIM_WORKER_ID"] == "1":
    for each in looks:
        look(*each)
    listeners = [listen(address) for address, _ in looks]
else:
    for address, _ in looks:
        wait_for("held")
        listeners.append(listen(address))
        open(place("go"), "w").close()
        wait_for("looked")
print("listens", flush=True)
while True:
    for ready in select.select(listeners, [], [])[0]:
        ready.accept()[0].close()
P
    python3 - "$HOST" "$TMP/outside.sock" >"$TMP/outside" 3>&- <<'P' &
import signal, socket, sys
tcp, unix = socket.create_server((sys.argv[1], 0)), socket.socket(socket.AF_UNIX)
unix.bind(sys.argv[2])
unix.listen(10)
print(tcp.getsockname()[1], flush=True)
signal.pause()
P
    local outside=$!
    wait_until test -s "$TMP/outside"
    LATE_CONNECT=$TMP ASAN_OPTIONS=verify_asan_link_order=0 LD_PRELOAD=$BUILD/tests/progs/late_connect.so \
        start_broker -w 2 -- python3 "$TMP/server.py" "$TMP" "$HOST" "$PORT" "$("$PROBE" --free-port)" "$(<"$TMP/outside")"
    wait_until both_listen
    [[ $(grep -cx "ECONNREFUSED True True True" "$TMP/out") == 6 ]]
    stop_broker
    kill "$outside"
    rm "$TMP/outside.sock"
}

@test "a worker that listens reaches what the pool shares as a client, and so does a program that joined" {
    cat >"$TMP/server.py" <<'P'
import os, socket, sys, time
address = sys.argv[1], int(sys.argv[2])
if os.environ["SSHIM_WORKER_ID"] == "0":
    listener = socket.create_server(address)
else:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[3])
    listener.listen(5)
    while (error := socket.socket().connect_ex(address)):
        time.sleep(0.01)
    print("joined", error, flush=True)
while True:
    listener.accept()[0].close()
P
    start_broker -w 2 -- python3 "$TMP/server.py" "$HOST" "$PORT" "$TMP/server.sock"
    wait_until grep -q "joined 0" "$TMP/out"
    SSHIM_BROKER=$CONTROL LD_PRELOAD=$LIB python3 -c 'import socket, sys
sys.exit(socket.socket().connect_ex((sys.argv[1], int(sys.argv[2]))))' "$HOST" "$PORT"
    stop_broker
}

# Removes the file behind the back of all copies: where SSHIM_BROKER is missing the library does nothing.
remove_unseen() {
    env -u SSHIM_BROKER rm "$TMP/server.sock"
}

is_bound_anew() {
    [[ -S $TMP/server.sock && $(stat -c %i "$TMP/server.sock") != "$INODE" ]]
}

# Each copy answers with its pid; prints how many have answered so far.
answered_by() {
    python3 - "$TMP/server.sock" <<'P'
import socket, sys
seen = set()
for _ in range(20):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(20)
        s.connect(sys.argv[1])
        s.sendall(b"x")
        seen.add(s.recv(100))
print(len(seen))
P
}

all_have_answered() { # COPIES
    [[ $(answered_by) == "$1" ]]
}

@test "after somebody else removed the socket file the next copy serves there, and all do after a restart" {
    unlinking_server
    INODE=$(stat -c %i "$TMP/server.sock")
    remove_unseen
    kill -KILL "$(worker_pid 1)"
    wait_until is_bound_anew
    wait_until workers_ready 3
    all_have_answered 1
    log_has "was removed and another copy has bound it again"
    status_is '.listeners | length == 2'
    "$SSHIM" restart --control "$CONTROL"
    wait_until status_is '.listeners | length == 1'
    wait_until all_have_answered 3
    stop_broker
    [[ ! -e $TMP/server.sock ]]
}

# Connects, says so, and prints what comes back.
waiting_client() {
    exec python3 - "$TMP/server.sock" <<'P'
import socket, sys
with socket.socket(socket.AF_UNIX) as s:
    s.settimeout(60)
    s.connect(sys.argv[1])
    s.sendall(b"x")
    print("connected", flush=True)
    print("answer:", s.recv(100).decode(), flush=True)
P
}

@test "a client that waits at the old socket when its file is removed is answered" {
    unlinking_server
    INODE=$(stat -c %i "$TMP/server.sock")
    local slot pids=()
    for slot in 0 1 2; do pids+=("$(worker_pid $slot)"); done
    kill -STOP "${pids[@]}"
    start_other waiting_client
    wait_until grep -q connected "$TMP/out.other"
    remove_unseen
    kill -KILL "${pids[2]}"
    wait_until is_bound_anew
    kill -CONT "${pids[0]}" "${pids[1]}"
    wait_until grep -qE "answer: pid (${pids[0]}|${pids[1]})" "$TMP/out.other"
    stop_broker
}

@test "a broker that was resumed after a crash removes the socket file when it stops" {
    unlinking_server
    kill -KILL "$BROKER"
    wait_until workers_ready 3
    all_have_answered 3 || wait_until all_have_answered 3
    "$SSHIM" stop --control "$CONTROL"
    [[ ! -e $TMP/server.sock ]]
    wait "$BROKER" || true
    BROKER=
}

@test "a socket file that another server has bound instead is left to it" {
    start_broker -w 2 -- "$VICTIM" accept "$TMP/server.sock"
    remove_unseen
    env -u SSHIM_BROKER python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$TMP/server.sock"
    stop_broker
    [[ -S $TMP/server.sock ]]
    rm "$TMP/server.sock"
}

@test "a broker that hangs holds up the removal of a socket file for no more than a moment" {
    unlinking_server
    python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$TMP/other.sock"
    kill -STOP "$BROKER"
    LD_PRELOAD=$LIB SSHIM_BROKER=$CONTROL timeout 10 rm "$TMP/other.sock"
    kill -CONT "$BROKER"
    [[ ! -e $TMP/other.sock ]]
    stop_broker
}

# The broker learns of the close, and of the unlink, only when the server is about to bind again.
@test "a server that closes its listener, unlinks its file and binds again does so however late the broker is" {
    cat >"$TMP/again.py" <<'P'
import os, signal, socket, sys, threading
path, broker = sys.argv[1], int(sys.argv[2])
for number in range(25):
    if os.path.exists(path):
        os.unlink(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        os.kill(broker, signal.SIGSTOP)
        threading.Timer(0.1, os.kill, (broker, signal.SIGCONT)).start()
        listener.listen(5)
os.unlink(path)
print("bound each time")
P
    start_broker -w 0
    LD_PRELOAD="$LIB" SSHIM_BROKER="$CONTROL" python3 "$TMP/again.py" "$TMP/again.sock" "$BROKER" >"$TMP/said" 2>&1 || true
    kill -CONT "$BROKER"
    cat "$TMP/said"
    [[ $(<"$TMP/said") == "bound each time" ]]
    stop_broker
}
