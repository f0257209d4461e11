#!/usr/bin/env bats
# --when-full: what a client gets that no worker can take. The server blocks, one client at a time.

load helpers
load hold

ANSWER='HTTP/1.1 503 Service Unavailable\r\nRetry-After: {retry_after}\r\nContent-Length: 3\r\n\r\nno\n'

setup_file() { # what a client must have got, to the byte
    export TOLD=$'HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 3\r\n\r\nno\nfin'
}

# A server that answers so when it is full for a second.
start_full() { # OPTIONS...
    printf '%b' "$ANSWER" >"$TMP/answer"
    start_held --when-full "$TMP/answer" --full-after 1 "$@"
}

# What a client gets that sends this.
ask() { # STEP...
    dialog "${@:-text:hello\\n}" read
}

@test "clients that no worker takes get the file" {
    start_full
    [[ $(ask | read_of) == hello ]]
    stop_worker
    for i in 1 2 3; do start_dialog "client$i" 'text:hello\n' read; done
    for i in 1 2 3; do wait_until grep -qx fin "$TMP/client$i"; [[ $(<"$TMP/client$i") == "$TOLD" ]]; done
    log_has 'closed a connection of 127.0.0.1: no worker could take it within --full-after'
    wait_until status_is '.listeners[0] | .full == 3 and .held == 0 and .connections == 4'
    sums_agree
    kill -CONT "$WORKER"
    [[ $(ask | read_of) == hello ]]
    status_is '.listeners[0] | .full == 3 and .taken == 2'
}

@test "a client gets the file whose offer a worker was about to accept when it began to hang" {
    printf '%b' "$ANSWER" >"$TMP/answer"
    start_broker -w 1 --when-full "$TMP/answer" --full-after 1 -- python3 -c 'import select, socket, sys, time
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
select.select([s], [], [])
time.sleep(3600)' "$PORT"
    [[ $(ask) == "$TOLD" && $(ask) == "$TOLD" ]]
    wait_until status_is '.listeners[0] | .full == 2 and .held == 0 and .recalled >= 1 and .connections == 2'
    sums_agree
}

@test "what the client still sends while it reads the answer resets nothing" {
    start_full
    stop_worker
    dialog text:GET read 'text:\s/\sHTTP/1.0\r\n\r\n' >"$TMP/out.more" 2>&1
    dialog text:GET end read >"$TMP/out.half"
    [[ $(<"$TMP/out.more") == "$TOLD" && $(<"$TMP/out.half") == "$TOLD" ]]
    wait_until status_is '.listeners[0] | .full == 2 and .held == 0'
    kill -CONT "$WORKER"
}

@test "a client that never closes has two seconds for the answer, and one that is silent is no fewer" {
    start_full --hold http --hold-timeout 300
    stop_worker
    start_dialog deaf 'text:GET\s/\sHTTP/1.0\r\n\r\n' "file:$TMP/go" read
    start_dialog silent "file:$TMP/go" read
    wait_until status_is '.listeners[0] | .full == 1 and .held == 1'
    touch "$TMP/go"
    wait_until grep -qx fin "$TMP/deaf"
    [[ $(<"$TMP/deaf") == "$TOLD" ]]
    status_is '.listeners[0] | .held == 1 and .held_complete == 0'
    sums_agree
    kill -CONT "$WORKER"
}

@test "close closes; a client that had left counts as dead" {
    start_held --when-full close --full-after 1
    stop_worker
    start_dialog first read
    wait_until status_is '.listeners[0].connections == 1'
    dialog text:x reset
    [[ $(ask text:x) == fin ]]
    wait_until grep -qx fin "$TMP/first" # it may have been offered to the worker, and is recalled later
    status_is '.listeners[0] | .full == 2 and .dead == 1'
    sums_agree
    kill -CONT "$WORKER"
}

@test "clients are answered while no worker is up, by the policy source as well" {
    printf '%b' "$ANSWER" >"$TMP/answer"
    for policy in leastconn source; do
        touch "$TMP/gate"
        start_broker -w 1 --when-full "$TMP/answer" --full-after 1 --balance "$policy" -- \
            sh -c 'test -e "$0" && exec "$1" server "$2"' "$TMP/gate" "$VICTIM_HOLD" "$PORT"
        rm "$TMP/gate"
        kill -KILL "$(worker_pid 0)"
        wait_until status_is '.workers[0].state == "backoff"'
        [[ $(ask) == "$TOLD" ]]
        touch "$TMP/gate"
        wait_until workers_ready 1
        [[ $(ask | read_of) == hello ]]
        wait_until status_is '.listeners[0] | .full == 1 and .held == 0'
        sums_agree
        stop_broker
    done
}

