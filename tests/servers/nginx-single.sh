#!/bin/sh
# server: nginx-single   class: A   debian: nginx-light
# shows: epoll, one process
. "${0%/*}/lib/recipe.sh"
. "${0%/*}/lib/nginx.sh"

start() {
    start_nginx 'master_process off;'
}

probe() {
    http_serves index.html
}

recipe "$@"
