#!/bin/sh
# server: ruby-puma   class: A   debian: puma
# shows: accepts first and expects EAGAIN; listens twice; a pool of threads
. "${0%/*}/lib/recipe.sh"

start() {
    echo "run ->(_) { [200, { 'Content-Type' => 'text/plain' }, ['$page']] }" >config.ru
    exec puma --bind "tcp://$address" --threads 1:4 --workers 0 config.ru
}

probe() {
    http_serves ''
}

recipe "$@"
