#!/bin/sh
# server: dropbear   class: B   debian: dropbear-bin
# shows: a host key each copy; options set after listen; a child for each connection
. "${0%/*}/lib/recipe.sh"

start() {
    dropbearkey -t ed25519 -f "$dir/key" >/dev/null 2>&1
    exec dropbear -F -E -p "$address" -r "$dir/key" -P "$dir/pid"
}

probe() {
    talk </dev/null | head -c 8 | grep -q '^SSH-2.0-'
}

recipe "$@"
