#!/bin/sh
# server: sd-activate   class: C   debian: python3
# shows: a listener handed down on descriptor 3, as a service manager does
. "${0%/*}/lib/recipe.sh"

start() {
    cat >server.py <<'END'
import socket

server = socket.socket(fileno=3)
assert server.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
assert (server.family, server.type) == (socket.AF_INET, socket.SOCK_STREAM)
while True:
    client, _ = server.accept()
    with client:
        client.sendall(b"activated " + client.recv(100))
END
    cat >activate.py <<'END'
import os, socket, sys

listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
if listener.fileno() != 3:
    os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, "server.py"])
END
    exec python3 activate.py "$port"
}

probe() {
    answers ping "activated ping"
}

recipe "$@"
