#!/usr/bin/env bash
# A server that is out of descriptors while its clients come and go, the oldest or the newest first: whoever does not fit waits in
# the queue, and every client is answered in the end.
. "${0%/*}/lib/case.bash"

server() { # PORT
    exec python3 -c '
import errno, resource, select, socket, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=512)
listener.setblocking(False)
epoll = select.epoll()
epoll.register(listener, select.EPOLLIN)
clients = {}
def take():
    try:
        client, _ = listener.accept()
    except BlockingIOError:
        return
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
        time.sleep(0.005)
        return
    client.sendall(b"served\n")
    clients[client.fileno()] = client
    epoll.register(client, select.EPOLLIN)
print("serves", flush=True)
while True:
    for fd, _ in epoll.poll():
        if fd == listener.fileno():
            take()
        elif not clients[fd].recv(10):
            epoll.unregister(fd)
            clients.pop(fd).close()
' "$@"
}

# How many of 150 are answered. Some leave whenever nobody was for a moment, so that the table stays full.
clients() { # PORT PLACE
    python3 - "$1" "$2" <<'END'
import select, socket, sys, time
port, place = map(int, sys.argv[1:])
poll, waiting, inside, answered = select.poll(), {}, [], 0
for _ in range(150):
    client = socket.create_connection(("127.0.0.1", port), 10)
    waiting[client.fileno()] = client
    poll.register(client, select.POLLIN)
last = time.monotonic()
while waiting and time.monotonic() - last < 20:
    ready = poll.poll(30)
    for fd, _ in ready:
        poll.unregister(fd)
        client = waiting.pop(fd)
        answered += client.recv(10) == b"served\n"
        inside.append(client)
        last = time.monotonic()
    for _ in range(0 if ready else min(3, len(inside))):
        inside.pop(place).close()
print(answered)
END
}

try() { # WAY
    local port
    port=$(free_port)
    start "$1" "$port"
    wait_until says serves "$(copies_of "$1")"
    expect "clients of 150 that are answered, oldest first" "$(clients "$port" 0)" 150
    expect "newest first" "$(clients "$port" -1)" 150
}

cases native "-w 1" "-w 2" "-w 1 --handoff broker" "-w 1 --handoff direct"
