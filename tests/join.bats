# A server that nobody launched joins a running broker by SSHIM_BROKER.
load helpers

join() { # COMMAND...: as a reader of the README would, in the background; its pid is $OTHER
    start_other env LD_PRELOAD="$LIB" SSHIM_BROKER="${JOIN:-$CONTROL}" "$@"
}

@test "servers that join a broker without workers share its address" {
    start_broker -w 0
    join "$VICTIM" accept "$ADDR"
    join "$VICTIM" epoll "$ADDR"
    wait_until workers_ready 2
    ANSWER_BY=pid all_answer 2
    status_is '[.workers[].accepted] | min > 0'
    status_is '.joined == 2 and .wanted == 0 and .state == "ready"'
    run "$SSHIM" status --control "$CONTROL"
    [[ $output == *" is ready: servers that joined: 2"$'\n'* ]]
    log_has "ready for servers that join by SSHIM_BROKER=$CONTROL"
    stop_broker
    [[ $STATUS == 0 ]]
    wait_until is_gone "$OTHER"
}

@test "a server joins beside workers that were launched, in a slot of its own" {
    start_broker -w 2 -- "$VICTIM" accept "$ADDR"
    join "$VICTIM" accept "$ADDR"
    wait_until workers_ready 3
    status_is '[.workers[].slot] == [0, 1, 2]'
    run "$SSHIM" status --control "$CONTROL"
    [[ $output == *" is ready: 2 of 2 workers are ready, servers that joined: 1"$'\n'* ]]
    ANSWER_BY=pid all_answer 3
    stop_broker
}

@test "a server that joined and ends is forgotten, and its slot is taken by the next" {
    start_broker -w 0
    join "$VICTIM" accept "$ADDR"
    wait_until workers_ready 1
    kill -KILL "$OTHER"
    wait_until status_is '.workers | length == 0'
    join "$VICTIM" accept "$ADDR"
    wait_until workers_ready 1
    status_is '.workers[0].slot == 0'
    probe 5
    stop_broker
}

@test "children that a joined server forks belong to it" {
    start_broker -w 0
    join "$VICTIM" prefork "$ADDR"
    wait_until workers_ready 1
    probe 10
    status_is '.workers | length == 1'
    stop_broker
}

# The process that has joined ends, and its child goes on.
join_in_background() {
    join "$VICTIM" accept --background "$ADDR"
    wait_until is_gone "$OTHER"
}

# The broker has found the child, which takes turns if there are many processes.
goes_on() { # SLOT
    ! is_gone "$(worker_pid "$1")"
}

@test "a server that joins and goes into the background stays, as long as one of its processes listens" {
    local handoff
    for handoff in auto direct; do
        start_broker -w 0 --handoff "$handoff"
        join_in_background
        join_in_background
        wait_until workers_ready 2
        ANSWER_BY=pid all_answer 2
        wait_until goes_on 0
        kill -KILL "$(worker_pid 0)"
        wait_until status_is '[.workers[].slot] == [1]'
        probe 5
        stop_broker
        [[ $("$PROBE" -n 1 "$ADDR" 2>&1) == *"Connection refused"* ]]
    done
}

# It is told by the signal that is waiting when its process ends.
@test "a server that goes into the background while the broker stops is ended as well" {
    cat >"$TMP/server.py" <<'P'
import os, signal, socket, sys
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
if os.fork():
    signal.pause()
print("child", os.getpid(), flush=True)
while True:
    listener.accept()
P
    local handoff child
    for handoff in auto direct; do
        start_broker -w 0 --handoff "$handoff"
        : >"$TMP/out.other"
        join python3 "$TMP/server.py" "$HOST" "$PORT"
        wait_until workers_ready 1
        wait_until grep -q child "$TMP/out.other"
        child=$(sed -n 's/^child //p' "$TMP/out.other")
        kill -STOP "$BROKER"
        kill -TERM "$BROKER"
        kill -KILL "$OTHER"
        wait_until is_gone "$OTHER"
        kill -CONT "$BROKER"
        wait_for_broker
        is_gone "$child"
    done
}

