"""worker_paths.py - a worker of another user makes the broker touch files that are not the worker's.

    worker_paths.py ATTACK OWN ROOT STICKY

OWN is a folder of the worker's; ROOT is one of root's, with the sockets v0.sock to v99.sock; STICKY is a folder
like /tmp with the same sockets of root's. Each attack is tried a hundred times, prints "attacks" and a line that
says what the broker answered, and stays: the end of its listeners is part of the attack.
"""
import array
import collections
import os
import socket
import struct
import sys
import time

TRIES = 100
FOLDER, BOUND, REMOVE = 2, 4, 8
answers = collections.Counter()


def link():
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    peer.settimeout(20)
    peer.connect("\0" + os.environ["SSHIM_RENDEZVOUS"])
    return peer


def claim(peer, name, flags, fd, ino=0):
    """One claim; the verdict and the errno."""
    token = bytes.fromhex(os.environ["SSHIM_TOKEN"])
    address = struct.pack("=H", socket.AF_UNIX) + name.encode()
    message = struct.pack("=IHH", 0x4D485353, 1, 1) + token + struct.pack("=II", int(os.environ["SSHIM_WORKER_ID"]), 0)
    message += struct.pack("=I", len(address)) + address.ljust(112, b"\0") + struct.pack("=IQ", flags, ino)
    peer.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
    try:
        answer = peer.recv(200)
    except ConnectionResetError:
        answer = b""
    verdict = struct.unpack("=Ii", answer[8:16]) if len(answer) >= 16 else "hung up"
    answers[verdict] += 1
    return verdict


def open_folder(path):
    return os.open(path, os.O_PATH | os.O_DIRECTORY)


def bound_socket(path):
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    return s


kept = []  # links and sockets


def take(folder, name, ino, s):
    """Both steps of a claim, with a lie about the inode."""
    peer = link()
    fd = open_folder(folder)
    if claim(peer, name, FOLDER, fd)[0] == 4:
        claim(peer, name, BOUND, s.fileno(), ino)
    os.close(fd)
    kept.append((peer, s))


def names(own, root, sticky):
    """Names that lead out of the folder."""
    os.mkdir(own + "/sub")
    for i in range(TRIES):
        bad = ("..", ".", "sub/", f"v{i}.sock\0x", f"../root/v{i}.sock", f"sub/../../root/v{i}.sock", f"{root}/v{i}.sock")
        for name in bad:
            fd = open_folder(own)
            for flags in (FOLDER, REMOVE):
                if claim(link(), name, flags, fd) != (3, 22):
                    print("not refused:", repr(name), flags, flush=True)
            os.close(fd)


def lies(own, folder):
    """The folder is another's; the socket is bound elsewhere by the same name; the inode is that of the other's file."""
    for i in range(TRIES):
        name = f"v{i}.sock"
        ino = os.lstat(f"{folder}/{name}").st_ino
        take(folder, name, ino, bound_socket(f"{own}/{name}"))
        peer = link()
        fd = open_folder(folder)
        claim(peer, name, REMOVE, fd)
        os.close(fd)


def others_folder(own, root, sticky):
    lies(own, root)


def sticky_folder(own, root, sticky):
    lies(own, sticky)


def unbound(own, root, sticky):
    """A socket that is not bound at all, for a name that exists."""
    for i in range(TRIES):
        take(root, f"v{i}.sock", os.lstat(f"{root}/v{i}.sock").st_ino, socket.socket(socket.AF_UNIX))


def swapped_folder(own, root, sticky):
    """The folder is moved between the two steps, and a link to root's put in its place."""
    for i in range(TRIES):
        path = f"{own}/d{i}"
        os.mkdir(path)
        name = f"v{i}.sock"
        peer = link()
        fd = open_folder(path)
        claim(peer, name, FOLDER, fd)
        s = bound_socket(f"{path}/{name}")
        os.rename(path, path + ".away")
        os.symlink(root, path)
        claim(peer, name, BOUND, s.fileno(), os.lstat(f"{root}/{name}").st_ino)
        os.close(fd)
        kept.append((peer, s))


def swapped_file(own, root, sticky):
    """After the claim a link to root's file, hard where that is allowed, takes the socket's place."""
    for i in range(TRIES):
        name = f"v{i}.sock"
        s = bound_socket(f"{own}/{name}")
        take(own, name, os.lstat(f"{root}/{name}").st_ino, s)
        os.unlink(f"{own}/{name}")
        try:
            os.link(f"{root}/{name}", f"{own}/{name}", follow_symlinks=False)
        except PermissionError:
            os.symlink(f"{root}/{name}", f"{own}/{name}")


def wrong_kinds(own, root, sticky):
    """Descriptors that are no O_PATH of a folder. While too many of them are being closed, the broker hangs up."""
    os.mkfifo(own + "/fifo")
    fds = [os.open(root, os.O_RDONLY), os.open(own + "/fifo", os.O_RDWR), os.open("/proc/self/maps", os.O_RDONLY), os.open(root + "/shown", os.O_PATH)]
    for i in range(TRIES):
        for fd in fds:
            for flags in (FOLDER, REMOVE):
                verdict = claim(link(), f"v{i}.sock", flags, fd)
                if verdict != "hung up" and verdict[0] != 3:
                    print("not refused:", fd, flush=True)


def honest(own, root, sticky):
    """What is the worker's own is removed in the end: the broker's process can do it."""
    for i in range(TRIES):
        name = f"own{i}.sock"
        s = bound_socket(f"{own}/{name}")
        take(own, name, os.lstat(f"{own}/{name}").st_ino, s)


globals()[sys.argv[1]](*sys.argv[2:])
print("attacks:", dict(answers), flush=True)
time.sleep(1000)
