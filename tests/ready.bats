#!/usr/bin/env bats
# --ready: when a worker counts as ready, and gets connections.

load helpers

# A server that listens, and then does what the file $TMP/order says, when it is there: "wait" goes on to accept, anything else
# is sent to NOTIFY_SOCKET first.
write_server() {
    cat >"$TMP/server" <<'PY'
import os, socket, sys, time
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind((sys.argv[1], int(sys.argv[2])))
listened = time.monotonic()
listener.listen(64)
print("copy", os.environ["SSHIM_WORKER_ID"], os.getpid(), file=sys.stderr, flush=True)
print("listening", os.environ.get("NOTIFY_SOCKET", "-"), flush=True)
while not os.path.exists(sys.argv[3]):
    time.sleep(0.02)
order = open(sys.argv[3]).read().strip()
if order != "wait":
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sender.sendto(order.replace("|", "\n").encode(), "\0" + os.environ["NOTIFY_SOCKET"][1:])
    print("sent", flush=True)
while True:
    connection, _ = listener.accept()
    print("accepted after", int(1000 * (time.monotonic() - listened)), flush=True)
    connection.sendall(b"slot=%s pid=%d\n" % (os.environ["SSHIM_WORKER_ID"].encode(), os.getpid()))
    connection.close()
PY
}

launch_server() { # OPTIONS...
    write_server
    launch_broker "$@" -- python3 "$TMP/server" "$HOST" "$PORT" "$TMP/order"
}

order() { # TEXT, in one piece
    echo "$1" >"$TMP/order.new"
    mv "$TMP/order.new" "$TMP/order"
}

ask() { # what a worker answers
    timeout 60 python3 -c 'import socket, sys
print(socket.create_connection((sys.argv[1], int(sys.argv[2]))).makefile().readline().strip())' "$HOST" "$PORT"
}

all_is_read() { # NAME: no datagram waits there
    [[ $(ss -xanH "src = $1" | awk '{ print $3 }') == 0 ]]
}

is_ready() {
    status_is '.state == "ready"' 2>/dev/null
}

all_listen() { # COUNT
    [[ $(grep -c listening "$TMP/out") -ge $1 ]] && status_is '.listeners[0].address != null'
}

@test "--ready listen, the default: it listens" {
    launch_server -w 2
    wait_until is_ready
    wait_until grep -q "^listening -\$" "$TMP/out"
    order wait
    stop_broker
}

@test "--ready accept: it has come to wait for connections" {
    launch_server -w 2 --ready accept
    wait_until all_listen 2
    sleep 0.3
    status_is '.state == "starting" and .ready == 0'
    order wait
    wait_until status_is '.state == "ready" and .ready == 2'
    [[ $(ask) == slot=* ]]
    stop_broker
}

# One copy may have listened for 2 s when the other begins to: the server's own clock tells. The broker's is read once a turn, which
# may have begun before the server listened.
@test "--ready delay: so long after it listens, and no connection before" {
    launch_server -w 2 --ready delay:2
    order wait
    wait_until all_listen 1
    [[ $(ask) == slot=* ]]
    (($(sed -n 's/^accepted after //p' "$TMP/out") >= 1800))
    wait_until status_is '.ready == 2'
    status_is '.workers | map(.uptime_s >= 2) | all'
    stop_broker
}

@test "--ready notify: READY=1 makes it ready, and no connection comes before" {
    local asker
    launch_server -w 2 --ready notify
    wait_until all_listen 2
    [[ $(sort -u "$TMP/out" | wc -l) == 2 ]] # a socket for each
    ask >"$TMP/answer" &
    asker=$!
    wait_until status_is '.listeners[0].queued == 1'
    status_is '.state == "starting" and .ready == 0 and .listeners[0].handed == 0'
    order 'STATUS=warm|READY=1'
    wait_until is_ready
    wait "$asker"
    grep -q slot= "$TMP/answer"
    stop_broker
}

@test "what is not READY=1 does not count" {
    launch_server -w 1 --ready notify
    order 'STATUS=READY=1|READY=0|XREADY=1|READY=11'
    wait_until grep -q "^sent" "$TMP/out"
    wait_until all_is_read "$(sed -n 's/^listening //p' "$TMP/out")"
    status_is '.ready == 0'
    "$SSHIM" stop --now --control "$CONTROL"
}