# The broker looks at processes with many descriptors first, turn after turn.
@test "a server whose last listener is closed while its processes are looked for keeps no other from its end" {
    cat >"$TMP/full.py" <<'P'
import os, resource, time
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
for _ in range(min(15000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 100)):
    os.dup(0)
parent = os.getpid()
for _ in range(6):
    if os.fork() == 0:
        break
else:
    print("full", flush=True)
while parent in (os.getpid(), os.getppid()):
    time.sleep(0.1)
P
    cat >"$TMP/short.py" <<'P'
import os, signal, socket, sys, time
host, port = sys.argv[1].rsplit(":", 1)
listener = socket.create_server((host, int(port)))
parent = os.getpid()
if os.fork():
    listener.close()
    signal.pause()
while os.getppid() == parent:
    time.sleep(0.001)
listener.close()
P
    start_other python3 "$TMP/full.py"
    local full=$OTHER first
    wait_until grep -q full "$TMP/out.other"
    start_broker -w 0
    join python3 "$TMP/short.py" "$ADDR"
    first=$OTHER
    wait_until workers_ready 1
    join "$VICTIM" accept "$ADDR"
    wait_until workers_ready 2
    kill -KILL "$first"
    wait_until status_is '.joined == 1'
    kill -KILL "$OTHER"
    wait_until status_is '.joined == 0'
    kill -KILL "$full"
    stop_broker
}

# The listener comes behind all others, of which no turn can look at half.
@test "a process with very many descriptors is found as the one that goes on" {
    cat >"$TMP/behind.py" <<'P'
import os, resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
count = min(300000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200)
host, port = sys.argv[1].rsplit(":", 1)
for _ in range(count):
    os.dup(0)
listener = socket.create_server((host, int(port)))
if os.fork():
    os._exit(0)
while True:
    client, address = listener.accept()
    client.send(b"slot=0 pid=%d peer=%s:%d end\n" % (os.getpid(), address[0].encode(), address[1]))
    client.close()
P
    start_broker -w 0
    join python3 "$TMP/behind.py" "$ADDR"
    wait_until is_gone "$OTHER"
    wait_until workers_ready 1
    sleep 1 # in which it would be lost
    probe 3
    workers_ready 1
    stop_broker
}

@test "a server that went into the background after it joined is found by the next broker" {
    start_broker -w 0
    join_in_background
    wait_until workers_ready 1
    kill -KILL "$BROKER"
    wait_until log_has "going on with 1 worker after a crash"
    probe 5
    status_is '.joined == 1 and .workers[0].state == "ready"'
    "$SSHIM" stop --control "$CONTROL"
}

# Starts the same daemon twice, as programs start a name server where they find none. Both leave it before they bind.
daemons_of_one_program() {
    cat >"$TMP/twice.py" <<'P'
import os, signal, socket, subprocess, sys
DAEMON = """
import os, signal, socket, sys
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
try:
    listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
    outcome = "bound"
except OSError as error:
    outcome = os.strerror(error.errno)
with open(sys.argv[3], "a") as file:
    file.write(outcome + "\\n")
if outcome == "bound":
    signal.pause()
"""
host, port = sys.argv[1].rsplit(":", 1)
for count in (1, 2):
    subprocess.run([sys.executable, "-c", DAEMON, host, port, sys.argv[2]])
    while not os.path.exists(sys.argv[2]) or len(open(sys.argv[2]).readlines()) < count:
        pass
signal.pause()
P
}

has_outcomes() {
    [[ -e $TMP/outcomes && $(paste -sd, "$TMP/outcomes") == "bound,Address already in use" ]]
}

