#!/bin/sh
# server: py-blocking   class: A   debian: python3
# shows: blocking accept, one connection at a time
. "${0%/*}/lib/recipe.sh"

start() {
    cat >server.py <<'END'
import socket, sys

server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    client, _ = server.accept()
    with client:
        client.sendall(b"blocking " + client.recv(100))
END
    exec python3 server.py "$port"
}

probe() {
    answers ping "blocking ping"
}

recipe "$@"
