"""lingering_server.py HOST PORT: a server as there are many, no attacker. Its connections linger when they are
closed, each in a thread of its own, and its answer is more than its clients read. After USR1 new ones do not linger."""
import signal
import socket
import struct
import sys
import threading


def answer(connection):
    connection.setblocking(False)
    try:
        connection.send(bytes(4 << 20))
    except BlockingIOError:
        pass
    connection.close()


listener = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=512)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 15))


def end_lingering(*_):
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
    print("lingers no more", file=sys.stderr, flush=True)


signal.signal(signal.SIGUSR1, end_lingering)
while True:
    threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()