@test "clients of a socket file get the file, or the end, and no reset" {
    printf '%b' "$ANSWER" >"$TMP/answer"
    local how
    for how in "$TMP/answer" close; do
        start_broker -w 1 --when-full "$how" --full-after 1 -- python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen()
taken = s.accept()
time.sleep(3600)' "$TMP/server.sock"
        start_other socat "UNIX-CONNECT:$TMP/server.sock" -
        wait_until status_is '.listeners[0].taken == 1'
        python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(b"hello\n" * 1000)
sys.stdout.buffer.write(s.makefile("rb").read() + b"fin")' "$TMP/server.sock" >"$TMP/out.$(basename "$how")" 2>&1
        wait_until status_is '.listeners[0] | .full == 1 and .held == 0'
        "$SSHIM" stop --now --control "$CONTROL"
        wait_for_broker
    done
    [[ $(<"$TMP/out.answer") == "$TOLD" && $(<"$TMP/out.close") == fin ]]
}

@test "on a socket of the service manager clients are answered before the first worker listens" {
    printf '%b' "$ANSWER" >"$TMP/answer"
    python3 -c 'import os, socket, sys
s = socket.socket(); s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen(64)
os.dup2(s.fileno(), 3); os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])' "$PORT" "$SSHIM" run --control "$CONTROL" -w 1 --hold-max 2 --when-full "$TMP/answer" --full-after 1 -- \
        sh -c 'until test -e "$0"; do sleep 0.1; done; exec "$1" server "$2"' "$TMP/gate" "$VICTIM_HOLD" "$PORT" </dev/null >>"$TMP/out" 2>>"$TMP/log" 3>&- &
    BROKER=$!
    wait_until status_is '.workers | length == 1'
    for i in 1 2 3; do start_dialog "client$i" 'text:hello\n' read; done # one more than are held at a time
    for i in 1 2 3; do wait_until grep -qx fin "$TMP/client$i"; [[ $(<"$TMP/client$i") == "$TOLD" ]]; done
    touch "$TMP/gate"
    wait_until workers_ready 1
    [[ $(ask | read_of) == hello ]]
    wait_until status_is '.listeners[0] | .full == 3 and .held == 0 and .taken == 1'
    sums_agree
}

@test "the time goes on over the broker's death, and who was answered is not offered to a worker" {
    start_full --full-after 3
    local before=$BROKER
    start_dialog busy text:he "file:$TMP/go" 'text:llo\n' read
    wait_until status_is '.listeners[0].taken == 1'
    start_dialog first 'text:hello\n' read "file:$TMP/go"
    start_dialog second 'text:hello\n' read "file:$TMP/go"
    wait_until status_is '.listeners[0].connections == 3'
    kill -KILL "$BROKER"
    wait_until status_is ".pid != $before"
    before=$(status_of .pid)
    wait_until grep -qx fin "$TMP/second" # and lingers
    wait_until grep -qx fin "$TMP/first"
    kill -KILL "$before"
    wait_until status_is ".pid != $before"
    touch "$TMP/go"
    [[ $(<"$TMP/first") == "${TOLD/After: 1/After: 3}" && $(<"$TMP/second") == "${TOLD/After: 1/After: 3}" ]]
    [[ $(ask | read_of) == hello ]]
    wait_until status_is '.listeners[0] | .full == 2 and .held == 0 and .connections == 4'
    [[ $(read_of <"$TMP/busy") == hello ]]
    sums_agree
    "$SSHIM" stop --control "$CONTROL"
}

@test "the file is read again by a restart; one that cannot be read stops a start, a restart and an upgrade" {
    start_full --settle 0
    printf '{retry_after}later{retry_after}{retry_after' >"$TMP/answer"
    timeout 60 "$SSHIM" restart --control "$CONTROL"
    stop_worker
    [[ $(ask) == '1later1{retry_afterfin' ]]
    kill -CONT "$WORKER"
    rm "$TMP/answer"
    run timeout 60 "$SSHIM" restart --control "$CONTROL"
    [[ $status == 2 && $output == *"cannot read $TMP/answer for --when-full: No such file or directory"* ]]
    run timeout 60 "$SSHIM" upgrade --control "$CONTROL"
    [[ $status == 1 && $output == *"cannot read $TMP/answer for --when-full"* ]]
    [[ $(worker_pid 0) == "$WORKER" ]]
    stop_broker
    mkfifo "$TMP/pipe"
    : >"$TMP/empty"
    head -c 8193 /dev/zero >"$TMP/large"
    while read -r file reason; do
        run timeout 30 "$SSHIM" run --control "$CONTROL" --when-full "$TMP/$file" -- true
        [[ $status == 2 && $output == *"$TMP/$file"*"$reason"* ]]
    done <<'END'
missing No such file or directory
. Is a directory
pipe Invalid argument
empty is empty; use --when-full close
large is too large; at most 8192 bytes
END
    head -c 8192 /dev/zero >"$TMP/large"
    start_held --when-full "$TMP/large" --full-after 1
    stop_worker
    [[ $(ask | tr -d '\0' | wc -c) == 4 && $(ask | wc -c) == 8196 ]]
    kill -CONT "$WORKER"
}

