# What a server may listen on, and that every error of bind is the kernel's own.
load helpers

serves() { # ADDRESS-TO-CONNECT MODE LISTEN-ADDRESS...: three copies, all answer, nothing is left
    local to=$1
    shift
    start_broker -w 3 -- "$VICTIM" "$@"
    wait_until victims_listen 3
    all_answer 3 "$to"
}

@test "an IPv4 address" {
    serves "$ADDR" accept "$ADDR"
    stop_broker
}

@test "every IPv4 address" {
    serves "$ADDR" accept "0.0.0.0:$PORT"
    probe 3 "127.0.0.1:$PORT"
    status_is ".listeners[0].address == \"0.0.0.0:$PORT\""
    stop_broker
}

@test "an IPv6 address" {
    serves "[::1]:$PORT" epoll "[::1]:$PORT"
    status_is ".listeners[0].address == \"[::1]:$PORT\""
    stop_broker
}

@test "IPv6 and IPv4 by one socket, IPv4 peers are mapped" {
    serves "[::1]:$PORT" accept "[::]:$PORT"
    all_answer 3 "$ADDR"
    stop_broker
}

@test "IPv6 only beside IPv4 on the same port" {
    serves "[::1]:$PORT" poll "v6only:[::]:$PORT" "0.0.0.0:$PORT"
    all_answer 3 "$ADDR"
    status_is '.listeners | length == 2'
    stop_broker
}

@test "IPv6 only alone does not answer IPv4" {
    serves "[::1]:$PORT" accept "v6only:[::]:$PORT"
    run "$PROBE" "$ADDR"
    [[ $output == *"Connection refused"* ]]
    stop_broker
}

@test "a path that every copy unlinks and binds is not stolen by the last one" {
    serves "$TMP/server.sock" select "$TMP/server.sock"
    local inode
    inode=$(stat -c %i "$TMP/server.sock")
    kill -KILL "$(worker_pid 1)"
    wait_until status_is '.workers[1].restarts == 1 and .workers[1].state == "ready"'
    wait_until victims_listen 4
    all_answer 3 "$TMP/server.sock"
    [[ $(stat -c %i "$TMP/server.sock") == "$inode" ]]
    stop_broker
    [[ $STATUS == 0 ]]
    # neither the path nor what guarded it
    [[ -z $(find "$TMP" -type s) ]]
}

@test "a path that many copies unlink and bind at the same moment is there at the end" {
    local round
    for round in 1 2 3 4 5; do
        : >"$TMP/out"
        start_broker -w 8 -- "$VICTIM" accept "$TMP/server.sock"
        wait_until victims_listen 8
        probe 8 "$TMP/server.sock" || { echo "in round $round"; return 1; }
        stop_broker
        [[ -z $(find "$TMP" -type s) ]]
    done
}

