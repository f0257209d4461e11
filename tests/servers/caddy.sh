#!/bin/sh
# server: caddy   class: D   debian: caddy
# shows: a large Go program that serves files
. "${0%/*}/lib/recipe.sh"

start() {
    echo "$page" >index.html
    exec caddy file-server --listen "$address" --root .
}

probe() {
    http_serves index.html
}

recipe "$@"
