# What copies with a filter do with their sockets: files, options, sockets that they close, shut, connect or bind twice.
load helpers

STATIC=$BUILD/tests/unloaded/victim

# Whether this is the file that was there, and every copy answers at it.
is_one_file() { # PATH INODE
    [[ $(stat -c %i "$1") == "$2" ]]
    all_answer 3 "$1"
}

@test "a socket file that every copy unlinks and binds is one, also when they all start at once, are killed and replaced" {
    local round inode
    for round in 1 2 3 4; do
        start_broker -w 3 -- "$STATIC" epoll "$ADDR" "$TMP/server.sock"
        all_answer 3 "$TMP/server.sock"
        stop_broker
    done
    start_broker -w 3 -- "$STATIC" epoll "$ADDR" "$TMP/server.sock"
    status_is ".listeners | map(.address) | index(\"unix:$TMP/server.sock\") != null"
    inode=$(stat -c %i "$TMP/server.sock")
    kill -KILL "$(worker_pid 1)"
    wait_until status_is '.workers[1].restarts == 1 and .workers[1].state == "ready"'
    is_one_file "$TMP/server.sock" "$inode"
    kill -KILL "$BROKER"
    wait_for_broker
    wait_until "$SSHIM" status --control "$CONTROL"
    "$SSHIM" restart --control "$CONTROL" --parallel 3
    is_one_file "$TMP/server.sock" "$inode"
    "$SSHIM" stop --control "$CONTROL"
    rm "$TMP/server.sock" # the server leaves it, as natively
}

@test "a socket file in the working folder of each copy; one that copies remove at their end goes with the last" {
    mkdir "$TMP/here"
    cd "$TMP/here"
    cat >"$TMP/server.py" <<'END'
import os, signal, socket, sys
def end(*_):
    os.unlink(sys.argv[1])
    os._exit(0)
signal.signal(signal.SIGTERM, end)
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
while True:
    c, _ = s.accept()
    c.sendall(b"pid=%d\n" % os.getpid())
    c.close()
END
    start_broker -w 2 --intercept seccomp -- python3 "$TMP/server.py" x.sock
    local inode
    inode=$(stat -c %i x.sock)
    "$SSHIM" restart --control "$CONTROL" 3>&-
    [[ $(stat -c %i x.sock) == "$inode" ]]
    stop_broker
    [[ ! -e x.sock ]]
}

both_say() { # TEXT
    [[ $(grep -cx "$1" "$TMP/out") == 2 ]]
}

@test "another's file is not taken, and other files are removed as ever" {
    start_other "$VICTIM" accept "$TMP/theirs.sock"
    wait_until test -S "$TMP/theirs.sock"
    touch "$TMP/file"
    start_broker -w 2 --intercept seccomp --start-timeout 2 -- python3 -c "
import os, socket, sys, time
try:
    os.unlink('$TMP/file')
except FileNotFoundError:
    pass
s = socket.socket(socket.AF_UNIX)
try:
    s.bind('$TMP/theirs.sock')
except OSError as error:
    print('errno', error.errno, flush=True)
time.sleep(1000)"
    wait_until both_say 'errno 98'
    [[ ! -e $TMP/file ]]
    "$PROBE" -n 1 "$TMP/theirs.sock"
    stop_broker
    rm "$TMP/theirs.sock"
}

@test "what a copy has closed is free for an address that overlaps it" {
    start_broker -w 1 --intercept seccomp -- python3 -c "
import socket, sys
def bound(host, listens):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((host, $PORT))
    if listens:
        s.listen()
    return s
for round in range(5):
    for listens in False, True:
        bound('$HOST', listens).close()
        bound('0.0.0.0', listens).close()
s = bound('$HOST', True)
while True:
    c, _ = s.accept()
    c.sendall(b'pid=1\n')
    c.close()"
    status_is '.workers[0].restarts == 0'
    stop_broker
}

