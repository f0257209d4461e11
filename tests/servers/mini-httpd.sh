#!/bin/sh
# server: mini-httpd   class: A   debian: mini-httpd
# shows: a child for each connection
. "${0%/*}/lib/recipe.sh"

start() {
    echo "$page" >index.html
    exec mini_httpd -D -u root -h "$host" -p "$port" -d "$dir"
}

probe() {
    http_serves index.html
}

recipe "$@"
