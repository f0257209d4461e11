#!/usr/bin/env bash
# A server opens a second port after its first connection: its clients are answered, whichever copy took the first.
. "${0%/*}/lib/case.bash"

server() { # PORT SECOND
    exec python3 -c '
import select, socket, sys
first, second = map(int, sys.argv[1:])
listeners = [socket.create_server(("127.0.0.1", first))]
listeners[0].setblocking(False)
print("serves", flush=True)
while True:
    for listener in select.select(listeners, [], [])[0]:
        try:
            client, _ = listener.accept()
        except BlockingIOError:
            continue
        if len(listeners) == 1:
            listeners.append(socket.create_server(("127.0.0.1", second)))
            listeners[1].setblocking(False)
        client.sendall(b"served\n")
        client.close()
' "$@"
}

try() { # WAY
    local first second round
    first=$(free_port)
    second=$(free_port)
    start "$1" "$first" "$second"
    wait_until says serves "$(copies_of "$1")"
    for round in {1..6}; do
        expect "the first port, client $round" "$(ask "$first")" served
        expect "the second port, client $round" "$(ask "$second")" served
    done
}

cases native "-w 1" "-w 2 --share all"
