#!/bin/sh
# server: node-cluster   class: C   debian: nodejs
# shows: the first process accepts and passes connections to two others
. "${0%/*}/lib/recipe.sh"

start() {
    cat >server.js <<'END'
const cluster = require("cluster");
const [port, page] = process.argv.slice(2);
if (cluster.isPrimary) {
    cluster.fork();
    cluster.fork();
} else {
    require("http").createServer((request, response) => response.end(page)).listen(Number(port), "127.0.0.1");
}
END
    exec node server.js "$port" "$page"
}

probe() {
    http_serves ''
}

recipe "$@"
