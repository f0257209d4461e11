"""worker_rights.py low HOST PORT... | many | again - a worker that was broken into uses what the broker would do for it: it
claims low ports, or name after name until it is refused, or says of sockets of its own that they were shared. Prints how the claims were answered, and keeps what it got.
"""
import array
import collections
import os
import socket
import struct
import sys
import time

SHARED = 1
kept = []


def claim(family, name):
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    peer.settimeout(20)
    peer.connect("\0" + os.environ["SSHIM_RENDEZVOUS"])
    s = socket.socket(family)
    address = struct.pack("=H", family) + name
    message = struct.pack("=IHH", 0x4D485353, 1, 1) + bytes.fromhex(os.environ["SSHIM_TOKEN"])
    message += struct.pack("=III", int(os.environ["SSHIM_WORKER_ID"]), 0, len(address))
    message += address.ljust(112, b"\0") + struct.pack("=IQ", 0, 0)
    peer.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [s.fileno()]))])
    answer, fds, _, _ = socket.recv_fds(peer, 200, 1)
    kept.append((s, fds))
    return struct.unpack("=I", answer[8:12])[0]


def renew(s):
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    peer.settimeout(20)
    peer.connect("\0" + os.environ["SSHIM_RENDEZVOUS"])
    message = struct.pack("=IHH", 0x4D485353, 1, 2) + bytes.fromhex(os.environ["SSHIM_TOKEN"])
    message += struct.pack("=IIQII", int(os.environ["SSHIM_WORKER_ID"]), 0, 1, 1, 0)
    peer.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [s.fileno()]))])
    answer, fds, _, _ = socket.recv_fds(peer, 200, 1)
    kept.append((s, fds))
    return struct.unpack("=I", answer[8:12])[0]


if sys.argv[1] == "again":
    answers = [renew(s) for _ in range(20) for s in (socket.socket(), socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX))]
elif sys.argv[1] == "low":
    host = socket.inet_aton(sys.argv[2])
    answers = [claim(socket.AF_INET, struct.pack("!H", int(port)) + host + bytes(8)) for port in sys.argv[3:]]
else:
    answers = [claim(socket.AF_UNIX, b"\0many%d.%d" % (os.getpid(), i)) for i in range(300)]
print("attacks: shared", answers.count(SHARED), "of", len(answers), flush=True)
time.sleep(1000)
