"""forker.py HOST:PORT: a child for each connection. It says hello with its pid, and answers each line by "still PID". The
first process ends at TERM; its children, which have put titles over what they were started with, live on.
"""
import ctypes
import os
import signal
import socket
import sys

CLEAR = b"forker: child"


def forget_the_start():
    """Writes over arguments and environment, as setproctitle does."""
    fields = open("/proc/self/stat", encoding="latin1").read().rsplit(")", 1)[1].split()
    start, end = int(fields[45]), int(fields[48])  # arg_start, env_end
    ctypes.memset(start, 0, end - start)
    ctypes.memmove(start, CLEAR, len(CLEAR))


def serve(connection):
    forget_the_start()
    stream = connection.makefile("rw")
    stream.write(f"hello {os.getpid()}\n")
    stream.flush()
    for _ in stream:
        stream.write(f"still {os.getpid()}\n")
        stream.flush()


host, port = sys.argv[1].rsplit(":", 1)
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind((host, int(port)))
listener.listen()
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while True:
    client, _ = listener.accept()
    if os.fork() == 0:
        listener.close()
        serve(client)
        os._exit(0)
    client.close()
