#!/bin/sh
# server: socat-once   class: B   debian: socat
# shows: ends after one connection and is started again
. "${0%/*}/lib/recipe.sh"

start() {
    exec socat "TCP4-LISTEN:$port,bind=$host,reuseaddr" EXEC:/bin/cat
}

probe() {
    answers ping ping
}

recipe "$@"
