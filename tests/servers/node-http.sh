#!/bin/sh
# server: node-http   class: A   debian: nodejs
# shows: libuv; closes descriptors past the library
. "${0%/*}/lib/recipe.sh"

start() {
    cat >server.js <<'END'
const [port, page] = process.argv.slice(2);
require("http").createServer((request, response) => response.end(page)).listen(Number(port), "127.0.0.1");
END
    exec node server.js "$port" "$page"
}

probe() {
    http_serves ''
}

recipe "$@"
