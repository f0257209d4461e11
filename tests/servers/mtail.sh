#!/bin/sh
# server: mtail   class: D   debian: mtail
# shows: a Go program that reads logs and serves counts
. "${0%/*}/lib/recipe.sh"

start() {
    echo "$page" >index.html
    mkdir progs
    exec mtail -address "$host" -port "$port" -progs progs -logs "$PWD/index.html"
}

probe() {
    curl -fsS -m 5 "http://$address/metrics" | grep -q mtail_build_info
}

recipe "$@"
