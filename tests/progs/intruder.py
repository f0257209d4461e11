"""intruder.py - a peer that does not keep to the protocol.

    intruder.py garbage CONTROL SEED   random and nearly right datagrams, with and without descriptors,
                                       to both rendezvous sockets
    intruder.py silent CONTROL COUNT   that many connections that say nothing, until killed
    intruder.py crowd CONTROL COUNT    the same, on the socket that everybody reaches
    intruder.py hoard CONTROL ADDRESS  as a worker: serves, but first claims address after address, renews
                                       channel after channel, keeps all, and prints how many it got
    intruder.py command CONTROL CODE   one command on the abstract socket; prints what came back
    intruder.py claim CONTROL          a claim with a wrong token; prints what came back

With INTRUDER_UID in the environment it is that user first.
"""
import errno
import os
import random
import socket
import struct
import sys
import time

MAGIC = 0x4D485353
HEAD = struct.Struct("=IHH")


def connect(name):
    """The control socket takes a stream, the workers' socket messages."""
    for kind in (socket.SOCK_SEQPACKET, socket.SOCK_STREAM):
        peer = socket.socket(socket.AF_UNIX, kind)
        peer.settimeout(5)
        try:
            peer.connect(name)
            return peer
        except OSError as error:
            peer.close()
            if error.errno != errno.EPROTOTYPE:
                raise
    raise RuntimeError(name)


def abstract(control):
    """The name is random, but any local user can read it there."""
    with open("/proc/net/unix") as table:
        for line in table:
            name = line.rstrip("\n").rpartition(" ")[2]
            if name.startswith("@sshim:") and name.endswith(":" + control):
                return "\0" + name[1:]
    raise FileNotFoundError(control)


def head(message_type, version=1, magic=MAGIC):
    return HEAD.pack(magic, version, message_type)


def message(rng):
    size = rng.choice([0, 1, 7, 8, 9, 16, 47, 48, 49, 128, 151, 152, 153, 4096, 5000])
    noise = rng.randbytes(size)
    kind = rng.randrange(4)
    if kind == 0:
        return noise
    if kind == 1:  # a right head before noise
        return head(rng.randrange(0, 16)) + noise
    if kind == 2:  # right but for the version or the magic
        return head(rng.randrange(0, 16), rng.randrange(0, 5), MAGIC ^ rng.randrange(2)) + noise
    # a claim or an attach of the right size, from nobody's slot, with noise inside
    return rng.choice([head(1) + rng.randbytes(144), head(2) + rng.randbytes(40), head(10) + rng.randbytes(8)])


def is_command_that_works(data):
    """stop would end the test; status only costs time."""
    return data[:8] == head(10) and len(data) == 16


def garbage(control, seed):
    rng = random.Random(int(seed))
    for i in range(300):
        peer = connect(rng.choice([control, abstract(control)]))
        data = message(rng)
        if is_command_that_works(data):
            data = head(10) + struct.pack("=II", 0xFFFF, 0)
        fds = [rng.choice([0, 1, 2]) for _ in range(rng.choice([0, 0, 1, 1, 2, 5, 200]))]
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack(f"{len(fds)}i", *fds))]
        try:
            peer.sendmsg([data], rights if fds else [])
            if rng.random() < 0.3:
                peer.sendmsg([message(rng)])
        except (BrokenPipeError, ConnectionResetError, PermissionError):  # EPERM: no descriptors there
            pass
        if rng.random() < 0.5:
            try:
                if peer.type == socket.SOCK_STREAM:
                    peer.shutdown(socket.SHUT_WR)  # a line without an end is waited for
                peer.recv(4096)
            except (ConnectionResetError, TimeoutError, BrokenPipeError):
                pass
        peer.close()


def silent(control, count):
    peers = []
    for i in range(int(count)):
        peers.append(connect((control, abstract(control))[i % 2]))
    print("silent", flush=True)
    time.sleep(1000)


def crowd(control, count):
    peers = [connect(abstract(control)) for _ in range(int(count))]
    print("silent", flush=True)
    time.sleep(1000)


SHARED, RENEW = 1, 1


def auth():
    return bytes.fromhex(os.environ["SSHIM_TOKEN"]) + struct.pack("=II", int(os.environ["SSHIM_WORKER_ID"]), 0)


def request(control, data, fd):
    """The channel's id, and the descriptors that came: channel, canonical socket, scoreboard; or None."""
    peer = connect(abstract(control))
    socket.send_fds(peer, [data], [fd])
    answer, fds, _, _ = socket.recv_fds(peer, 4096, 1)
    verdict, _, channel = struct.unpack_from("=IiQ", answer, 8)
    if verdict == SHARED:
        for _ in range(2):
            fds += socket.recv_fds(peer, 4096, 1)[1]
    peer.close()
    return (channel, fds) if verdict == SHARED else None


def hoard(control, address):
    host, port = address.rsplit(":", 1)
    listener = socket.create_server((host, int(port)))
    got = []
    for i in range(300):
        plain = socket.socket()
        name = struct.pack("=H", socket.AF_INET) + struct.pack("!H", int(port)) + bytes([127, 200, i >> 8, i & 255]) + bytes(8)
        wanted = struct.pack("=I", len(name)) + name.ljust(112, b"\0") + struct.pack("=I", 0)
        got.append(request(control, head(1) + auth() + wanted, plain.fileno()))
    got = [one for one in got if one]
    for i in range(300):
        channel, fds = got[i % len(got)]
        got.append(request(control, head(2) + auth() + struct.pack("=QII", channel, RENEW, 0), fds[1]))
        got = [one for one in got if one]
    print("hoards", len(got), flush=True)
    while True:
        client, peer = listener.accept()
        client.sendall(b"slot=%s peer=%s:%d \n" % (os.environ["SSHIM_WORKER_ID"].encode(), peer[0].encode(), peer[1]))
        client.close()


def ask(control, data, fds=()):
    peer = connect(abstract(control))
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack(f"{len(fds)}i", *fds))]
    peer.sendmsg([data], rights if fds else [])
    try:
        answer = peer.recv(4096)
    except ConnectionResetError:
        answer = b""
    print(len(answer), answer.hex())


def command(control, code):
    ask(control, head(10) + struct.pack("=II", int(code), 0))


def claim(control):
    address = struct.pack("=HH", socket.AF_INET, 0xFFFF) + bytes(12)
    wanted = struct.pack("=I", len(address)) + address.ljust(112, b"\0")
    server = socket.socket()
    ask(control, head(1) + os.urandom(16) + struct.pack("=II", 0, 0) + wanted + bytes(4), [server.fileno()])


if __name__ == "__main__":
    if "INTRUDER_UID" in os.environ:
        os.setgroups([])
        os.setgid(int(os.environ["INTRUDER_UID"]))
        os.setuid(int(os.environ["INTRUDER_UID"]))
    globals()[sys.argv[1]](*sys.argv[2:])
