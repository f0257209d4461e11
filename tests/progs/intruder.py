"""intruder.py - a peer that does not keep to the protocol.

    intruder.py garbage CONTROL SEED   random and nearly right datagrams, with and without descriptors,
                                       to both rendezvous sockets
    intruder.py silent CONTROL COUNT   that many connections that say nothing, until killed
    intruder.py command CONTROL CODE   one command on the abstract socket; prints what came back
    intruder.py claim CONTROL          a claim with a wrong token; prints what came back

With INTRUDER_UID in the environment it is that user first.
"""
import os
import random
import socket
import struct
import sys
import time

MAGIC = 0x4D485353
HEAD = struct.Struct("=IHH")


def connect(name):
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    peer.settimeout(5)
    peer.connect(name)
    return peer


def abstract(control):
    return "\0sshim:" + control


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
        except (BrokenPipeError, ConnectionResetError):
            pass
        if rng.random() < 0.5:
            try:
                peer.recv(4096)
            except (ConnectionResetError, TimeoutError):
                pass
        peer.close()


def silent(control, count):
    peers = []
    for i in range(int(count)):
        peers.append(connect((control, abstract(control))[i % 2]))
    print("silent", flush=True)
    time.sleep(1000)


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
