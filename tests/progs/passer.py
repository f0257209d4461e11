"""passer.py HOW HOST:PORT: accepts, says hello, and closes the connection, which another descriptor or process has by then and
keeps until the client closes it: HOW is fork, dup, spawn, popen or send (SCM_RIGHTS).
"""
import os
import socket
import sys
import threading

how = sys.argv[1]
host, port = sys.argv[2].rsplit(":", 1)


def read_to_end(fd):
    while os.read(fd, 4096):
        pass
    os.close(fd)


def by_fork(client):
    if os.fork() == 0:
        read_to_end(client.fileno())
        os._exit(0)


def by_dup(client):
    threading.Thread(target=read_to_end, args=(os.dup(client.fileno()),), daemon=True).start()


def by_spawn(client):
    os.set_inheritable(client.fileno(), True)
    os.posix_spawn("/bin/sh", ["sh", "-c", f"cat <&{client.fileno()} >/dev/null"], os.environ)


def by_popen(client):
    """Inside libc, where no hook sees it."""
    os.set_inheritable(client.fileno(), True)
    os.system(f"cat <&{client.fileno()} >/dev/null &")


ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
if how == "send" and os.fork() == 0:
    ours.close()
    while True:
        _, fds, _, _ = socket.recv_fds(theirs, 1, 1)
        threading.Thread(target=read_to_end, args=(fds[0],), daemon=True).start()


def by_send(client):
    socket.send_fds(ours, [b"x"], [client.fileno()])


listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind((host, int(port)))
listener.listen()
theirs.close()
while True:
    connection, _ = listener.accept()
    connection.sendall(b"hello\n")
    {"fork": by_fork, "dup": by_dup, "spawn": by_spawn, "popen": by_popen, "send": by_send}[how](connection)
    connection.close()
