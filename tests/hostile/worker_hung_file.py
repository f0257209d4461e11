"""worker_hung_file.py FOLDER - a worker sends the broker, with each question that takes one, a descriptor of a file
system that does not answer: whoever asks the file what it is waits for ever.
"""
import array
import os
import socket
import struct
import sys
import time

TOKEN = bytes.fromhex(os.environ["SSHIM_TOKEN"]) + struct.pack("=II", int(os.environ["SSHIM_WORKER_ID"]), 0)
NAME = struct.pack("=H", socket.AF_UNIX) + b"hung.sock"
TCP = struct.pack("=H", socket.AF_INET) + struct.pack("!H", 1025) + bytes([127, 0, 0, 1]) + bytes(8)


def ask(message_type, body, fd):
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    peer.settimeout(20)
    peer.connect("\0" + os.environ["SSHIM_RENDEZVOUS"])
    message = struct.pack("=IHH", 0x4D485353, 1, message_type) + TOKEN + body
    peer.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
    try:
        return len(peer.recv(4096))
    except ConnectionResetError:
        return 0


def claim(address, flags):
    return struct.pack("=I", len(address)) + address.ljust(112, b"\0") + struct.pack("=IQ", flags, 0)


hung = os.open(sys.argv[1], os.O_PATH | os.O_DIRECTORY)
for flags in (0, 1, 2):
    ask(2, struct.pack("=QII", 1, flags, 0), hung)
for flags in (0, 1, 2, 4, 8, 16, 2 | 16):
    for address in (NAME, TCP):
        ask(1, claim(address, flags), hung)
print("attacks", "done", flush=True)
time.sleep(1000)
