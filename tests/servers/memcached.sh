#!/bin/sh
# server: memcached   class: C   debian: memcached
# shows: state in memory; listens again with another backlog
. "${0%/*}/lib/recipe.sh"

start() {
    exec memcached -u root -l "$host" -p "$port" -t 1
}

probe() {
    printf 'version\r\nquit\r\n' | talk | grep -q '^VERSION '
}

recipe "$@"
