#!/usr/bin/env bats
# --hold: a connection is offered when it can be read as far as was asked for. The server blocks, one client at a time.

load helpers
load hold

@test "silent clients occupy no worker, and are closed in time" {
    start_held --hold line --hold-timeout 2
    for i in 1 2 3; do start_dialog "silent$i" read; done
    wait_until holds 3
    [[ $(dialog 'text:hello\n' read | read_of) == hello ]]
    for i in 1 2 3; do wait_until grep -qx fin "$TMP/silent$i"; done
    holds 0
    status_is '.listeners[0] | .hold_timeouts == 3 and .connections == 4'
}

@test "held connections survive a kill of the broker and an upgrade" {
    start_held --hold line --hold-timeout 300
    start_dialog silent read
    start_dialog slow text:he "file:$TMP/go" 'text:llo\n' read
    wait_until holds 2
    local keeper=$BROKER
    kill -KILL "$BROKER"
    wait_until status_is ".pid != $keeper"
    holds 2
    "$SSHIM" upgrade --control "$CONTROL"
    holds 2
    touch "$TMP/go"
    wait_until grep -q fin "$TMP/slow"
    [[ $(read_of <"$TMP/slow") == hello ]]
    status_is '.listeners[0] | .held == 1 and .hold_timeouts == 0 and .accepted == 2'
    "$SSHIM" stop --control "$CONTROL"
    grep -qx rst "$TMP/silent"
}

@test "the time of a held connection goes on over a kill of the broker" {
    start_held --hold line --hold-timeout 1
    start_dialog silent read
    wait_until status_is '.listeners[0].accepted == 1'
    local before=$BROKER
    kill -KILL "$BROKER"
    wait_until status_is ".pid != $before"
    wait_until grep -qx fin "$TMP/silent"
    status_is '.listeners[0] | .held == 0 and .hold_timeouts == 1'
    "$SSHIM" stop --control "$CONTROL"
}

@test "the time is that of the whole request: a byte now and then does not make it longer" {
    start_held --hold http --hold-timeout 1
    timeout 60 python3 -c 'import select, socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
for byte in b"GET /" + b"x" * 10000:
    s.send(bytes([byte]))
    if select.select([s], [], [], 0.2)[0]:
        sys.exit(s.recv(1) != b"")
sys.exit(1)' "$PORT"
    status_is '.listeners[0] | .hold_timeouts == 1 and .handed == 0'
}

@test "each kind waits for what it says, and what is not of the protocol is handed over as it is" {
    start_held --hold http --hold-timeout 300
    start_dialog split 'text:GET\s/\sHTTP/1.1\r\nA:\sb\r' "file:$TMP/go" 'text:\n\r\n' read
    wait_until holds 1
    [[ $(dialog 'text:\r\nGET\s/\sHTTP/1.0\n\n' read | read_of) == $'\r\nGET / HTTP/1.0' ]]
    [[ $(dialog 'text:HELO\n' read | read_of) == HELO ]]
    [[ $(dialog 'text:GET\s/half\sHTTP/1.1\r\n' end read | read_of) == 'GET /half HTTP/1.1'$'\r' ]]
    holds 1
    touch "$TMP/go"
    wait_until grep -q fin "$TMP/split"
    [[ $(read_of <"$TMP/split") == $'GET / HTTP/1.1\r\nA: b\r\n\r' ]]
    stop_broker
    start_held --hold tls --hold-timeout 300
    rm "$TMP/go"
    start_dialog hello 'text:\x16\x03\x01\x00\x05\x01\x00\x00\x01' "file:$TMP/go" 'text:\n' end read
    wait_until holds 1
    [[ $(dialog 'text:HELO\n' read | read_of) == HELO ]]
    touch "$TMP/go"
    wait_until grep -q fin "$TMP/hello"
    grep -q 'read=1603010005010000010a' "$TMP/hello"
    sums_agree
}

@test "a head in a thousand pieces is complete in the end, whole" {
    start_held --hold http --hold-timeout 300
    local long
    long=$(printf 'x%.0s' {1..1000})
    [[ $(dialog "text:GET\\s/\\sHTTP/1.1\\r\\nA:$long\\r\\n\\r\\n" read | read_of | wc -c) == 1022 ]]
}

@test "a head that fills a small receive buffer is handed over as far as it has come, and served" {
    local size
    for size in 2304 8192; do
        start_broker -w 1 --hold http --hold-timeout 300 -- python3 -c 'import socket, sys
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, int(sys.argv[2]))
s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen()
while True:
    client = s.accept()[0]
    text = b""
    while not text.endswith(b"\r\n\r\n"):
        text += client.recv(65536)
    client.sendall(b"%d bytes" % len(text)); client.close()' "$PORT" "$size"
        start_dialog slow 'text:GET\s/\sHTTP/1.1\r\nA:\sb' "file:$TMP/go" 'text:\r\n\r\n' read
        wait_until holds 1
        run timeout 60 python3 -c 'import socket, sys
client = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
client.sendall(b"GET / HTTP/1.1\r\nA: " + b"x" * 20000 + b"\r\n\r\n")
print(client.recv(100).decode())' "$PORT"
        [[ $output == '20023 bytes' ]]
        holds 1
        touch "$TMP/go"
        wait_until grep -qx '24 bytesfin' "$TMP/slow"
        rm "$TMP/go"
        stop_broker
    done
}

# A server that reads to the end of a request head and tells how much that was, on a port or a path. Its clients send the head in
# ways after which a look does not show all that has come.
start_reader() { # ADDR
    start_broker -w 1 --hold http --hold-timeout 300 -- python3 -c 'import socket, sys
address = sys.argv[1]
s = socket.socket(socket.AF_UNIX) if address[0] == "/" else socket.socket()
if address[0] != "/": s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(address if address[0] == "/" else ("127.0.0.1", int(address))); s.listen()
while True:
    client = s.accept()[0]
    text = b""
    while not text.endswith(b"\r\n\r\n"):
        text += client.recv(65536)
    client.sendall(b"%d bytes" % len(text)); client.close()' "$1"
}

ask_reader() { # ADDR HOW
    timeout 60 python3 -c 'import os, socket, sys, time
address, how = sys.argv[1:]
s = socket.socket(socket.AF_UNIX) if address[0] == "/" else socket.socket()
s.connect(address if address[0] == "/" else ("127.0.0.1", int(address)))
head = b"GET / HTTP/1.1\r\nA: " + b"x" * 1000 + b"\r\n\r\n"
if how == "urgent":
    s.sendall(head[:10]); s.send(b"!", socket.MSG_OOB); time.sleep(0.2); s.sendall(head[10:])
elif how == "descriptor":
    socket.send_fds(s, [head[:10]], [0]); time.sleep(0.2); s.sendall(head[10:])
elif how == "bytes":
    for i in range(len(head)): s.send(head[i:i + 1])
elif how == "polled":
    s.settimeout(60) # now send(2) comes after poll(2)
    for i in range(len(head)): s.send(head[i:i + 1])
print(s.recv(100).decode())' "$@"
}

@test "what a look cannot see is not waited for: behind urgent data, behind descriptors, of a client whose buffer is full" {
    start_reader "$PORT"
    start_dialog slow 'text:GET\s/\sHTTP/1.1\r\n' read
    wait_until holds 1
    [[ $(ask_reader "$PORT" urgent) == '1023 bytes' ]]
    [[ $(ask_reader "$PORT" bytes) == '1023 bytes' ]]
    holds 1
    stop_broker
    start_reader "$TMP/reader"
    start_other python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(b"GET / HTTP/1.1\r\n"); time.sleep(3600)' "$TMP/reader"
    wait_until holds 1
    for how in descriptor bytes polled; do [[ $(ask_reader "$TMP/reader" "$how") == '1023 bytes' ]]; done
    holds 1
    sums_agree
}

wakeups() { # of the broker
    awk '/^voluntary_ctxt_switches/ { print $2 }' "/proc/$BROKER/status"
}

is_quiet() {
    local before
    before=$(wakeups)
    sleep 1.2
    [[ $(wakeups) == "$before" ]]
}

@test "clients that are held wake the broker only when they say something" {
    local before
    start_held --hold http --hold-timeout 3600
    for i in {1..20}; do start_dialog "half$i" 'text:GET\s/' "file:$TMP/go"; done
    wait_until holds 20
    wait_until is_quiet
    before=$(wakeups)
    sleep 2 # the measured time
    [[ $(wakeups) == "$before" ]]
    touch "$TMP/go"
    wait_until holds 0
}

@test "of --hold data the kernel does its part, unless the server has it do more" {
    local seconds
    for seconds in 0 7; do
        start_broker -w 1 --hold data -- python3 -c 'import socket, sys
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
if int(sys.argv[2]): s.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, int(sys.argv[2]))
s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen()
while True:
    client = s.accept()[0]
    client.sendall(b"%d\n" % s.getsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT)); client.close()' "$PORT" "$seconds"
        [[ $(dialog text:x read) == "$((seconds > 0 ? seconds : 1))"* ]]
        "$SSHIM" stop --control "$CONTROL"
        wait_for_broker
    done
}

