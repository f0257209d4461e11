"""spin.py SSHIM PID [FD]: writes other code over dispatch_pump() in the memory of a broker: the next connection
makes its loop stand still, in a way that no signal but KILL interrupts. With FD, a file of a file system that does not
answer, it reads from that: no KILL ends it, either."""
import struct
import subprocess
import sys

program, pid = sys.argv[1], int(sys.argv[2])
machine = subprocess.check_output(["uname", "-m"], text=True).strip()
if machine == "x86_64":
    jump = b"\xeb\xfe"
    # eax = 0 (read), edi = FD, rsi = rsp - 128, edx = 1, syscall
    read = b"\x31\xc0\xbf%b\x48\x8d\x74\x24\x80\xba\x01\x00\x00\x00\x0f\x05"
    number = lambda fd: struct.pack("<I", fd)
else:
    jump = b"\x00\x00\x00\x14"
    # x8 = 63 (read), x0 = FD, x1 = sp - 4096, x2 = 1, svc
    read = b"\xe8\x07\x80\xd2%b\xe1\x07\x40\xd1\x22\x00\x80\xd2\x01\x00\x00\xd4"
    number = lambda fd: struct.pack("<I", 0xD2800000 | fd << 5)
code = (read % number(int(sys.argv[3])) if len(sys.argv) > 3 else b"") + jump
offset = next(int(line.split()[0], 16)
              for line in subprocess.check_output(["nm", program], text=True).splitlines()
              if line.split()[-1] == "dispatch_pump")
with open(f"/proc/{pid}/maps", encoding="ascii") as maps:
    base = next(int(line.split("-")[0], 16) for line in maps if line.rstrip().endswith("/sshim"))
with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
    memory.seek(base + offset)
    memory.write(code)
