#!/usr/bin/env python3
"""Servers that go wrong, speaking tests/bench/protocol.h: victim.py HOW HOST PORT [FOLDER].

HOW is what the copy in slot 0 does, the others serve properly:
  serve        nothing wrong
  deaf         waits for connections and never accepts one
  closes       closes its listener and lives on
  unlistens    shuts its listener down and lives on
  board        overwrites its scoreboard over and over
  channel      writes garbage with file descriptors into its listener over and over
Every copy:
  graceful     finishes what it has when it is told to end
Every copy, when it is started:
  dies         ends when FOLDER/broken exists
  hangs        does not listen while FOLDER/broken exists
  late-dies    ends after a tenth of a second when FOLDER/broken exists
"""
import array
import os
import random
import select
import signal
import socket
import sys
import threading
import time


def serve_one(client):
    kind = client.recv(1)
    while kind:
        if kind in b"hH":
            time.sleep(0.1)
        client.sendall(b"%s%04x\n" % (kind, os.getpid() & 0xffff))
        kind = client.recv(1) if kind.isupper() else b""


def serve(listener):
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            time.sleep(0.01)
            continue
        with client:
            try:
                serve_one(client)
            except OSError:
                pass


def deaf(listener):
    while True:
        select.select([listener], [], [])
        time.sleep(0.01)


def graceful(listener):
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    listener.setblocking(False)  # all copies wake for one connection
    signal.set_wakeup_fd(tell)
    signal.signal(signal.SIGTERM, lambda *_: None)
    while told not in select.select([listener, told], [], [])[0]:
        try:
            client, _ = listener.accept()
        except BlockingIOError:
            continue
        with client:
            serve_one(client)


def closes(listener):
    listener.close()
    time.sleep(1e6)


def unlistens(listener):
    listener.shutdown(socket.SHUT_RDWR)
    time.sleep(1e6)


def boards():
    with open("/proc/self/maps", encoding="ascii") as file:
        return [int(line.split("-")[0], 16) for line in file if "sshim-board" in line]


def ruin_boards():
    rng = random.Random(1)
    with open("/proc/self/mem", "r+b", buffering=0) as memory:
        while True:
            for start in boards():
                memory.seek(start)
                # the worker's line and the broker's, and what lies behind them
                memory.write(rng.choice([rng.randbytes(128), b"\xff" * 256, bytes(128)]))
            time.sleep(0.002)


def write_garbage(listener):
    rng = random.Random(1)
    # not the object: its file descriptor has become something that Python's class knows nothing of
    raw = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=os.dup(listener.fileno()))
    while True:
        fds = array.array("i", [1] * rng.randrange(0, 5))
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)] if fds else []
        try:
            raw.sendmsg([rng.randbytes(rng.choice([0, 1, 8, 16, 64, 4000]))], rights, socket.MSG_DONTWAIT)
        except OSError:
            pass
        time.sleep(0.001)


def beside(target, *arguments):
    threading.Thread(target=target, args=arguments, daemon=True).start()


def start_badly(how, folder):
    if not folder or not os.path.exists(os.path.join(folder, "broken")):
        return
    if how == "dies":
        sys.exit(7)
    if how == "hangs":
        time.sleep(1e6)
    if how == "late-dies":
        threading.Timer(0.1, os._exit, [7]).start()
        time.sleep(1e6)


def go_on_as_child(*_):
    """The child has all that the parent has, the client that is being served included."""
    if os.fork():
        os._exit(0)


def main():
    signal.signal(signal.SIGUSR1, go_on_as_child)
    how, host, port = sys.argv[1:4]
    start_badly(how, sys.argv[4] if len(sys.argv) > 4 else None)
    listener = socket.create_server((host, int(port)), backlog=128)
    if how == "graceful":
        graceful(listener)
        return
    if os.environ.get("SSHIM_WORKER_ID") != "0":
        serve(listener)
    if how in ("deaf", "closes", "unlistens"):
        globals()[how](listener)
    if how == "board":
        beside(ruin_boards)
    if how == "channel":
        beside(write_garbage, listener)
    serve(listener)


main()