@test "a path in the working folder of the server" {
    mkdir "$TMP/here"
    # an absolute victim path, a relative socket path
    start_broker -w 2 -- sh -c "cd '$TMP/here' && exec python3 -c '
import os, socket
s = socket.socket(socket.AF_UNIX)
if os.path.exists(\"x.sock\"): os.unlink(\"x.sock\")
s.bind(\"x.sock\"); s.listen()
while True:
    c, _ = s.accept()
    c.sendall(b\"slot=%s peer=@%s \\n\" % (os.environ[\"SSHIM_WORKER_ID\"].encode(), c.getpeername()[1:]))
    c.close()'"
    all_answer 2 "$TMP/here/x.sock"
    stop_broker
}

@test "an abstract name" {
    serves "@${TMP##*/}" accept "@${TMP##*/}"
    status_is ".listeners[0].address == \"unix:@${TMP##*/}\""
    stop_broker
    run "$PROBE" "@${TMP##*/}"
    [[ $status == 1 ]]
}

# Listens by packets of AF_UNIX on each name, and by streams on those that begin with "stream:". Answers with the type and the slot.
packet_server() {
    cat >"$TMP/server.py" <<'PY'
import os, select, socket, sys
listeners = []
for name in sys.argv[1:]:
    is_stream = name.startswith("stream:")
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM if is_stream else socket.SOCK_SEQPACKET)
    name = name.removeprefix("stream:").replace("@", "\0")
    if os.path.exists(name.strip("\0")):
        os.unlink(name)
    s.bind(name)
    s.listen(64)
    s.setblocking(False)
    assert s.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == s.type, s.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)
    listeners.append(s)
print("listening", flush=True)
while True:
    for s in select.select(listeners, [], [])[0]:
        try:
            c, _ = s.accept()
        except BlockingIOError:
            continue
        c.sendall(b"%s %s" % (c.type.name.encode(), os.environb[b"SSHIM_WORKER_ID"]))
        c.close()
PY
}

# Until COPIES have answered.
ask_by_packets() { # NAME COPIES [TYPE]
    python3 - "$@" <<'PY'
import socket, sys, time
name, copies, type = sys.argv[1].replace("@", "\0"), int(sys.argv[2]), (sys.argv[3:] or ["SOCK_SEQPACKET"])[0]
seen, end = set(), time.monotonic() + 30
while len(seen) < copies:
    assert time.monotonic() < end, seen
    with socket.socket(socket.AF_UNIX, getattr(socket, type)) as client:
        client.settimeout(30)
        client.connect(name)
        kind, slot = client.recv(100).decode().split()
        assert kind == type, kind
        seen.add(slot)
PY
}

@test "packets of AF_UNIX: a path and an abstract name, whatever the way of handing out" {
    packet_server
    local options
    for options in "" "--handoff broker" "--handoff direct" "--intercept seccomp"; do
        echo "with ${options:-no options}"
        # shellcheck disable=SC2086 # options
        start_broker -w 3 $options -- python3 "$TMP/server.py" "$TMP/server.sock" "@${TMP##*/}"
        wait_until victims_listen 3
        ask_by_packets "$TMP/server.sock" 3
        ask_by_packets "@${TMP##*/}" 3
        status_is "[.listeners[].address] | sort == [\"unix:$TMP/server.sock\", \"unix:@${TMP##*/}/seqpacket\"]"
        stop_broker
        # a server with a filter leaves its file as natively
        [[ $options != *seccomp ]] || rm "$TMP/server.sock"
        [[ -z $(find "$TMP" -type s) ]]
        : >"$TMP/out"
    done
}

@test "packets of AF_UNIX survive a restart, an upgrade and a killed broker" {
    packet_server
    start_broker -w 2 -- python3 "$TMP/server.py" "$TMP/server.sock" "@${TMP##*/}"
    "$SSHIM" restart --control "$CONTROL"
    ask_by_packets "$TMP/server.sock" 2
    "$SSHIM" upgrade --control "$CONTROL"
    ask_by_packets "@${TMP##*/}" 2
    kill -KILL "$BROKER"
    wait_for_broker
    wait_until workers_ready 2
    ask_by_packets "$TMP/server.sock" 2
    ask_by_packets "@${TMP##*/}" 2
    "$SSHIM" stop --control "$CONTROL"
}

@test "streams and packets of one abstract name are two listeners" {
    packet_server
    start_broker -w 2 -- python3 "$TMP/server.py" "@${TMP##*/}" "stream:@${TMP##*/}"
    wait_until victims_listen 2
    ask_by_packets "@${TMP##*/}" 2
    ask_by_packets "@${TMP##*/}" 2 SOCK_STREAM
    stop_broker
}

@test "a copy is told that listeners of AF_VSOCK are not shared" {
    python3 -c 'import socket; socket.socket(socket.AF_VSOCK).bind((socket.VMADDR_CID_ANY, socket.VMADDR_PORT_ANY))' ||
        skip "this machine has no AF_VSOCK"
    launch_broker -w 2 -- python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_VSOCK)
s.bind((socket.VMADDR_CID_ANY, int(sys.argv[1])))
s.listen()
time.sleep(600)' "$((BASHPID + 1000000))"
    wait_until log_has "copies share listeners of TCP and AF_UNIX, not of AF_VSOCK"
    stop_broker
    [[ $(grep -c AF_VSOCK "$TMP/log") -le $(grep -c Traceback "$TMP/log") ]]
}

@test "several listeners of one server" {
    local other unix=$TMP/also.sock
    other=$HOST:$("$PROBE" --free-port)
    serves "$ADDR" epoll "$ADDR" "$other" "$unix" "@${TMP##*/}"
    local to
    for to in "$other" "$unix" "@${TMP##*/}"; do
        all_answer 3 "$to"
    done
    status_is '(.listeners | length == 4) and ([.listeners[].connections] | min > 0)'
    stop_broker
}

