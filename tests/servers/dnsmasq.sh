#!/bin/sh
# server: dnsmasq   class: A   debian: dnsmasq-base
# shows: poll on TCP and UDP, a child for each TCP connection
. "${0%/*}/lib/recipe.sh"

start() {
    exec dnsmasq --keep-in-foreground --conf-file=/dev/null --pid-file= --user=root --no-resolv --no-hosts \
        --bind-interfaces --listen-address="$host" --port="$port" --address=/name.test/192.0.2.7
}

probe() {
    dns_answers tcp
}

recipe "$@"
