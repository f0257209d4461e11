#!/bin/sh
# server: websockify   class: A   debian: websockify
# shows: a process for each connection
. "${0%/*}/lib/recipe.sh"

start() {
    echo "$page" >index.html
    exec websockify --web "$dir" "$address" "$host:9"
}

probe() {
    http_serves index.html
}

recipe "$@"
