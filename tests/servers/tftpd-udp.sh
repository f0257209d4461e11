#!/bin/sh
# server: tftpd-udp   class: C   debian: tftpd-hpa
# shows: datagrams alone: nothing is shared
. "${0%/*}/lib/recipe.sh"

start() {
    echo "$page" >page
    exec in.tftpd -L -a "$address" -u root -s "$dir"
}

probe() {
    curl -fsS -m 5 "tftp://$address/page" | grep -q "$page"
}

recipe "$@"
