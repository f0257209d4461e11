#!/bin/sh
# server: redis   class: C   debian: redis-server
# shows: state in memory; epoll
. "${0%/*}/lib/recipe.sh"

start() {
    exec redis-server --bind "$host" --port "$port" --dir "$dir" --save '' --appendonly no
}

probe() {
    printf 'PING\r\nQUIT\r\n' | talk | grep -q '^+PONG'
}

recipe "$@"
