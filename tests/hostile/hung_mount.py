"""hung_mount.py FOLDER - mounts a FUSE file system there whose server answers nothing but the greeting: every
question that the kernel asks it afterwards waits for ever. Prints "mounted"; ends with the process.
"""
import ctypes
import os
import struct
import sys

libc = ctypes.CDLL(None, use_errno=True)
fd = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other"
if libc.mount(b"hung", sys.argv[1].encode(), b"fuse", 0, options.encode()) != 0:
    sys.exit(f"mount: {os.strerror(ctypes.get_errno())}")
request = os.read(fd, 1 << 18)
unique = struct.unpack_from("=Q", request, 8)[0]
major, minor = struct.unpack_from("=II", request, 40)
answer = struct.pack("=IIIIHHIIHHI", major, min(minor, 31), 65536, 0, 12, 9, 65536, 1, 256, 0, 0) + bytes(24)
os.write(fd, struct.pack("=IiQ", 16 + len(answer), 0, unique) + answer)
print("mounted", flush=True)
while True:
    os.read(fd, 1 << 18)
