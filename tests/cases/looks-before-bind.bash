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
print("serves", flush=True)
while True:
    client, _ = listener.accept()
    client.sendall(b"served\n")
    client.close()
' "$@"
}

try() { # WAY
    local port
    port=$(free_port)
    start "$1" "$port"
    wait_until says serves "$(copies_of "$1")"
    expect "programs that serve" "$(grep -c serves "$work/out")" "$(copies_of "$1")"
    expect "a client" "$(ask "$port")" served
}

cases native "-w 3"