# trace_broker WHAT...: strace does this to it, until it is killed or the broker ends.
trace_broker() {
    strace -qq -o "$TMP/trace" "$@" -p "$BROKER" 3>&- 2>/dev/null &
    STARTED+=($!)
    wait_until grep -q '^TracerPid:.*[1-9]' "/proc/$BROKER/status"
}

@test "a client that was answered and cannot be watched any more is closed" {
    start_full
    stop_worker
    start_other python3 -c 'import os, socket, sys, time
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"hello\n")
open(sys.argv[2] + "/got", "wb").write(s.makefile("rb").read())
while not os.path.exists(sys.argv[2] + "/go"):
    time.sleep(0.01)
for i in range(60):
    s.send(b"x")
    time.sleep(0.002)
time.sleep(0.5)' "$PORT" "$TMP"
    wait_until test -s "$TMP/got"
    trace_broker -e trace=epoll_ctl -e inject=epoll_ctl:error=ENOMEM
    touch "$TMP/go"
    wait_until is_gone "$OTHER"
    kill "${STARTED[-1]}"
    wait_until status_is '.listeners[0] | .full == 1 and .held == 0'
    status_is ".pid == $BROKER"
    kill -CONT "$WORKER"
    [[ $(ask | read_of) == hello ]]
}

@test "what the broker that died had in its hand is taken for no answered client" {
    local kind
    for kind in SOCK_STREAM SOCK_SEQPACKET; do
        start_broker -w 1 --max-conns-per-worker 9 -- python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX, getattr(socket, sys.argv[2])); s.bind(sys.argv[1]); s.listen()
while True:
    connection, _ = s.accept()
    print("served", connection.recv(100), flush=True)
    try:
        connection.sendall(b"answer")
    except BrokenPipeError:
        pass
    connection.close()' "$TMP/$kind" "$kind"
        trace_broker -e trace=sendmsg -e inject=sendmsg:signal=KILL
        # a stream that was closed once its request was written, and packets that are awaited
        timeout 60 python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX, getattr(socket, sys.argv[2])); s.connect(sys.argv[1])
s.sendall(b"hello")
sys.exit(sys.argv[2] == "SOCK_SEQPACKET" and s.recv(100) != b"answer")' "$TMP/$kind" "$kind"
        wait_until grep -q "served b'hello'" "$TMP/out"
        : >"$TMP/out"
        wait_until status_is ".pid != $BROKER"
        "$SSHIM" stop --now --control "$CONTROL"
        wait_for_broker
    done
}

# reread LINE...: the file of options again, with these
reread() {
    printf '%s\n' "control = $CONTROL" "command = $VICTIM_HOLD server $PORT" 'workers = 1' 'settle = 0' 'full-after = 1' "$@" >"$TMP/web.conf"
    run timeout 60 "$SSHIM" restart --control "$CONTROL" 3>&-
    echo "exit code $status, said: $output"
    [[ $status == "${STATUS_WANTED:-0}" ]]
}

@test "it begins, changes and ends while the broker runs; a file that cannot be read changes nothing" {
    printf '%b' "$ANSWER" >"$TMP/answer"
    printf 'other' >"$TMP/other"
    printf '%s\n' "control = $CONTROL" "command = $VICTIM_HOLD server $PORT" 'workers = 1' >"$TMP/web.conf"
    "$SSHIM" run --config "$TMP/web.conf" 3>&- </dev/null >>"$TMP/out" 2>>"$TMP/log" &
    BROKER=$!
    wait_until status_is '.state == "ready"'
    reread "when-full = $TMP/answer"
    [[ $output == *"changed: "*when-full* ]]
    stop_worker
    start_dialog waits 'text:hello\n' read
    wait_until grep -qx fin "$TMP/waits"
    [[ $(<"$TMP/waits") == "$TOLD" ]]
    kill -CONT "$WORKER"
    reread "when-full = $TMP/other"
    stop_worker
    [[ $(ask) == otherfin ]]
    kill -CONT "$WORKER"
    STATUS_WANTED=2 reread "when-full = $TMP/absent"
    [[ $output == *"cannot read $TMP/absent for --when-full: No such file or directory"* ]]
    [[ $(worker_pid 0) == "$WORKER" ]]
    stop_worker
    [[ $(ask) == otherfin ]]
    kill -CONT "$WORKER"
    reread 'when-full = queue'
    stop_worker
    start_dialog waits 'text:hello\n' read
    sleep 2
    [[ ! -s $TMP/waits ]]
    kill -CONT "$WORKER"
    wait_until grep -q fin "$TMP/waits"
    [[ $(read_of <"$TMP/waits") == hello ]]
    "$SSHIM" stop --control "$CONTROL"
}
