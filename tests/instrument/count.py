#!/usr/bin/python3
"""count.py BUILD [-v]: what one idle connection costs in calls of our own functions, and in how many files they lie.

Two workers wait in epoll_wait, one client connects. Counted are
  broker  the turn of the loop in which the connection is sent, from the return of epoll_wait to the next one
  worker  from the return of its epoll_wait to the return of accept
of the build in BUILD, which was made with -finstrument-functions and recorder.c. A .c and its .h are one file. The commonest count of several
connections is printed, and must stand in ARCHITECTURE.md; -v lists the calls in their order, a called function one column to the right of its caller.
"""
import collections
import os
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
CONNECTIONS = 9
QUIET_SECONDS = 0.3
DEADLINE_SECONDS = 120
NOTE = struct.Struct("=QIIQ")
ENTERED, LEFT, SLEEPS, WOKE = range(4)
Note = collections.namedtuple("Note", "when pid kind offset")


def serve(port):
    """The server: an event loop, one connection a turn."""
    listener = socket.create_server(("127.0.0.1", port))
    listener.setblocking(False)
    loop = select.epoll()
    loop.register(listener, select.EPOLLIN)
    while True:
        loop.poll()
        try:
            client, _ = listener.accept()
        except BlockingIOError:
            continue
        client.sendall(b"%d" % os.getpid())
        client.close()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def connect_once(port):
    """(when the client began, pid of the worker that answered)"""
    began = time.monotonic_ns()
    with socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS) as client:
        return began, int(client.recv(100))


def read_notes(path):
    with open(path, "rb") as notes:
        return [Note(*note) for note in NOTE.iter_unpack(notes.read())]


def await_quiet(paths):
    end = time.monotonic() + DEADLINE_SECONDS
    sizes = None
    while time.monotonic() < end:
        now = [os.path.getsize(path) if os.path.exists(path) else 0 for path in paths]
        if now == sizes:
            return
        sizes = now
        time.sleep(QUIET_SECONDS)


class Symbols:
    """Names and files of functions, by offset in the program."""

    def __init__(self, program):
        self.program, self.known = program, {}

    def resolve(self, offsets):
        missing = sorted(set(offsets) - set(self.known))
        if not missing:
            return
        told = subprocess.run(["addr2line", "-f", "-e", self.program, *map(hex, missing)], check=True, text=True,
                              capture_output=True).stdout.splitlines()
        for offset, name, place in zip(missing, told[::2], told[1::2]):
            self.known[offset] = name, os.path.relpath(place.rsplit(":", 1)[0], ROOT)

    def name(self, offset):
        return self.known[offset][0]

    def file(self, offset):
        return self.known[offset][1]


def broker_part(notes, began, symbols):
    """The notes of the turn in which the connection was sent."""
    turn = []
    for note in notes:
        if note.when < began:
            continue
        if note.kind == SLEEPS:
            if any(symbols.name(n.offset) == "fdpass_send" for n in turn):
                return turn
            turn = []
        elif note.kind != WOKE:
            turn.append(note)
    return None


def worker_part(notes, began, pid, symbols):
    """The notes until accept returned."""
    part = []
    for note in notes:
        if note.when < began or note.pid != pid:
            continue
        part.append(note)
        if note.kind == LEFT and symbols.name(note.offset) in ("accept", "accept4"):
            return part
    return None


def describe(part, symbols):
    """(calls, files, the calls as a tree)"""
    calls = [note for note in part if note.kind == ENTERED]
    depth, lines = 0, []
    for note in part:
        if note.kind == ENTERED:
            lines.append(f"{'  ' * max(depth, 0)}{symbols.name(note.offset)}  {symbols.file(note.offset)}")
        depth += 1 if note.kind == ENTERED else -1
    return len(calls), len({os.path.splitext(symbols.file(note.offset))[0] for note in calls}), lines


def record(build, folder):
    """Runs the pool; returns (began, pid) of each connection."""
    control, ready, port = f"{folder}/control", f"{folder}/ready", free_port()
    paths = [f"{folder}/sshim", f"{folder}/libsshim.so"]
    with open(ready, "wb") as ready_file, open(f"{folder}/log", "wb") as log:
        broker = subprocess.Popen([f"{build}/sshim", "run", "-w", "2", "--control", control, "--ready-fd", str(ready_file.fileno()),
                                   "--", sys.executable, __file__, "serve", str(port)], stdin=subprocess.DEVNULL, stdout=log,
                                  stderr=log, env=dict(os.environ, COUNT_CALLS=folder), pass_fds=[ready_file.fileno()])
    try:
        end = time.monotonic() + DEADLINE_SECONDS
        while not os.path.getsize(ready):
            if broker.poll() is not None or time.monotonic() > end:
                sys.exit(f"count.py: the pool does not start\n{open(f'{folder}/log').read()}")
            time.sleep(0.05)
        seen = []
        for _ in range(CONNECTIONS):
            await_quiet(paths)
            seen.append(connect_once(port))
        await_quiet(paths)
        return seen
    finally:
        subprocess.run([f"{build}/sshim", "stop", "--control", control], check=False, stdout=subprocess.DEVNULL,
                       env=dict(os.environ, COUNT_CALLS=""))
        broker.wait()


def count(build, verbose):
    folder = tempfile.mkdtemp(prefix="sshim-count.")
    try:
        seen = record(build, folder)
        parts = {}
        for side, program in (("broker", "sshim"), ("worker", "libsshim.so")):
            notes = read_notes(f"{folder}/{program}")
            symbols = Symbols(f"{build}/{program}" + (".debug" if side == "worker" else ""))
            symbols.resolve(note.offset for note in notes if note.kind in (ENTERED, LEFT))
            cut = [broker_part(notes, began, symbols) if side == "broker" else worker_part(notes, began, pid, symbols)
                   for began, pid in seen]
            told = [describe(part, symbols) for part in cut if part]
            if not told:
                sys.exit(f"count.py: no connection was seen in the {side}")
            parts[side] = collections.Counter((calls, files) for calls, files, _ in told).most_common(1)[0][0]
            if verbose:
                print(f"{side}:", *next(lines for calls, files, lines in told if (calls, files) == parts[side]), sep="\n  ")
        line = ", ".join(f"{side}: {calls} calls in {files} files" for side, (calls, files) in parts.items())
        print(line)
        if line not in " ".join(open(f"{ROOT}/ARCHITECTURE.md").read().split()):
            sys.exit("count.py: ARCHITECTURE.md has other numbers; correct them there")
    finally:
        shutil.rmtree(folder)


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]))
else:
    count(os.path.abspath(sys.argv[1]), "-v" in sys.argv[2:])
