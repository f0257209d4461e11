"""brief_server.py HOST PORT serve - each connection is served by a process that binds, listens, accepts once and exits.
brief_server.py HOST PORT FILE - a client until there is that file; fails if a connection had no answer."""
import os
import socket
import sys

where = (sys.argv[1], int(sys.argv[2]))


def serve_once():
    listener = socket.create_server(where)
    connection, _ = listener.accept()
    listener.close()  # its last word: others get what came meanwhile
    connection.sendall(b"brief\n")
    os._exit(0)


def ask():
    with socket.create_connection(where, timeout=60) as connection:
        return bool(connection.recv(100))


def ask_until(end):
    asked = lost = 0
    while not os.path.exists(end):
        asked += 1
        lost += not ask()
    print(f"lost {lost} of {asked}")
    return lost > 0


if sys.argv[3] != "serve":
    sys.exit(ask_until(sys.argv[3]))
while True:
    if os.fork() == 0:
        serve_once()
    if os.wait()[1]:
        sys.exit("a process failed")
    print("served", flush=True)
