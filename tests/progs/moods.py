"""moods.py HOST PORT - an event loop that says its pid to each client, and then does what the client's first byte asks for:
p keep the connection and read no more of it, c compute for ever, n nap again and again, h hang in a call for ever."""
import os
import selectors
import socket
import sys
import time

kept = []


def compute():
    while True:
        pass


def obey(loop, client):
    word = client.recv(1)
    if word == b"c":
        compute()
    while word == b"n":
        time.sleep(0.05)
    if word == b"h":
        time.sleep(1000000)
    loop.unregister(client)
    if word == b"p":
        kept.append(client)
    else:
        client.close()


def take(loop, listener):
    try:
        client, _ = listener.accept()
    except BlockingIOError:  # another copy was faster
        return
    client.sendall(b"pid=%d\n" % os.getpid())
    loop.register(client, selectors.EVENT_READ, obey)


def main():
    loop = selectors.DefaultSelector()
    listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
    listener.setblocking(False)
    loop.register(listener, selectors.EVENT_READ, take)
    while True:
        for key, _ in loop.select():
            key.data(loop, key.fileobj)


main()
