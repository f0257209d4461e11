#!/bin/sh
# server: rsyncd   class: A   debian: rsync
# shows: select, a child for each connection
. "${0%/*}/lib/recipe.sh"

start() {
    printf 'use chroot = no\nuid = %s\ngid = %s\n[module]\npath = %s\n' "$(id -u)" "$(id -g)" "$dir" >rsyncd.conf
    exec rsync --daemon --no-detach --config="$dir/rsyncd.conf" --address="$host" --port="$port"
}

probe() {
    timeout 8 rsync "rsync://$address/" | grep -q '^module'
}

recipe "$@"
