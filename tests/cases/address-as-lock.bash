#!/usr/bin/env bash
# An address that nobody serves is a lock: of several processes that bind it one wins. It stays a lock under sshim.
. "${0%/*}/lib/case.bash"

server() { # PORT LOCK
    exec python3 -c '
import os, socket, sys
port, lock = map(int, sys.argv[1:])
listener = socket.create_server(("127.0.0.1", port))
lives, end = os.pipe()
for _ in range(4):
    if os.fork() == 0:
        held = socket.socket()
        try:
            held.bind(("127.0.0.1", lock))
            held.listen()
            os.write(1, b"won\n")
        except OSError:
            os.write(1, b"lost\n")
        os.close(end)
        os.read(lives, 1)  # until the parent ends
        os._exit(0)
while True:
    client, _ = listener.accept()
' "$@"
}

all_decided() {
    (($(grep -cE 'won|lost' "$work/out") >= 4))
}

try() { # WAY
    start "$1" "$(free_port)" "$(free_port)"
    wait_until all_decided
    expect "winners of four" "$(grep -c won "$work/out")" 1
}

cases native "-w 1"