@test "TCP is shared while UDP on the same port stays the server's own" {
    # natively only one copy can have the UDP port, so only one is run
    start_broker -w 1 -- "$VICTIM" poll "$ADDR" "udp:$ADDR"
    wait_until victims_listen 1
    probe 5
    probe 5 "udp:$ADDR"
    status_is '.listeners | length == 1'
    stop_broker
}

@test "a port below 1024 with workers that are not root" {
    needs_root
    local low
    for low in $((RANDOM % 400 + 600)) $((RANDOM % 400 + 600)) $((RANDOM % 400 + 600)); do
        "$PROBE" "$HOST:$low" >/dev/null || break
    done
    serves "$HOST:$low" accept "$HOST:$low"
    stop_broker
    share_build
    start_broker -w 3 -- "${NOBODY[@]}" "$VICTIM" accept "$HOST:$low"
    [[ $(stat -c %u "/proc/$(worker_pid 0)") == 65534 ]]
    all_answer 3 "$HOST:$low"
    stop_broker
}

@test "--unshared leaves an address to each copy, --share wins for nothing else" {
    local own
    own=$("$PROBE" --free-port)
    start_broker -w 1 --unshared "$own" -- "$VICTIM" poll "$ADDR" "$HOST:$own"
    wait_until victims_listen 1
    probe 3
    probe 3 "$HOST:$own"
    status_is ".listeners | map(.address) == [\"$ADDR\"]"
    stop_broker
}

@test "--share all shares port 0: all copies answer behind one port" {
    start_broker -w 3 --share all -- "$VICTIM" accept "$HOST:0"
    local to
    to=$(status_of '.listeners[0].address')
    [[ $to != *:0 ]]
    all_answer 3 "$to"
    stop_broker
}

@test "port 0 is private without --share" {
    start_broker -w 2 --start-timeout 1 -- "$VICTIM" accept "$HOST:0"
    status_is '.listeners | length == 0'
    stop_broker
}

# says_the_same COMMAND...: the same words and exit code natively and as a worker that joins.
says_the_same() {
    local native managed
    native=$(timeout 30 "$@" 2>&1 3>&-; echo "exit $?")
    managed=$(timeout 30 env LD_PRELOAD="$LIB" SSHIM_BROKER="$CONTROL" "$@" 2>&1 3>&-; echo "exit $?")
    echo "natively: $native"
    echo "as a worker: $managed"
    [[ $native == "$managed" ]]
    [[ $native == *"errno $ERRNO"* ]]
}

@test "EADDRINUSE: an outsider has the address" {
    start_other "$VICTIM" accept "$ADDR"
    wait_until probe 1
    start_broker -w 0
    ERRNO=98 says_the_same "$VICTIM" accept "$ADDR"
    ERRNO=98 says_the_same "$VICTIM" accept "0.0.0.0:$PORT"
    status_is '.listeners | length == 0'
    stop_broker
}

@test "EADDRINUSE: an outsider has the abstract name, or the path" {
    start_other "$VICTIM" accept "@${TMP##*/}"
    wait_until probe 1 "@${TMP##*/}"
    mkdir "$TMP/taken" # which the victim cannot unlink
    start_broker -w 0
    ERRNO=98 says_the_same "$VICTIM" accept "@${TMP##*/}"
    ERRNO=98 says_the_same "$VICTIM" accept "$TMP/taken"
    stop_broker
}

@test "EADDRNOTAVAIL: an address of another machine" {
    start_broker -w 0
    ERRNO=99 says_the_same "$VICTIM" accept "192.0.2.1:$PORT"
    ERRNO=99 says_the_same "$VICTIM" accept "[2001:db8::1]:$PORT"
    stop_broker
}

@test "EACCES: a low port, for a broker and a server that are not root" {
    become_nobody
    start_broker -w 0
    ERRNO=13 says_the_same "${NOBODY[@]}" "$VICTIM" accept "$HOST:81"
    stop_broker
}

@test "EACCES, ENOENT, ENOTDIR: a path in a folder without rights, of none, below a file" {
    become_nobody
    mkdir -m 755 "$TMP/closed"
    touch "$TMP/file"
    start_broker -w 0
    ERRNO=13 says_the_same "${NOBODY[@]}" "$VICTIM" accept "$TMP/closed/x.sock"
    ERRNO=2 says_the_same "${NOBODY[@]}" "$VICTIM" accept "$TMP/none/x.sock"
    ERRNO=20 says_the_same "${NOBODY[@]}" "$VICTIM" accept "$TMP/file/x.sock"
    stop_broker
}

