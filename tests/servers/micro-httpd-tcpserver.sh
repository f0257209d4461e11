#!/bin/sh
# server: micro-httpd-tcpserver   class: A   debian: micro-httpd+ucspi-tcp
# shows: closes descriptor 0 and needs accept to give the lowest free one
. "${0%/*}/lib/recipe.sh"

start() {
    echo "$page" >index.html
    exec tcpserver -RHl0 "$host" "$port" micro-httpd "$dir"
}

probe() {
    http_serves index.html
}

recipe "$@"
