"""talk.py SEED SECONDS - a worker that was broken into talks to the broker at random: sequences of messages on links and
channels, right and nearly right, with descriptors of every kind, noise in scoreboards and on canonical sockets.
Prints "talked" and how much it said and was granted. The same seed says the same, as far as the answers are the same.
"""
import array
import mmap
import os
import random
import signal
import socket
import struct
import sys
import tempfile
import threading
import time

MAGIC = 0x4D485353
CLAIM, ATTACH, WAKE, LISTEN, CLOSE, NOTES = 1, 2, 7, 8, 9, 15
SHARED, VACANT = 1, 4
CHANNELS_MAX, LINKS_MAX = 24, 12

rng = random.Random(int(sys.argv[1]) * 1000 + int(os.environ["SSHIM_WORKER_ID"]))
folder = tempfile.mkdtemp()
token = bytes.fromhex(os.environ["SSHIM_TOKEN"])
channels = []  # (id, channel, shadow, board)
links = []
counts = {"said": 0, "granted": 0, "files": 0}


def lingering():
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname())
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 2))
    client.setblocking(False)
    try:
        while client.send(bytes(65536)):
            pass
    except BlockingIOError:
        pass
    accepted = server.accept()[0]
    fd = client.detach()
    kept.append((accepted, server))
    del kept[:-4]
    return fd


kept = []


def pipe_end():
    reads, writes = os.pipe()
    os.close(writes)
    return reads


def bound_file():
    counts["files"] += 1
    s = socket.socket(socket.AF_UNIX)
    s.bind(f"{folder}/f{os.getpid()}-{counts['files']}")
    return s.detach()


KINDS = [
    lambda: socket.socket().detach(),
    lambda: socket.socket(socket.AF_INET6).detach(),
    lambda: socket.socket(socket.AF_UNIX).detach(),
    lambda: socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).detach(),
    lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach(),
    lambda: socket.create_server(("127.0.0.1", 0)).detach(),
    lambda: os.open(folder, os.O_PATH | os.O_DIRECTORY),
    lambda: os.open(folder, os.O_RDONLY),
    lambda: os.open("/proc/self/maps", os.O_RDONLY),
    lambda: os.open("/dev/null", os.O_RDWR),
    lambda: os.memfd_create("talk"),
    lambda: os.eventfd(0),
    lambda: os.pidfd_open(os.getpid()),
    pipe_end,
    lambda: os.dup(rng.choice(channels)[rng.randrange(1, 4)]) if channels else os.eventfd(0),
    bound_file,
    lingering,
]


def head(kind):
    return struct.pack("=IHH", rng.choice([MAGIC] * 30 + [0]), rng.choice([1] * 30 + [2]), kind)


def auth():
    if rng.random() < 0.03:
        return rng.randbytes(24)
    return token + struct.pack("=II", int(os.environ["SSHIM_WORKER_ID"]), 0)


def address():
    kind = rng.randrange(6)
    if kind == 0:
        name = struct.pack("=H", socket.AF_INET) + struct.pack("!H", rng.choice([0, 1, 80, 20000, 20001, 20002])) + bytes([127, 9, 9, 9]) + bytes(8)
    elif kind == 1:
        name = struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", rng.choice([0, 20003]), 0) + bytes(15) + b"\1" + bytes(4)
    elif kind == 2:
        name = struct.pack("=H", socket.AF_UNIX) + b"\0talk%d" % rng.randrange(20)
    elif kind in (3, 4):
        name = struct.pack("=H", socket.AF_UNIX) + rng.choice([b"a.sock", b"b.sock", b"..", b"x/y", b"", b"n" * 108])
    else:
        name = rng.randbytes(rng.randrange(113))
    size = len(name) if rng.random() < 0.95 else rng.randrange(200)
    return struct.pack("=I", size) + name[:112].ljust(112, b"\0")


def claim():
    body = address() + struct.pack("=IQ", rng.choice([0, 0, 0, 1, 2, 2, 4, 8, 16, 18, rng.randrange(64)]), rng.randrange(3))
    return head(CLAIM) + auth() + (body if rng.random() < 0.95 else body[: rng.randrange(len(body))])


def attach():
    number = rng.choice(channels)[0] if channels and rng.random() < 0.9 else rng.getrandbits(64)
    return head(ATTACH) + auth() + struct.pack("=QII", number, rng.choice([0, 0, 1, 2, 3]), 0)


def say(peer, data, fd=-1):
    counts["said"] += 1
    try:
        peer.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))] if fd >= 0 else [])
    except OSError:
        pass
    if fd >= 0:
        threading.Thread(target=os.close, args=(fd,), daemon=True).start()  # it may linger


def some_fd():
    return rng.choice(KINDS)()


def link():
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    peer.settimeout(0.2)
    peer.connect("\0" + os.environ["SSHIM_RENDEZVOUS"])
    return peer


def hear(peer):
    """What a grant brings is kept."""
    try:
        answer, fds, _, _ = socket.recv_fds(peer, 4096, 1)
        if len(answer) < 24 or struct.unpack("=I", answer[8:12])[0] != SHARED:
            for fd in fds:
                os.close(fd)
            return
        for _ in range(2):
            fds += socket.recv_fds(peer, 4096, 1)[1]
    except OSError:
        return
    counts["granted"] += 1
    if len(fds) == 3:
        channels.append((struct.unpack("=Q", answer[16:24])[0], *fds))
    else:
        for fd in fds:
            os.close(fd)


def ask():
    peer = rng.choice(links) if links and rng.random() < 0.3 else link()
    say(peer, rng.choice([claim, claim, attach])(), some_fd() if rng.random() < 0.9 else -1)
    hear(peer)
    if rng.random() < 0.3 and peer not in links:
        links.append(peer)
    while len(links) > LINKS_MAX:
        links.pop(rng.randrange(len(links))).close()


def on_channel():
    if not channels:
        return
    number, channel, shadow, board = rng.choice(channels)
    what = rng.randrange(8)
    if what < 4:
        data = rng.choice([head(WAKE), head(NOTES), head(CLOSE), head(LISTEN) + struct.pack("=iI", rng.randrange(-2, 5), 0), rng.randbytes(rng.randrange(64))])
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=os.dup(channel))
        peer.setblocking(False)
        say(peer, data, some_fd() if rng.random() < 0.1 else -1)
        peer.close()
    elif what == 4:
        with mmap.mmap(board, 4096) as memory:
            memory[0:128] = rng.randbytes(128) if rng.random() < 0.5 else bytes(128)
    elif what == 5:
        s = socket.socket(fileno=os.dup(shadow))
        try:
            rng.choice([lambda: s.listen(5), lambda: s.shutdown(rng.randrange(3)), lambda: s.setblocking(rng.random() < 0.5), lambda: s.close()])()
        except OSError:
            pass
        s.close()
    else:
        channels.remove((number, channel, shadow, board))
        for fd in (channel, shadow, board):
            os.close(fd)


signal.signal(signal.SIGPIPE, signal.SIG_IGN)
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    rng.choice([ask, ask, on_channel])()
    while len(channels) > CHANNELS_MAX:
        for fd in channels.pop(0)[1:]:
            os.close(fd)
print("talked", counts, flush=True)
