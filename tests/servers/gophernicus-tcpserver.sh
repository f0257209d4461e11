#!/bin/sh
# server: gophernicus-tcpserver   class: A   debian: gophernicus+ucspi-tcp
# shows: accepts as another user than it was started by
. "${0%/*}/lib/recipe.sh"

start() {
    echo "$page" >page.txt
    exec tcpserver -u 65534 -g 65534 -RHl0 "$host" "$port" gophernicus -nv -h localhost -p "$port" -r "$dir"
}

probe() {
    printf '/page.txt\r\n' | talk | grep -q "$page"
}

recipe "$@"