@test "a listener that comes while a client is served is the copy's own" {
    start_broker -w 2 --intercept seccomp -- python3 -c "
import socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('$HOST', $PORT))
s.listen()
while True:
    c, _ = s.accept()
    data = socket.socket()
    port = int(c.recv(100))
    data.bind(('$HOST', port))
    data.listen()
    c.sendall(b'ready\n')
    d, _ = data.accept()
    d.sendall(b'data\n')
    d.close()
    c.close()"
    local other line
    other=$("$PROBE" --free-port)
    wait_until status_is '[.workers[].uptime_s] | min >= 4' # what it binds in the first 3 s may be one more of its own
    exec 7<>"/dev/tcp/$HOST/$PORT"
    echo "$other" >&7
    read -r -t 10 line <&7
    [[ $line == ready ]]
    status_is '.listeners | length == 1'
    exec 6<>"/dev/tcp/$HOST/$other"
    read -r -t 10 line <&6
    [[ $line == data ]]
    exec 6<&- 6>&- 7<&- 7>&-
    stop_broker
}

@test "a copy that shuts the socket down for all when it ends does not end the service" {
    start_broker -w 2 --intercept seccomp -- python3 -c "
import os, signal, socket, sys
s = socket.socket()
def end(*_):
    s.shutdown(socket.SHUT_RDWR)
    os._exit(0)
signal.signal(signal.SIGTERM, end)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('$HOST', $PORT))
s.listen()
while True:
    try:
        c, _ = s.accept()
    except OSError:
        continue
    c.sendall(b'slot=%s\n' % os.environb[b'SSHIM_WORKER_ID'])
    c.close()"
    "$SSHIM" restart --control "$CONTROL" 3>&-
    log_has "has shut the socket down; it should only close it when it ends: all copies share one"
    local line
    exec 7<>"/dev/tcp/$HOST/$PORT"
    read -r -t 10 line <&7
    exec 7<&- 7>&-
    [[ $line == slot=* ]]
    status_is '.listeners[0].shut_downs == 2 and .workers[0].restarts == 1'
    stop_broker
}

@test "a program that binds and then connects is a client: what it closes is closed" {
    local other
    other=$("$PROBE" --free-port)
    start_broker -w 1 --intercept seccomp -- python3 -c "
import socket
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(('$HOST', $PORT))
server.listen()
while True:
    c, _ = server.accept()
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    client.bind(('$HOST', $other))
    client.connect(('$HOST', $PORT))
    far, _ = server.accept()
    client.close()
    far.settimeout(10)
    c.sendall(b'end of file\n' if far.recv(1) == b'' else b'what?\n')
    c.close()
    far.close()"
    local line
    exec 7<>"/dev/tcp/$HOST/$PORT"
    read -r -t 20 line <&7
    exec 7<&- 7>&-
    [[ $line == "end of file" ]]
    status_is '.listeners | length == 1'
    stop_broker
}

@test "an address that a copy binds twice is refused, in the first copy and in later ones" {
    start_broker -w 2 --intercept seccomp -- python3 -c "
import os, socket
def bound():
    s = socket.socket()
    s.bind(('$HOST', $PORT))
    s.listen(5)
    return s
s = bound()
try:
    bound()
    error = 0
except OSError as e:
    error = e.errno
while True:
    c, _ = s.accept()
    c.sendall(b'pid=%d slot=%s error=%d\n' % (os.getpid(), os.environb[b'SSHIM_WORKER_ID'], error))
    c.close()"
    local slot line
    for slot in 0 1; do
        until [[ ${line-} == *"slot=$slot "* ]]; do
            exec 7<>"/dev/tcp/$HOST/$PORT"
            read -r -t 10 line <&7
            exec 7<&- 7>&-
        done
        [[ $line == *"error=98" ]]
    done
    stop_broker
}

@test "the backlog is the broker's, or the program's with --backlog app" {
    start_broker -w 2 -- "$STATIC" accept "$ADDR"
    status_is ".listeners[0].backlog == $(cat /proc/sys/net/core/somaxconn)"
    stop_broker
    start_broker -w 2 --backlog app -- "$STATIC" accept "$ADDR"
    status_is '.listeners[0].backlog == 128'
    [[ $(ss -Hltn "src $ADDR" | awk '{ print $3 }') == 128 ]]
    stop_broker
}
