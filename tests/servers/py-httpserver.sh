#!/bin/sh
# server: py-httpserver   class: A   debian: python3
# shows: poll, a thread for each connection
. "${0%/*}/lib/recipe.sh"

start() {
    echo "$page" >index.html
    exec python3 -m http.server "$port" --bind "$host"
}

probe() {
    http_serves index.html
}

recipe "$@"
