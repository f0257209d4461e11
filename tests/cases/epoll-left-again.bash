#!/usr/bin/env bash
# A listener is taken out of one epoll descriptor and put into a second one, while a thread goes on waiting at the first: that
# thread says nothing about the listener. A copy that is busy is left alone, others get the connections.
. "${0%/*}/lib/case.bash"

server() { # PORT GO
    exec python3 -c '
import os, select, socket, sys, threading, time
port, go = int(sys.argv[1]), sys.argv[2]
listener = socket.create_server(("127.0.0.1", port), backlog=64)
listener.setblocking(False)
left, used = select.epoll(), select.epoll()
left.register(listener, select.EPOLLIN)
left.unregister(listener)
used.register(listener, select.EPOLLIN)
def wait_for_nothing():
    while True:
        left.poll()
threading.Thread(target=wait_for_nothing, daemon=True).start()
clients = []
print("serves", flush=True)
while True:
    used.poll()
    try:
        client, _ = listener.accept()
    except BlockingIOError:
        continue
    client.setblocking(True)
    if client.recv(10) == b"hold":
        client.sendall(b"busy\n")
        while not os.path.exists(go):
            time.sleep(0.01)
    client.sendall(b"served %d\n" % os.getpid())
    clients.append(client)
' "$@"
}

# One keeps its copy busy, the others are answered meanwhile: by how many copies, and whether one of them had to wait.
clients() { # PORT
    python3 - "$1" <<'END'
import socket, sys, time
def connect(word):
    client = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 30)
    client.sendall(word)
    return client
held = connect(b"hold")
assert held.recv(100).startswith(b"busy")
others, answers, longest = [], set(), 0
for _ in range(20):
    begun = time.monotonic()
    others.append(connect(b"x"))
    answers.add(others[-1].recv(100))
    longest = max(longest, time.monotonic() - begun)
print(len(answers), "in time" if longest < 4 else "after %.1f s" % longest)
END
}

try() { # WAY
    local port
    port=$(free_port)
    rm -f "$work/go"
    # alone it would be waited for
    [[ $1 != native ]] || : >"$work/go"
    start "$1" "$port" "$work/go"
    wait_until says serves "$(copies_of "$1")"
    expect "copies that answer beside the busy one" "$(clients "$port")" "1 in time"
    : >"$work/go"
}

cases native "-w 2 --accept-timeout 5000"
