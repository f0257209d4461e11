#!/bin/sh
# server: nc-openbsd   class: B   debian: netcat-openbsd
# shows: one connection at a time, the listener stays
. "${0%/*}/lib/recipe.sh"

start() {
    exec nc.openbsd -l -k "$host" "$port" </dev/null
}

probe() {
    echo ping | talk
}

recipe "$@"
