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

@test "a socket file that somebody else removes is put back" {
    unlinking_server
    env -u SSHIM_BROKER rm "$TMP/server.sock"
    wait_until test -S "$TMP/server.sock"
    touch "$TMP/later"
    mv "$TMP/later" "$TMP/server.sock"
    wait_until test -S "$TMP/server.sock"
    stop_broker
    [[ -z $(find "$TMP" -name '.sshim-*') ]]
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