@test "the exit code is 4 for each of these when the workers were launched" {
    local bad
    for bad in "192.0.2.1:$PORT" "[2001:db8::1]:$PORT"; do
        run timeout 60 "$SSHIM" run --control "$CONTROL" -w 2 -- "$VICTIM" accept "$bad" 3>&-
        [[ $status == 4 ]]
        [[ $output == *"cannot bind $bad: Cannot assign requested address"* ]]
    done
}

# Tries a port, closes it, connects there, binds it again with another socket; a child listens and exits; in the end serves.
only_copy() {
    cat <<'END'
import os, socket, sys, time
host, port = sys.argv[1].rsplit(":", 1)

def connect(address):
    with socket.socket() as client:
        return client.connect_ex(address) and "refused" or "connected"

def listener(port):
    s = socket.socket()
    s.bind((host, port))
    s.listen()
    return s

told = []
s = listener(0)
name = s.getsockname()
s.close()
told.append(connect(name))
s = socket.socket()
s.bind(name)
s.close()
told.append(listener(name[1]).getsockname() == name)
child = os.fork()
if child == 0:
    listener(name[1])
    os._exit(0)
os.waitpid(child, 0)
for _ in range(1000):
    if connect(name) == "refused":
        told.append("gone")
        break
    time.sleep(0.02)
s = listener(int(port))
while True:
    c, _ = s.accept()
    c.recv(100)
    c.sendall(" ".join(map(str, told)).encode() + b"\n")
    c.close()
END
}

says() { # TEXT: what the server at $ADDR answers
    [[ $( (exec 7<>/dev/tcp/"${ADDR%:*}"/"${ADDR##*:}" && echo x >&7 && cat <&7) 2>/dev/null) == "$1" ]]
}

@test "--share all with one copy: what it closes, or a child of it leaves behind, is refused and free" {
    start_broker -w 1 --share all -- /usr/bin/python3 -c "$(only_copy)" "$ADDR"
    wait_until says "refused True gone"
    stop_broker
}

@test "--share all with one copy: late listeners are shared though none is open, and what is closed is free at once" {
    start_broker -w 1 --share all -- /usr/bin/python3 "$ROOT/tests/progs/late.py" "$ADDR"
    wait_until grep -q taken "$TMP/out"
    [[ $(<"$TMP/out") == "0 private, 0 taken" ]]
    stop_broker
    [[ $STATUS == 0 ]]
}

# A child listens and exits while the broker is stopped, so that the broker learns of both at once, with a client waiting.
short_listener() {
    cat <<'END'
import os, signal, socket, sys
host, port = sys.argv[1].rsplit(":", 1)
broker = os.getppid()
client = socket.socket()
for _ in range(20):
    s = socket.socket()
    s.bind((host, 0))
    child = os.fork()
    if child == 0:
        os.kill(broker, signal.SIGSTOP)
        s.listen()
        client.connect(s.getsockname())
        os._exit(0)
    s.close()
    os.waitpid(child, 0)
    os.kill(broker, signal.SIGCONT)
    try:
        ended = client.recv(1) == b""
    except ConnectionResetError:
        ended = True
    client = socket.socket()
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((host, int(port)))
s.listen()
while True:
    c, _ = s.accept()
    c.recv(100)
    c.sendall(b"ended\n" if ended else b"no end\n")
    c.close()
END
}

@test "--share all with one copy: the broker survives a listener that lives for a moment" {
    # memory that was freed is overwritten, so that using it shows
    MALLOC_PERTURB_=165 start_broker -w 1 --share all -- /usr/bin/python3 -c "$(short_listener)" "$ADDR"
    wait_until says ended
    [[ $(<"$TMP/log") != *crash* ]]
    stop_broker
    [[ $STATUS == 0 ]]
}

@test "--share all with one copy survives an upgrade and a killed broker" {
    start_broker -w 1 --share all -- "$VICTIM" accept "$ADDR"
    probe 3
    "$SSHIM" upgrade --control "$CONTROL"
    probe 3
    kill -KILL "$BROKER"
    wait_for_broker
    wait_until status_is '.workers | length == 1'
    probe 3
    status_is '(.listeners | length) == 1'
    "$SSHIM" stop --control "$CONTROL"
}

