#!/bin/sh
# server: busybox-nc   class: B   debian: busybox
# shows: ends after one connection
. "${0%/*}/lib/recipe.sh"

start() {
    exec busybox nc -l -p "$port" -e cat
}

probe() {
    answers ping ping
}

recipe "$@"
