"""A server in which a worker does to the canonical socket what only a broken one would do.

vandal.py ADDRESS [reuse] [late]   ADDRESS: HOST:PORT or a path
  reuse: sets SO_REUSEADDR; late: binds at once, listens when the file LATE (environment) exists

Answers each connection with its slot. One that says "shut" makes it shut down the shadow of its listener, by
a system call that no hook sees, before it answers.
"""
import ctypes
import os
import socket
import sys
import time

SYS_SHUTDOWN = {"x86_64": 48, "aarch64": 210}[os.uname().machine]


def open_listener(text, wishes):
    if text.startswith("/"):
        listener = socket.socket(socket.AF_UNIX)
        if os.path.exists(text):
            os.unlink(text)
        listener.bind(text)
    else:
        host, port = text.rsplit(":", 1)
        listener = socket.socket()
        if "reuse" in wishes:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, int(port)))
    while "late" in wishes and not os.path.exists(os.environ["LATE"]):
        time.sleep(0.02)
    listener.listen(64)
    return listener


def shut_shadow(mine):
    """The shadow is a socket that listens and that this program never opened."""
    libc = ctypes.CDLL("libc.so.6")  # past the hooks, which deny that the descriptor is there
    value = ctypes.c_int()
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        size = ctypes.c_uint(4)
        if fd in mine or libc.getsockopt(fd, 1, socket.SO_ACCEPTCONN, ctypes.byref(value), ctypes.byref(size)) < 0:
            continue
        if value.value:
            libc.syscall(SYS_SHUTDOWN, fd, 2)


def main():
    listener = open_listener(sys.argv[1], sys.argv[2:])
    slot = os.environ["SSHIM_WORKER_ID"]
    while True:
        connection, _ = listener.accept()
        with connection:
            if connection.recv(16) == b"shut":
                shut_shadow({listener.fileno(), connection.fileno()})
            connection.sendall(slot.encode() + b"\n")


main()
