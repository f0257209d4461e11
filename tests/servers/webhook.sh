#!/bin/sh
# server: webhook   class: D   debian: webhook
# shows: a Go program of a distribution, with cgo and yet past libc
. "${0%/*}/lib/recipe.sh"

start() {
    cat >hooks.json <<END
[{"id": "try", "execute-command": "/bin/true", "response-message": "$page"}]
END
    exec webhook -ip "$host" -port "$port" -hooks hooks.json
}

probe() {
    http_serves hooks/try
}

recipe "$@"
