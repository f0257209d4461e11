#!/bin/sh
# server: socat-fork   class: A   debian: socat
# shows: a child for each connection
. "${0%/*}/lib/recipe.sh"

start() {
    exec socat -t 20 "TCP4-LISTEN:$port,bind=$host,reuseaddr,fork,backlog=64" EXEC:/bin/cat
}

probe() {
    answers ping ping
}

recipe "$@"
