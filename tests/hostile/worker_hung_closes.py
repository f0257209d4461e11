"""worker_hung_closes.py FILE - a worker sends the broker descriptors of a file whose close waits for ever, a file of a
file system that does not answer: many more than there are helpers to close them.
"""
import array
import os
import socket
import struct
import time

import sys

COUNT = 400
TOKEN = bytes.fromhex(os.environ["SSHIM_TOKEN"]) + struct.pack("=II", int(os.environ["SSHIM_WORKER_ID"]), 0)
NAME = struct.pack("=H", socket.AF_INET) + struct.pack("!H", 1025) + bytes([127, 0, 0, 1]) + bytes(8)
CLAIM = struct.pack("=IHH", 0x4D485353, 1, 1) + TOKEN + struct.pack("=I", len(NAME)) + NAME.ljust(112, b"\0") + struct.pack("=IQ", 0, 0)

fd = os.open(sys.argv[1], os.O_RDONLY)
for i in range(COUNT):
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    peer.settimeout(20)
    peer.connect("\0" + os.environ["SSHIM_RENDEZVOUS"])
    try:
        peer.sendmsg([CLAIM], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
        peer.recv(4096)
    except (ConnectionResetError, BrokenPipeError):
        pass
    peer.close()
print("attacks", "done", flush=True)
time.sleep(1000)