# Each process opens a second port as soon as it has a client on the first: clients that come at once cannot know better.
# With "child" it is a process that serves one client which does so, as an FTP server with a data port.
two_ports() { # OWN|child
    cat <<'END'
import os, signal, socket, sys
how, host, port, second = sys.argv[1], *sys.argv[2].rsplit(":", 1), int(sys.argv[3])
listener = socket.create_server((host, int(port)))
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
client, _ = listener.accept()
if how == "child" and os.fork() == 0:
    with socket.create_server((host, second)) as data:
        client.send(b"%d" % second)
        data.accept()[0].send(b"data")
        client.recv(1)
    os._exit(0)
client.close()
others = socket.create_server((host, second)) if how == "own" else None
while True:
    for one in filter(None, (listener, others)):
        one.settimeout(0.05)
        try:
            one.accept()[0].close()
        except OSError:
            pass
END
}

# come_and_go: clients that are there from the beginning on
come_and_go() {
    start_other python3 -c 'import socket, sys, time
host, port = sys.argv[1].rsplit(":", 1)
while True:
    try:
        with socket.create_connection((host, int(port)), 5) as client:
            client.recv(1)
    except OSError:
        time.sleep(0.005)' "$ADDR"
}

all_share_both() {
    status_is '.ready == 4 and ([.workers[].accepted] | min) > 0 and ([.listeners[].address] | length) == 2'
}

