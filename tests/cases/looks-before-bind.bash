#!/usr/bin/env bash
# A server that connects to its address first and does not start where another answers: alone it starts, and so do all copies.
. "${0%/*}/lib/case.bash"

server() { # PORT
    exec python3 -c '
import socket, sys
address = ("127.0.0.1", int(sys.argv[1]))
with socket.socket() as look:
    if look.connect_ex(address) == 0:
        sys.exit("another one is running")
listener = socket.create_server(address)
'"$answer_each" "$@"
}

try() { # WAY
    each_copy_serves "$1"
}

cases native "-w 3"