@test "of a socket of packets the first packet is what is waited for" {
    start_broker -w 1 --hold http --hold-timeout 60 -- python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.bind(sys.argv[1]); s.listen()
while True:
    with s.accept()[0] as client:
        client.sendall(client.recv(100))' "$TMP/packets"
    start_other python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect(sys.argv[1]); time.sleep(3600)' "$TMP/packets"
    wait_until holds 1
    [[ $(timeout 60 python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect(sys.argv[1])
s.sendall(b"GET /")
print(s.recv(100))' "$TMP/packets") == "b'GET /'" ]]
    holds 1
}

@test "silent and dripping clients do not hold up honest ones" {
    WORKERS=2 start_held --hold http --hold-timeout 300
    python3 "$ROOT/tests/bench/crowd.py" "$PORT" 200 50 >"$TMP/crowd" 2>&1 3>&- 8>&- &
    STARTED+=($!)
    wait_until holds 250
    for _ in {1..10}; do
        [[ $(dialog 'text:GET\s/\sHTTP/1.0\r\n\r\n' read | read_of) == $'GET / HTTP/1.0\r\n\r' ]]
    done
    status_is '.listeners[0] | .connections == 260 and .held == 250'
    sums_agree
}

@test "another run takes held connections over from a broker that was killed" {
    start_held --hold line --hold-timeout 300
    start_dialog slow text:he "file:$TMP/go" 'text:llo\n' read
    wait_until holds 1
    local before=$BROKER
    kill -KILL "$BROKER"
    wait_until status_is ".pid != $before"
    start_held --hold line --hold-timeout 300
    status_is ".pid == $BROKER"
    holds 1
    touch "$TMP/go"
    wait_until grep -q fin "$TMP/slow"
    [[ $(read_of <"$TMP/slow") == hello ]]
    sums_agree
}

@test "a client that leaves while it is held costs no worker" {
    start_held --hold http --hold-timeout 300
    dialog 'text:GET\s/' reset
    dialog
    wait_until status_is '.listeners[0] | .hung_up == 2 and .held == 0 and .handed == 0'
    sums_agree
}

@test "a client that leaves while it waits for a worker is not offered" {
    start_held --hold line --hold-timeout 300
    stop_worker
    start_dialog first 'text:one\n' read
    wait_until status_is '.listeners[0].held_complete == 1'
    start_dialog gone 'text:two\n' "file:$TMP/go" reset
    local gone=${STARTED[-1]}
    start_dialog half 'text:three\n' end read
    wait_until status_is '.listeners[0].held_complete == 3'
    touch "$TMP/go"
    wait_until is_gone "$gone"
    kill -CONT "$WORKER"
    for name in first half; do wait_until grep -q fin "$TMP/$name"; done
    [[ $(read_of <"$TMP/first") == one && $(read_of <"$TMP/half") == three ]]
    status_is '.listeners[0] | .dead == 1 and .held == 0'
    sums_agree
}

# Clients leave the queue of a server that hangs for a while.
leave_the_queue() {
    stop_worker
    start_dialog first 'text:one\n' read
    wait_until status_is '.listeners[0].queued == 1'
    dialog 'text:two\n' reset
    dialog
    start_dialog half 'text:three\n' end read
    wait_until status_is '.listeners[0].queued == 4'
    sleep 0.1 # with --handoff broker those are asked that have waited for 20 ms
    kill -CONT "$WORKER"
    for name in first half; do wait_until grep -q fin "$TMP/$name"; done
    [[ $(read_of <"$TMP/first") == one && $(read_of <"$TMP/half") == three ]]
}

@test "with --handoff broker a client that left the kernel's queue is not offered" {
    start_held --handoff broker
    leave_the_queue
    status_is '.listeners[0].dead == 2'
    sums_agree
}

@test "with --skip-dead alone no worker takes such a client by itself either, also from a restart on" {
    start_held --skip-dead
    leave_the_queue
    status_is '.listeners[0] | .dead == 2 and .direct == 0'
    sums_agree
    stop_broker
    printf '%s\n' "control = $CONTROL" 'workers = 1' 'settle = 0' "command = $VICTIM_HOLD server $PORT" >"$TMP/web.conf"
    "$SSHIM" run --config "$TMP/web.conf" </dev/null >>"$TMP/out" 2>>"$TMP/log" 3>&- &
    BROKER=$!
    wait_until workers_ready 1
    echo skip-dead = yes >>"$TMP/web.conf"
    "$SSHIM" restart --control "$CONTROL"
    rm "$TMP/first" "$TMP/half"
    leave_the_queue
    status_is '.listeners[0] | .dead == 2 and .direct == 0'
    sums_agree
}

@test "beyond --hold-max the oldest silent client gives way while a worker is idle" {
    start_held --hold line --hold-timeout 300 --hold-max 2 --hold-close rst
    start_dialog silent1 read
    wait_until holds 1
    start_dialog silent2 read
    wait_until holds 2
    [[ $(dialog 'text:hello\n' read | read_of) == hello ]]
    wait_until grep -qx rst "$TMP/silent1"
    status_is '.listeners[0] | .hold_evicted == 1 and .held == 1'
    sums_agree
}

start_silent() { # COUNT: clients that say nothing
    start_other python3 -c 'import socket, sys, time
clients = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(int(sys.argv[2]))]
time.sleep(3600)' "$PORT" "$1"
}

@test "held connections leave the broker descriptors for status, a restart and an upgrade" {
    (ulimit -n 64; exec "$SSHIM" run -w 2 --settle 0 --control "$CONTROL" --hold line --hold-timeout 300 -- "$VICTIM_HOLD" server "$PORT") \
        </dev/null >>"$TMP/out" 2>>"$TMP/log" 3>&- &
    BROKER=$!
    wait_until workers_ready 2
    start_silent 100
    wait_until status_is '.listeners[0] | .held > 10 and .held < 50 and .hold_evicted > 20'
    [[ $(dialog 'text:hello\n' read | read_of) == hello ]]
    "$SSHIM" restart --control "$CONTROL"
    "$SSHIM" upgrade --control "$CONTROL"
    [[ $(dialog 'text:hello\n' read | read_of) == hello ]]
    [[ $(grep -c 'Too many open files' "$TMP/log") == 0 ]]
    status_is '.listeners[0] | .held > 10 and .held < 50'
    sums_agree
    "$SSHIM" stop --control "$CONTROL"
}

@test "where all addresses together have no room, silent clients of one keep nobody from another" {
    local other
    other=$("$PROBE" --free-port)
    (ulimit -n 64; exec "$SSHIM" run -w 1 --control "$CONTROL" --hold line --hold-timeout 300 -- python3 -c 'import select, socket, sys
listeners = [socket.create_server(("127.0.0.1", int(port))) for port in sys.argv[1:]]
while True:
    for listener in select.select(listeners, [], [])[0]:
        with listener.accept()[0] as client:
            client.sendall(client.recv(100))' "$PORT" "$other") </dev/null >>"$TMP/out" 2>>"$TMP/log" 3>&- &
    BROKER=$!
    wait_until workers_ready 1
    start_silent 100
    wait_until status_is '.listeners[0] | .held > 10 and .hold_evicted > 20'
    for _ in 1 2 3; do [[ $(PORT=$other dialog 'text:hello\n' read) == hello$'\n'fin ]]; done
    "$SSHIM" stop --control "$CONTROL"
}

@test "held connections wait through a restart of the workers, for each address by its own rule" {
    start_broker -w 2 --hold http --hold "line@127.0.0.1:$PORT" --hold-timeout 300 --balance source -- "$VICTIM_HOLD" server "$PORT"
    start_dialog slow text:he "file:$TMP/go" 'text:llo\n' read
    wait_until holds 1
    local before
    before=$(worker_pid 0)
    "$SSHIM" restart --control "$CONTROL"
    [[ $(worker_pid 0) != "$before" ]]
    holds 1
    touch "$TMP/go"
    wait_until grep -q fin "$TMP/slow"
    [[ $(read_of <"$TMP/slow") == hello ]]
    sums_agree
}

# Leaves in $SLOT which worker a client got that stays, and its descriptor in $CLIENT.
stay() {
    local answer
    exec {CLIENT}<>"/dev/tcp/$HOST/$PORT"
    echo hello >&"$CLIENT"
    read -r answer <&"$CLIENT"
    [[ $answer =~ slot=([0-9]+) ]]
    SLOT=${BASH_REMATCH[1]}
}

@test "what was held goes to no worker that drains, and waits while all do" {
    local answer before
    start_broker -w 2 --hold line --hold-timeout 300 -- "$VICTIM" epoll --hold "$ADDR"
    "$SSHIM" drain 0 --no-wait --control "$CONTROL"
    for _ in 1 2; do
        stay
        [[ $SLOT == 1 ]]
    done
    "$SSHIM" drain 1 --no-wait --control "$CONTROL"
    before=$(status_of '.listeners[0].handed')
    exec {CLIENT}<>"/dev/tcp/$HOST/$PORT"
    echo hello >&"$CLIENT"
    wait_until status_is '.listeners[0].held_complete == 1'
    status_is ".listeners[0].handed == $before"
    "$SSHIM" resume 0 --control "$CONTROL"
    read -r answer <&"$CLIENT"
    [[ $answer == *slot=0* ]]
    sums_agree
}

@test "--hold and --handoff direct, or a program without the library, are refused" {
    run "$SSHIM" run --control "$CONTROL" --hold data --handoff direct -- true
    [[ $status == 2 && $output == *"--handoff direct"*"--hold"* ]]
    run "$SSHIM" run --control "$CONTROL" --hold data --intercept seccomp -- true
    [[ $status == 126 && $output == *"--hold needs the library"* ]]
}
