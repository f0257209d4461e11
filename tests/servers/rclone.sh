#!/bin/sh
# server: rclone   class: D   debian: rclone
# shows: a Go program with cgo that ends gracefully
. "${0%/*}/lib/recipe.sh"

start() {
    echo "$page" >index.html
    exec rclone serve http --addr "$address" .
}

probe() {
    http_serves index.html
}

recipe "$@"
