#!/bin/sh
# server: fingerd-tcpserver   class: A   debian: fingerd+finger+ucspi-tcp
# shows: another program for each connection, with the connection on 0 and 1
. "${0%/*}/lib/recipe.sh"

start() {
    exec tcpserver -RHl0 "$host" "$port" in.fingerd
}

# It answers nobody who has hung up: the client stays for a moment.
probe() {
    { printf 'root\r\n' && sleep 0.3; } | talk | grep -qi root
}

recipe "$@"
