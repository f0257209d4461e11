"""deny.py errno|kill NUMBER[=ARGUMENT]... -- COMMAND: executes it where these system calls fail (EAFNOSUPPORT for socket, else EPERM) or
kill, as a service manager's filter does. With =ARGUMENT only where the first argument is that."""
import ctypes
import os
import struct
import sys

BPF_LD_W_ABS, BPF_JEQ, BPF_RET = 0x20, 0x15, 0x06
KILL, ERRNO, ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
split = sys.argv.index("--")
program = []
for call in sys.argv[2:split]:
    number, _, argument = call.partition("=")
    verdict = KILL if sys.argv[1] == "kill" else ERRNO | (97 if number == "41" else 1)
    checks = [(BPF_LD_W_ABS, 0, 0, 0), (BPF_JEQ, 0, 3 if argument else 1, int(number))]
    if argument:
        checks += [(BPF_LD_W_ABS, 0, 0, 16), (BPF_JEQ, 0, 1, int(argument))]
    program += checks + [(BPF_RET, 0, 0, verdict)]
program.append((BPF_RET, 0, 0, ALLOW))
filter_bytes = b"".join(struct.pack("HBBI", *line) for line in program)
buffer = ctypes.create_string_buffer(filter_bytes)
sock_fprog = struct.pack("HxxxxxxQ", len(program), ctypes.addressof(buffer))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) < 0 or libc.prctl(22, 2, sock_fprog, 0, 0) < 0:
    sys.exit("cannot set the filter: " + os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[split + 1], sys.argv[split + 1:])
