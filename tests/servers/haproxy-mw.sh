#!/bin/sh
# server: haproxy-mw   class: C   debian: haproxy
# shows: a master and a worker with two threads
. "${0%/*}/lib/recipe.sh"

start() {
    cat >haproxy.cfg <<END
global
    maxconn 100
    nbthread 2
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend all
    bind $address
    http-request return status 200 content-type text/plain string $page
END
    exec haproxy -W -db -f haproxy.cfg
}

probe() {
    http_serves ''
}

recipe "$@"