@test "daemons of one program collide as natively, in a worker and where it joins" {
    daemons_of_one_program
    start_broker -w 1 -- python3 "$TMP/twice.py" "$ADDR" "$TMP/outcomes"
    wait_until has_outcomes
    stop_broker
    rm "$TMP/outcomes"
    start_broker -w 0
    join python3 "$TMP/twice.py" "$ADDR" "$TMP/outcomes"
    wait_until has_outcomes
    status_is '.joined == 1'
    stop_broker
}

@test "what one script starts is one worker, and two scripts are two" {
    printf '"%s" accept "%s" & "%s" accept "%s" 2>"%s" || true; wait\n' \
        "$VICTIM" "$ADDR" "$VICTIM" "$ADDR" "$TMP/refused" >"$TMP/both.sh"
    start_broker -w 0
    join sh "$TMP/both.sh"
    wait_until grep -q "Address already in use" "$TMP/refused" "$TMP/out.other"
    status_is '.joined == 1'
    probe 3
    : >"$TMP/refused"
    join sh "$TMP/both.sh"
    wait_until workers_ready 2
    ANSWER_BY=pid all_answer 2
    stop_broker
}

@test "a path relative to the working folder is found" {
    start_broker -w 0
    cd "$TMP"
    JOIN=./control.sock join "$VICTIM" accept "$ADDR"
    wait_until workers_ready 1
    probe 3
    stop_broker
}

# Tries to bind, and lives on whatever comes of it.
latecomer() {
    cat <<'PY'
import signal, socket, sys
host, port = sys.argv[1].rsplit(":", 1)
try:
    socket.create_server((host, int(port)))
except OSError:
    print("refused", flush=True)
signal.pause()
PY
}

@test "who comes when all is about to end is refused, not waited for and not killed" {
    start_broker -w 1 --stop-timeout 600 -- "$VICTIM" accept --ignore-term "$ADDR"
    local worker
    worker=$(worker_pid 0)
    kill -TERM "$BROKER"
    wait_until status_is '.workers[0].state == "draining"'
    join python3 -c "$(latecomer)" "$ADDR"
    wait_until grep -q refused "$TMP/out.other"
    kill -KILL "$worker"
    wait_for_broker
    kill -0 "$OTHER"
    kill -KILL "$OTHER"
}

@test "a server joins a broker that is started at the same time" {
    local i
    for ((i = 0; i < 10; i++)); do
        : >"$TMP/out.other"
        join "$VICTIM" accept "$ADDR"
        [[ $i -lt 5 ]] || sleep 0.2 # also where the server asks long before
        start_broker -w 0
        wait_until workers_ready 1
        probe 2
        stop_broker
        [[ $(<"$TMP/out.other") != *"cannot join"* ]]
        wait_until is_gone "$OTHER"
    done
}

# fails_to_join TEXT: the server's bind fails, nothing listens, and one line of ours says why.
fails_to_join() {
    run timeout 30 env LD_PRELOAD="$LIB" SSHIM_BROKER="$JOIN" "$VICTIM" accept "$ADDR" 3>&-
    echo "$output"
    [[ $status == 1 ]]
    [[ $(grep -c '^sshim: ' <<<"$output") == 1 ]]
    [[ $output == *"$1"* ]]
    [[ $output == *"victim: $ADDR: "* ]]
}

@test "SSHIM_BROKER that points nowhere makes bind fail with one clear line" {
    JOIN=$TMP/nowhere.sock fails_to_join "cannot join the broker at $TMP/nowhere.sock: no such socket (waited 5 s for it); start one"
    JOIN=$TMP/no/such/folder/x.sock fails_to_join "cannot join the broker at $TMP/no/such/folder/x.sock"
    touch "$TMP/file"
    JOIN=$TMP/file fails_to_join "cannot join the broker at $TMP/file"
    JOIN=$TMP/$(printf 'x%.0s' {1..200}) fails_to_join "too long"
}

