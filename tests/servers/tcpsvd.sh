#!/bin/sh
# server: tcpsvd   class: A   debian: ipsvd
# shows: another program for each connection
. "${0%/*}/lib/recipe.sh"

start() {
    exec tcpsvd "$host" "$port" cat
}

probe() {
    answers ping ping
}

recipe "$@"