@test "systemd-notify of a script counts, though it has ended when its word is read; strangers do not" {
    needs_root
    local name
    printf '%s\n' 'import socket, sys, time' "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)" \
        "s.sendto(b'READY=1', '\0' + sys.argv[1][1:])" 'time.sleep(float(sys.argv[2]))' >"$TMP/say"
    cat >"$TMP/script" <<'SH'
echo "socket $NOTIFY_SOCKET"
while [ ! -e "$1/say-it" ]; do sleep 0.05; done
python3 "$1/say" "$NOTIFY_SOCKET" 0
shift
exec "$@"
SH
    launch_broker -w 1 --ready notify -- sh "$TMP/script" "$TMP" "$VICTIM" accept "$ADDR"
    wait_until grep -q socket "$TMP/out"
    name=$(sed -n 's/^socket //p' "$TMP/out")
    # of the same user, alive and no process of the worker
    start_other python3 "$TMP/say" "$name" 30
    wait_until log_has 'which is no process of it; ignoring that'
    # of another user, and over
    share_build
    chmod 644 "$TMP/say"
    "${NOBODY[@]}" /usr/bin/python3 "$TMP/say" "$name" 0
    wait_until all_is_read "$name"
    status_is '.ready == 0'
    touch "$TMP/say-it"
    wait_until is_ready
    wait_until victims_listen 1
    probe 2
    stop_broker
}

@test "BARRIER=1 is over when READY=1 before it is noted: systemd-notify as it is" {
    cat >"$TMP/script" <<'SH'
while [ ! -e "$1/say-it" ]; do sleep 0.05; done
systemd-notify --ready
echo "systemd-notify: $?"
exec python3 "$1/server" "$2" "$3" "$1/order"
SH
    write_server
    order wait
    touch "$TMP/say-it"
    launch_broker -w 3 --ready notify -- sh "$TMP/script" "$TMP" "$HOST" "$PORT"
    wait_until is_ready
    [[ $(grep -cx "systemd-notify: 0" "$TMP/out") == 3 ]]
    wait_until all_listen 3 # that comes after what systemd-notify says
    [[ $(ask) == slot=* ]]
    # also later, and after a crash and an upgrade of the broker, which have a receiver of their own
    local name
    name=$(tr '\0' '\n' <"/proc/$(worker_pid 0)/environ" | sed -n 's/^NOTIFY_SOCKET=//p')
    NOTIFY_SOCKET=$name timeout 60 systemd-notify STATUS=well
    kill -KILL "$BROKER"
    wait_until status_is ".pid != $BROKER"
    wait_for_broker
    NOTIFY_SOCKET=$name timeout 60 systemd-notify STATUS=well
    "$SSHIM" upgrade --control "$CONTROL"
    NOTIFY_SOCKET=$name timeout 60 systemd-notify STATUS=well
    timeout 60 "$SSHIM" stop --control "$CONTROL"
}

receiver_is_not() { # PID of the process that reads what workers say
    local pid
    pid=$(pgrep -x -P "$(status_of .pid)" sshim-receiver) && [[ $pid != "$1" ]]
}

@test "if the process that reads the workers' words is killed, another one goes on" {
    local first
    launch_server -w 2 --ready notify
    wait_until all_listen 2
    first=$(pgrep -x -P "$(status_of .pid)" sshim-receiver)
    kill -KILL "$first"
    wait_until receiver_is_not "$first"
    order READY=1
    wait_until is_ready
    stop_broker
}

# A socket of a worker that has ended may live on for a moment in a process that the broker has just forked.
@test "the process that reads the workers' words outlives many restarts of many workers" {
    local first round
    launch_server -w 8 --ready notify --settle 0 --verbose
    order READY=1
    wait_until is_ready
    first=$(pgrep -x -P "$BROKER" sshim-receiver)
    for round in {1..20}; do
        timeout 60 "$SSHIM" restart --parallel 8 --control "$CONTROL"
    done
    if log_has "has ended; starting another one"; then return 1; fi
    [[ $(pgrep -x -P "$BROKER" sshim-receiver) == "$first" ]]
    stop_broker
}

@test "connections whose close sleeps, sent to a worker's NOTIFY_SOCKET, do not stop the loop" {
    launch_server -w 1 --ready notify
    wait_until all_listen 1
    timeout 60 python3 -c 'import array, os, socket, struct, sys
def make_lingering(address):
    fd = socket.create_connection(address)
    fd.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 15))
    fd.setblocking(False)
    try:
        while True:
            fd.send(b"x" * 65536)
    except BlockingIOError:
        return fd
listener = socket.create_server(("127.0.0.1", 0))
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect("\0" + sys.argv[1][1:])
kept = []
for i in range(100):
    if os.fork() == 0:
        lingering = make_lingering(listener.getsockname())
        s.sendmsg([b"BARRIER=1"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [lingering.fileno()]))])
        os._exit(0)
    kept.append(listener.accept())
    assert os.wait()[1] == 0' "$(sed -n 's/^listening //p' "$TMP/out")"
    order READY=1 # comes behind all that
    wait_until is_ready
    turns_are_short 1000
    stop_broker
}

