"""slow_clients.py HOST PORT COUNT: clients that connect and do not read. They stay for a minute."""
import socket
import sys
import time

host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
kept = [socket.create_connection((host, port)) for _ in range(count)]
print("connected", flush=True)
time.sleep(60)
