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


# --- what tests/bench/whims.h says, by its signals

WHIM_EXEC_KEEP, WHIM_HANG, WHIM_GO_ON, WHIM_FILL = range(signal.SIGRTMIN + 1, signal.SIGRTMIN + 5)
filling = []


def go_on_as_child(*_):
    """The child has all that the parent has, the client that is being served included."""
    if os.fork():
        os._exit(0)
    if filling:
        signal.setitimer(signal.ITIMER_REAL, 0.7)


def execute_again(*more):
    signal.setitimer(signal.ITIMER_REAL, 0)  # exec would keep it, and not its handler
    arguments = [argument for argument in sys.argv if not argument.startswith("fd=")]
    os.execv(sys.executable, [sys.executable, *arguments, *more])


def hang(*_):
    every = set(range(1, signal.NSIG)) - {WHIM_GO_ON}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, every | {WHIM_GO_ON})
    signal.sigtimedwait({WHIM_GO_ON}, 20)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def fill(*_):
    try:
        while True:
            filling.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        time.sleep(0.012)  # longer than the library goes without a look at the table
        signal.setitimer(signal.ITIMER_REAL, 0.7)


def empty(*_):
    while filling:
        os.close(filling.pop())


def arm_whims(listener):
    def keep(*_):
        os.set_inheritable(listener.fileno(), True)
        execute_again(f"fd={listener.fileno()}")
    signal.signal(signal.SIGUSR1, go_on_as_child)
    signal.signal(signal.SIGUSR2, lambda *_: execute_again())
    signal.signal(WHIM_EXEC_KEEP, keep)
    signal.signal(WHIM_HANG, hang)
    signal.signal(WHIM_GO_ON, lambda *_: None)
    signal.signal(WHIM_FILL, fill)
    signal.signal(signal.SIGALRM, empty)


def open_listener(host, port):
    if sys.argv[-1].startswith("fd="):
        return socket.socket(fileno=int(sys.argv[-1][3:]))
    return socket.create_server((host, int(port)), backlog=128)


def main():
    how, host, port = sys.argv[1:4]
    start_badly(how, sys.argv[4] if len(sys.argv) > 4 else None)
    listener = open_listener(host, port)
    arm_whims(listener)
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
