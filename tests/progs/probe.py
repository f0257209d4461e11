#!/usr/bin/python3
"""probe.py ADDRESS COPIES [LEAST]: asks a victim until every copy has answered, or for 20 s.

ADDRESS is a port of 127.0.0.1, HOST:PORT, the path of a socket, or @NAME. At least LEAST questions are
asked (20). Prints how many answers each copy gave; fails on the first wrong answer.
"""
import collections
import socket
import sys
import time


EVEN_AFTER = 500  # above a thousand a second a pool gives them to the same few; below, evenly


def connect(address):
    if address[0] == "@" or "/" in address:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(10)
        client.connect(address if "/" in address else "\0" + address[1:])
        return client
    host, _, port = address.rpartition(":")
    return socket.create_connection((host.strip("[]") or "127.0.0.1", int(port)), 10)


def ask(address):
    with connect(address) as client:
        name = client.getsockname()
        client.sendall(b"ping\n")
        text = b""
        while part := client.recv(100):
            text += part
    words = text.decode().split()
    if len(words) != 3 or words[2] != "ok":
        sys.exit(f"probe: wrong answer {text!r}")
    if isinstance(name, tuple) and int(words[1]) != name[1]:
        sys.exit(f"probe: accept told port {words[1]}, the client's is {name[1]}")
    return words[0]


def main():
    address, copies = sys.argv[1], int(sys.argv[2])
    least = int(sys.argv[3]) if len(sys.argv) > 3 else 20
    seen = collections.Counter()
    deadline = time.monotonic() + 20  # a busy machine may give one of them no turn for a while
    while seen.total() < least or (len(seen) < copies and time.monotonic() < deadline):
        seen[ask(address)] += 1
        if seen.total() > EVEN_AFTER:
            time.sleep(0.002)
    print(" ".join(f"{slot}:{count}" for slot, count in sorted(seen.items())))
    if len(seen) != copies:
        sys.exit(f"probe: not every one of {copies} copies answered")


main()
