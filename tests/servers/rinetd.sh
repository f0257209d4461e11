#!/bin/sh
# server: rinetd   class: B   debian: rinetd
# shows: select; a pid file each copy
. "${0%/*}/lib/recipe.sh"

start() {
    printf '%s %s %s 9\npidlogfile %s\n' "$host" "$port" "$host" "$dir/pid" >rinetd.conf
    exec rinetd -f -c "$dir/rinetd.conf"
}

probe() {
    accepts
}

recipe "$@"
