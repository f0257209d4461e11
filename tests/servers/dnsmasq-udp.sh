#!/bin/sh
# server: dnsmasq-udp   class: B   debian: dnsmasq-base
# shows: datagrams, which stay each copy's own
. "${0%/*}/lib/recipe.sh"

start() {
    exec dnsmasq --keep-in-foreground --conf-file=/dev/null --pid-file= --user=root --no-resolv --no-hosts \
        --bind-interfaces --listen-address="$host" --port="$port" --address=/name.test/192.0.2.7
}

probe() {
    dns_answers udp
}

recipe "$@"
