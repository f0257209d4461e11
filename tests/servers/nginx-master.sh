#!/bin/sh
# server: nginx-master   class: C   debian: nginx-light
# shows: its own workers, a master that listens twice
. "${0%/*}/lib/recipe.sh"
. "${0%/*}/lib/nginx.sh"

start() {
    start_nginx 'worker_processes 2;'
}

probe() {
    http_serves index.html
}

recipe "$@"
