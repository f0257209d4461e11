"""crowd.py PORT SILENT DRIPPING: so many clients that say nothing, and that send a byte a second of a request head. Whoever
is closed comes again. Prints a line when all are there; ends by a signal."""
import resource
import select
import socket
import sys
import time

PORT, SILENT, DRIPPING = (int(argument) for argument in sys.argv[1:4])
BEGIN = b"GET / HTTP/1.1\r\nX: "


def come():
    client = socket.socket()
    client.setblocking(False)
    client.connect_ex(("127.0.0.1", PORT))
    return client


def drip(client, began):
    try:
        client.send(b"x" if began else BEGIN)
    except OSError:
        pass


def renew(clients, poll, fd):
    was_dripping = clients.pop(fd)[1]
    poll.unregister(fd)
    client = come()
    clients[client.fileno()] = [client, was_dripping, False]
    poll.register(client, select.EPOLLIN | select.EPOLLRDHUP)


def main():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    poll = select.epoll()
    clients = {}
    for i in range(SILENT + DRIPPING):
        client = come()
        clients[client.fileno()] = [client, i >= SILENT, False]
        poll.register(client, select.EPOLLIN | select.EPOLLRDHUP)
    print("there", flush=True)
    while True:
        due = time.monotonic() + 1
        while (left := due - time.monotonic()) > 0:
            for fd, _ in poll.poll(left):
                renew(clients, poll, fd)
        for entry in list(clients.values()):
            if entry[1]:
                drip(entry[0], entry[2])
                entry[2] = True


main()
