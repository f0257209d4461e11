#!/bin/sh
# server: perl-starman   class: C   debian: starman
# shows: its own pre-forked workers
. "${0%/*}/lib/recipe.sh"

start() {
    echo "sub { [200, ['Content-Type', 'text/plain'], ['$page']] }" >app.psgi
    exec starman --workers 2 --listen "$address" app.psgi
}

probe() {
    http_serves ''
}

recipe "$@"