@test "SSHIM_BROKER of a broker that was killed makes bind fail with one clear line" {
    start_broker -w 0
    kill_broker_and_keeper
    JOIN=$CONTROL fails_to_join "no broker listens there"
    rm "$CONTROL" "$CONTROL.link"
}

@test "a socket of something else is not taken for a broker" {
    start_other python3 -c 'import socket,sys,time
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.bind(sys.argv[1]); s.listen()
while True:
    c, _ = s.accept()
    c.recv(4096)
    c.send(b"HTTP/1.1 400 What?")' "$TMP/other.sock"
    wait_until test -S "$TMP/other.sock"
    JOIN=$TMP/other.sock fails_to_join "cannot join the broker at $TMP/other.sock"
    rm "$TMP/other.sock"
}

@test "programs that bind nothing do not notice an SSHIM_BROKER that points nowhere" {
    run env LD_PRELOAD="$LIB" SSHIM_BROKER="$TMP/nowhere.sock" sh -c 'echo fine; ls / >/dev/null && echo too'
    [[ $status == 0 ]]
    [[ $output == $'fine\ntoo' ]]
}

@test "clients, port 0 and UDP need no broker even when SSHIM_BROKER points nowhere" {
    run env LD_PRELOAD="$LIB" SSHIM_BROKER="$TMP/nowhere.sock" python3 -c 'import socket
a = socket.create_server(("127.0.0.1", 0))
b = socket.create_connection(a.getsockname())
socket.socket(type=socket.SOCK_DGRAM).bind(("127.0.0.1", 0))
print(a.accept()[0].getpeername() == b.getsockname())'
    [[ $status == 0 ]]
    [[ $output == True ]]
}

port_of() { # PID
    ss -Hltnp | grep -Po "$HOST:\\d+(?= .*pid=$1,)"
}

@test "port 0 of servers that join is shared where the broker says so, and else is no reason to join" {
    local to first
    start_broker -w 0 --share all
    join "$VICTIM" accept "$HOST:0"
    join "$VICTIM" accept "$HOST:0"
    wait_until workers_ready 2
    to=$(status_of '.listeners | map(.address) | join(" ")')
    ANSWER_BY=pid all_answer 2 "$to"
    stop_broker

    start_broker -w 0
    join "$VICTIM" accept "$HOST:0"
    first=$OTHER
    join "$VICTIM" accept "$HOST:0"
    for to in "$first" "$OTHER"; do
        wait_until port_of "$to"
        probe 5 "$(port_of "$to")"
    done
    status_is '(.workers | length) == 0 and (.listeners | length) == 0'
    stop_broker
}

@test "a worker whose user has too many descriptors in flight says so" {
    needs_root
    share_build
    start_other "${NOBODY[@]}" /usr/bin/python3 -c 'import socket, time
ends = socket.socketpair()
for i in range(3):
    socket.send_fds(ends[0], [b"x"], [0] * 100)
print("in flight", flush=True)
time.sleep(1000)'
    wait_until grep -q "in flight" "$TMP/out.other"
    run timeout 60 "$SSHIM" run --control "$CONTROL" -w 1 --user nobody --rlimit nofile=64 -- "$VICTIM" accept "$ADDR" 3>&- </dev/null
    echo "$output"
    [[ $status == 3 && $output == *"too many files are open or in flight; raise the limit (ulimit -n)"* ]]
}

@test "another user's process may not join" {
    needs_root
    start_broker -w 0
    JOIN=$CONTROL
    share_build
    run "${NOBODY[@]}" env LD_PRELOAD="$LIB" SSHIM_BROKER="$CONTROL" timeout 30 "$VICTIM" accept "$ADDR" 3>&-
    echo "$output"
    [[ $status == 1 ]]
    [[ $output == *"cannot join the broker"*"permission denied"* ]]
    status_is '(.workers | length) == 0 and (.listeners | length) == 0'
    stop_broker
}
