"""read_all.py HOST PORT COUNT: clients, one after the other, that read to the end."""
import socket
import sys

for _ in range(int(sys.argv[3])):
    with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as connection:
        while connection.recv(1 << 20):
            pass
