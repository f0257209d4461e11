"""hung_mount.py FOLDER [files|hung] - mounts a FUSE file system there whose server answers nothing but the greeting: every
question that the kernel asks it afterwards waits for ever. With "files" it has files of any name, which can be opened
and mapped, and only reading them waits; with "hung" also closing one, so that who has it open never ends. Prints "mounted",
and then "waits for a page" as often as one is read; ends with the process.
"""
import ctypes
import errno
import os
import struct
import sys

LOOKUP, GETATTR, OPEN, READ, FLUSH, INIT = 1, 3, 14, 15, 25, 26
SIZE = 1 << 20


def attributes(node):
    mode = 0o40755 if node == 1 else 0o100644
    return struct.pack("=QQQQQQIIIIIIIIII", node, SIZE, SIZE // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def answer(unique, body):
    os.write(fd, struct.pack("=IiQ", 16 + len(body), 0, unique) + body)


def serve(request):
    operation, unique, node = struct.unpack_from("=IQQ", request, 4)
    if operation == INIT:
        major, minor = struct.unpack_from("=II", request, 40)
        answer(unique, struct.pack("=IIIIHHIIHHI", major, min(minor, 31), 65536, 0, 12, 9, 65536, 1, 256, 0, 0) + bytes(24))
        print("mounted", flush=True)
    elif operation == LOOKUP and has_files:
        answer(unique, struct.pack("=QQQQII", 2, 0, 3600, 3600, 0, 0) + attributes(2))
    elif operation == GETATTR and has_files:
        answer(unique, struct.pack("=QII", 3600, 0, 0) + attributes(node))
    elif operation == OPEN and has_files:
        answer(unique, struct.pack("=QII", 1, 0, 0))
    elif operation == READ:
        print("waits for a page", flush=True)
    elif operation not in WAITS and has_files:
        os.write(fd, struct.pack("=IiQ", 16, -errno.ENOSYS, unique))


has_files = len(sys.argv) > 2
WAITS = (READ, FLUSH) if sys.argv[2:] == ["hung"] else (READ,)
libc = ctypes.CDLL(None, use_errno=True)
fd = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other"
if libc.mount(b"hung", sys.argv[1].encode(), b"fuse", 0, options.encode()) != 0:
    sys.exit(f"mount: {os.strerror(ctypes.get_errno())}")
while True:
    serve(os.read(fd, 1 << 18))
