#!/bin/sh
# server: busybox-httpd   class: A   debian: busybox
# shows: the listener on descriptor 0, a child for each connection
. "${0%/*}/lib/recipe.sh"

start() {
    echo "$page" >index.html
    exec busybox httpd -f -p "$address" -h "$dir"
}

probe() {
    http_serves index.html
}

recipe "$@"
