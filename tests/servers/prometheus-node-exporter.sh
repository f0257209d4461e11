#!/bin/sh
# server: prometheus-node-exporter   class: D   debian: prometheus-node-exporter
# shows: a Go program that serves what it measures
. "${0%/*}/lib/recipe.sh"

start() {
    echo "served_by_the_recipe 1" >page.prom
    exec prometheus-node-exporter --web.listen-address="$address" --collector.disable-defaults --collector.textfile --collector.textfile.directory=.
}

probe() {
    curl -fsS -m 5 "http://$address/metrics" | grep -qx 'served_by_the_recipe 1'
}

recipe "$@"