@test "a second port that a server opens after its first client is shared by all copies at the first start" {
    SECOND=$((${ADDR##*:} + 1))
    come_and_go
    start_broker -v -w 4 -- /usr/bin/python3 -c "$(two_ports)" own "$ADDR" "$SECOND"
    wait_until all_share_both
    wait_until eval '[[ $(grep -c "listens on ${ADDR%:*}:$SECOND" "$TMP/log") == 4 ]]'
    status_is '[.workers[].restarts] | add == 0'
    stop_broker
}

# A process that serves one client after the other, each by a data port of its own, which is the same each time.
data_ports() {
    cat <<'END'
import socket, sys
host, port, second = *sys.argv[1].rsplit(":", 1), int(sys.argv[2])
listener = socket.create_server((host, int(port)))
while True:
    client, _ = listener.accept()
    with socket.create_server((host, second)) as data:
        client.send(b"%d" % second)
        data.accept()[0].send(b"data")
        client.recv(1)
    client.close()
END
}

# The end of a session: the process has closed its data port, and goes on.
ask_for_data() { # how many listeners there are meanwhile
    exec 7<>"/dev/tcp/${ADDR%:*}/${ADDR##*:}"
    [[ $(head -c ${#SECOND} <&7) == "$SECOND" && $(socat -u -T 10 "TCP:${ADDR%:*}:$SECOND" -) == data ]]
    status_is "[.listeners[].address] | length == $1"
    exec 7>&-
}

@test "a data port that was shared since the server had just begun is its own later" {
    SECOND=$((${ADDR##*:} + 1))
    start_broker -v -w 1 -- /usr/bin/python3 -c "$(data_ports)" "$ADDR" "$SECOND"
    ask_for_data 2
    wait_until status_is '([.listeners[].address] | length) == 1 and .workers[0].uptime_s >= 4'
    ask_for_data 1
    ask_for_data 1
    stop_broker
}

@test "that a server opens data ports is known after the broker's death, also to a new worker" {
    local before
    SECOND=$((${ADDR##*:} + 1))
    start_broker -v -w 1 -- /usr/bin/python3 -c "$(data_ports)" "$ADDR" "$SECOND"
    ask_for_data 2
    wait_until status_is '([.listeners[].address] | length) == 1'
    kill -KILL "$BROKER"
    wait_until log_has "going on with 1 worker after a crash"
    before=$(worker_pid 0)
    kill -KILL "$before"
    wait_until is_gone "$before"
    ask_for_data 1
    "$SSHIM" stop --control "$CONTROL"
}

# Each copy opens the same data port for its client and tells the client which, or the error.
data_port_or_busy() {
    cat <<'END'
import errno, socket, sys
host, port, second = *sys.argv[1].rsplit(":", 1), int(sys.argv[2])
listener = socket.create_server((host, int(port)), backlog=50)
while True:
    client, _ = listener.accept()
    try:
        with socket.create_server((host, second)) as data:
            client.send(b"%d" % second)
            data.accept()[0].send(b"data")
            client.recv(1)
    except OSError as error:
        client.send(errno.errorcode[error.errno].encode())
    client.close()
END
}

@test "one-process servers with the same data ports do not share one, at the first start either" {
    local answers i
    SECOND=$((${ADDR##*:} + 1))
    start_broker -v -w 2 -- /usr/bin/python3 -c "$(data_port_or_busy)" "$ADDR" "$SECOND"
    exec 7<>"/dev/tcp/${ADDR%:*}/${ADDR##*:}" # the first data port of the pool
    [[ $(head -c ${#SECOND} <&7) == "$SECOND" && $(socat -u -T 10 "TCP:${ADDR%:*}:$SECOND" -) == data ]]
    exec 7>&-
    wait_until status_is '[.listeners[].address] | length == 1'
    exec 7<>"/dev/tcp/${ADDR%:*}/${ADDR##*:}" # has it, and waits
    [[ $(head -c ${#SECOND} <&7) == "$SECOND" ]]
    for ((i = 0; i < 3; i++)); do # the other copy
        answers+=$(timeout 10 cat <"/dev/tcp/${ADDR%:*}/${ADDR##*:}")
    done
    [[ $answers == EADDRINUSEEADDRINUSEEADDRINUSE ]]
    [[ $(socat -u -T 10 "TCP:${ADDR%:*}:$SECOND" -) == data ]]
    exec 7>&-
    stop_broker
}

@test "a data port that a child opens for its client at the first start is its own" {
    SECOND=$((${ADDR##*:} + 1))
    start_broker -v -w 2 -- /usr/bin/python3 -c "$(two_ports)" child "$ADDR" "$SECOND"
    python3 -c 'import socket, sys
host, port = sys.argv[1].rsplit(":", 1)
with socket.create_connection((host, int(port)), 10) as client:
    with socket.create_connection((host, int(client.recv(9))), 10) as data:
        assert data.recv(9) == b"data"' "$ADDR"
    status_is '[.listeners[].address] | length == 1'
    stop_broker
}

# The parent listens, executes a program that inherits the listener, closes its own, and connects before that program runs.
executed_listener() {
    cat <<'END'
import os, signal, socket, sys, tempfile, time
path = os.path.join(tempfile.mkdtemp(dir=sys.argv[1]), "s")
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()
os.set_inheritable(listener.fileno(), True)
begin, go_on = os.pipe()
os.set_inheritable(begin, True)
server = """import os, socket, sys
os.read(int(sys.argv[2]), 1)
listener = socket.socket(fileno=int(sys.argv[1]))
for _ in range(2):
    listener.accept()[0].sendall(b"ok")"""
pid = os.posix_spawn(sys.executable, [sys.executable, "-c", server, str(listener.fileno()), str(begin)], os.environ)
listener.close()
clients = [socket.socket(socket.AF_UNIX) for _ in range(2)]
failed = [client.connect_ex(path) for client in clients]
os.write(go_on, b"x")
print("connected", failed, [client.recv(2) for client in clients] if not any(failed) else None, flush=True)
os.waitpid(pid, 0)
# a worker that has closed all its listeners is about to end, and clients wait for the next, but under --share all
while sys.argv[2] == "all" and socket.socket(socket.AF_UNIX).connect_ex(path) == 0:
    time.sleep(0.01)
os.unlink(path)
print("done", flush=True)
signal.pause()
END
}

inherited_by_a_program() { # none|all OPTION...
    executed_listener >"$TMP/executed.py"
    launch_broker -w 1 "${@:2}" -- /usr/bin/python3 "$TMP/executed.py" "$TMP" "$1"
    wait_until grep -q "^done" "$TMP/out"
    cat "$TMP/out"
    grep -qxF "connected [0, 0] [b'ok', b'ok']" "$TMP/out"
    stop_broker
    exec 8>&-
}

@test "a listener that a program inherits is there before that program uses it" { inherited_by_a_program none; }
@test "--handoff direct: a listener that a program inherits is there before that program uses it" {
    inherited_by_a_program none --handoff direct
}
@test "--share all with one copy: a listener that a program inherits is there before that program uses it" {
    inherited_by_a_program all --share all
}
