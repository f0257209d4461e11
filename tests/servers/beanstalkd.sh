#!/bin/sh
# server: beanstalkd   class: C   debian: beanstalkd
# shows: state in memory; listens twice
. "${0%/*}/lib/recipe.sh"

start() {
    exec beanstalkd -l "$host" -p "$port"
}

probe() {
    printf 'list-tubes\r\nquit\r\n' | talk | grep -q '^OK '
}

recipe "$@"
