"""worker_lingers.py COUNT - a worker sends the broker, over the channel of a listener of its own, connections whose last
close sleeps (SO_LINGER with data that nobody reads), and closes its own copies.
"""
import array
import os
import socket
import struct
import sys
import time

COUNT = int(sys.argv[1])
LINGER_S = 5


def rights(fd):
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]


def claim():
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    peer.settimeout(20)
    peer.connect("\0" + os.environ["SSHIM_RENDEZVOUS"])
    name = struct.pack("=H", socket.AF_UNIX) + b"\0lingers%d" % os.getpid()
    message = struct.pack("=IHH", 0x4D485353, 1, 1) + bytes.fromhex(os.environ["SSHIM_TOKEN"])
    message += struct.pack("=III", int(os.environ["SSHIM_WORKER_ID"]), 0, len(name)) + name.ljust(112, b"\0") + struct.pack("=IQ", 0, 0)
    listener = socket.socket(socket.AF_UNIX)
    peer.sendmsg([message], rights(listener.fileno()))
    channel = socket.recv_fds(peer, 200, 1)[1][0]
    for _ in range(2):
        socket.recv_fds(peer, 200, 1)
    return socket.socket(fileno=channel)


def lingering(server):
    client = socket.create_connection(server.getsockname())
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, LINGER_S))
    client.setblocking(False)
    try:
        while client.send(bytes(65536)):
            pass
    except BlockingIOError:
        pass
    return client


def is_closed(connection):
    """By the process that got it: all is read that was sent, and then its end."""
    connection.settimeout(1)
    try:
        while connection.recv(1 << 20):
            pass
        return True
    except socket.timeout:
        return False


server = socket.create_server(("127.0.0.1", 0), backlog=COUNT)
channel = claim()
print("attacks", flush=True)
for _ in range(COUNT):
    client = lingering(server)
    try:
        channel.sendmsg([b"noise"], rights(client.fileno()))
    except OSError:
        print("refused", flush=True)
        break
    client.close()
time.sleep(1)
print("attacks done, closed", sum(is_closed(server.accept()[0]) for _ in range(COUNT)), flush=True)
time.sleep(1000)