@test "who is no process of the worker does not fill the log" {
    launch_server -w 1 --ready notify
    wait_until all_listen 1
    timeout 60 python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect("\0" + sys.argv[1][1:])
for i in range(30):
    s.send(b"READY=1")' "$(sed -n 's/^listening //p' "$TMP/out")"
    order READY=1 # comes behind all that
    wait_until is_ready
    [[ $(grep -c 'which is no process of it; ignoring that, and saying so once a minute' "$TMP/log") == 1 ]]
    stop_broker
}

@test "a restart waits for the same readiness, and fails without it" {
    local old
    launch_server -w 1 --ready notify --start-timeout 15
    order READY=1
    wait_until is_ready
    old=$(ask)
    rm "$TMP/order"
    run timeout 60 "$SSHIM" restart --control "$CONTROL"
    echo "$output"
    [[ $status == 1 && $output == *"after 15 s the new copy for slot 0 has not sent READY=1 (--ready notify)"* ]]
    [[ $(ask) == "$old" ]]
    "$SSHIM" restart --control "$CONTROL" &
    wait_until all_listen 3
    for _ in 1 2; do [[ $(ask) == "$old" ]]; done
    order READY=1
    wait $!
    [[ $(ask) != "$old" ]]
    stop_broker
}

@test "a successor that is kept by an aborted restart, since the old worker has died, has its delay first" {
    local restart old
    launch_server -w 2 --ready delay:3
    order wait
    wait_until is_ready
    old=$(worker_pid 0)
    : >"$TMP/log"
    timeout 60 "$SSHIM" restart --parallel 2 --control "$CONTROL" &
    restart=$!
    wait_until all_listen 4
    kill -KILL "$old"
    wait_until status_is "all(.workers[]; .pid != $old)"
    kill -KILL "$(sed -n 's/^copy 1 //p' "$TMP/log")"
    if wait "$restart"; then return 1; fi
    wait_until status_is '.ready == 2'
    status_is '.workers | map(.uptime_s >= 3) | all'
    [[ $(worker_pid 0) == "$(sed -n 's/^copy 0 //p' "$TMP/log")" ]]
    for _ in 1 2 3 4; do ask; done >"$TMP/answers"
    grep -q slot=0 "$TMP/answers"
    stop_broker
}

@test "a crash of the broker and an upgrade do not lose what a worker says" {
    launch_server -w 1 --ready notify
    wait_until all_listen 1
    kill -KILL "$BROKER"
    wait_until status_is ".pid != $BROKER"
    wait_for_broker
    "$SSHIM" upgrade --control "$CONTROL"
    status_is '.ready == 0'
    order READY=1
    wait_until is_ready
    [[ $(ask) == slot=* ]]
    timeout 60 "$SSHIM" stop --control "$CONTROL"
}

@test "a flood of datagrams does not keep the broker from its work" {
    local name
    launch_server -w 1 --ready notify
    wait_until all_listen 1
    name=$(sed -n 's/^listening //p' "$TMP/out")
    start_other python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
while True:
    s.sendto(b"X" * 60000, "\0" + sys.argv[1][1:])' "$name"
    sleep 1
    local before after
    before=$(awk '{print $14 + $15}' "/proc/$BROKER/stat")
    sleep 1
    after=$(awk '{print $14 + $15}' "/proc/$BROKER/stat")
    echo "$((after - before)) ticks"
    ((after - before < 20))
    kill "$OTHER"
    order READY=1
    wait_until is_ready
    stop_broker
}

@test "a worker that is not ready in time is told, and is not counted" {
    launch_server -w 1 --ready notify --start-timeout 1
    wait_until log_has 'has not sent READY=1 (--ready notify) after 1 s; it counts as not ready until then'
    status_is '.state == "starting" or .state == "failing" or .state == "degraded"'
    order READY=1
    wait_until is_ready
    stop_broker
}

@test "values that make no sense are refused" {
    run timeout 60 "$SSHIM" run -w 1 --control "$CONTROL" --ready never -- "$VICTIM" accept "$ADDR"
    [[ $status == 2 && $output == *"invalid value 'never' for --ready: expected listen, accept, notify or delay:SECONDS"* ]]
    run timeout 60 "$SSHIM" run -w 1 --control "$CONTROL" --ready delay:60 -- "$VICTIM" accept "$ADDR"
    [[ $status == 2 && $output == *"--ready delay:60 never ends within --start-timeout 60"* ]]
    run timeout 60 "$SSHIM" run -w 1 --control "$CONTROL" --ready accept --handoff direct -- "$VICTIM" accept "$ADDR"
    [[ $status == 2 && $output == *"so there is no --ready accept"* ]]
}
