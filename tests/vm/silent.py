"""silent.py PORT N: N clients of 127.0.0.1 that say nothing. One address has not as many ports, so each 20,000 come from another.

Prints "there" when all are connected, and "fin N, rst N" when the server has closed all of them."""
import resource
import select
import socket
import sys

IP_BIND_ADDRESS_NO_PORT = 24  # ip(7): the port is chosen by connect(2), so that it may be used towards other servers
CLIENTS_EACH = 20000
OTHERS = 100  # descriptors of this program


def come(port, number):
    client = socket.socket()
    client.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    client.bind((f"127.1.0.{1 + number // CLIENTS_EACH}", 0))
    client.connect(("127.0.0.1", port))
    return client


def is_reset(client):
    try:
        return client.recv(1) != b""
    except ConnectionResetError:
        return True


def main():
    port, count = int(sys.argv[1]), int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + OTHERS, count + OTHERS))
    poll = select.epoll()
    clients = {}
    for number in range(count):
        client = come(port, number)
        clients[client.fileno()] = client
        poll.register(client, select.EPOLLIN | select.EPOLLRDHUP)
    print("there", flush=True)
    resets = 0
    while clients:
        for fd, _ in poll.poll():
            poll.unregister(fd)
            client = clients.pop(fd)
            resets += is_reset(client)
            client.close()
    print(f"fin {count - resets}, rst {resets}", flush=True)


main()
