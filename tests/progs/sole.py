"""sole.py HOST:PORT WAY - connects to itself again and again, and looks at its listener right after that in one WAY,
which never waits. Then it prints how often a connection was not there, or not the right one."""
import os
import select
import signal
import socket
import sys

ROUNDS = 300
BURST = 5


def by_accept(listener):
    return True


def by_poll(listener):
    waits = select.poll()
    waits.register(listener, select.POLLIN)
    return bool(waits.poll(0))


def by_select(listener):
    return bool(select.select([listener], [], [], 0)[0])


def by_epoll(listener):
    with select.epoll() as waits:
        waits.register(listener, select.EPOLLIN)
        return waits.poll(0) == [(listener.fileno(), select.EPOLLIN)]


def accept_now(listener, is_there):
    try:
        return is_there(listener) and listener.accept()
    except BlockingIOError:
        return None


def try_once(listener, is_there):
    """How many of a burst are not accepted in their order, and whether too many are."""
    wrong = 0
    clients = [socket.create_connection(listener.getsockname()) for _ in range(BURST)]
    for client in clients:
        got = accept_now(listener, is_there)
        wrong += not got or got[1] != client.getsockname()
        if got:
            got[0].close()
    wrong += bool(accept_now(listener, is_there))
    for client in clients:
        client.close()
    return wrong


def main():
    address, way = sys.argv[1:]
    host, port = address.rsplit(":", 1)
    is_there = globals()["by_" + way]
    listener = socket.create_server((host, int(port)))
    listener.setblocking(False)
    wrong = sum(try_once(listener, is_there) for _ in range(ROUNDS))
    os.kill(os.getppid(), signal.SIGSTOP)  # the broker's part is not needed
    wrong += sum(try_once(listener, is_there) for _ in range(ROUNDS))
    os.kill(os.getppid(), signal.SIGCONT)
    print(wrong, "wrong", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
