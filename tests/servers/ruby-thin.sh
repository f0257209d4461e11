#!/bin/sh
# server: ruby-thin   class: A   debian: thin
# shows: epoll through eventmachine
. "${0%/*}/lib/recipe.sh"

start() {
    echo "run ->(_) { [200, { 'Content-Type' => 'text/plain' }, ['$page']] }" >config.ru
    exec thin --address "$host" --port "$port" --rackup config.ru start
}

probe() {
    http_serves ''
}

recipe "$@"
