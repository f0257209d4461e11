#!/bin/sh
# server: lighttpd   class: A   debian: lighttpd
# shows: epoll; the listener becomes non-blocking after listen
. "${0%/*}/lib/recipe.sh"

start() {
    echo "$page" >index.html
    cat >lighttpd.conf <<END
server.bind = "$host"
server.port = $port
server.document-root = "$dir"
END
    exec lighttpd -D -f lighttpd.conf
}

probe() {
    http_serves index.html
}

recipe "$@"
