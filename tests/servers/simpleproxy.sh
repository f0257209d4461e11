#!/bin/sh
# server: simpleproxy   class: A   debian: simpleproxy
# shows: a child for each connection, which connects elsewhere
. "${0%/*}/lib/recipe.sh"

start() {
    exec simpleproxy -L "$address" -R "$host:9"
}

probe() {
    accepts
}

recipe "$@"
