"""spin.py SSHIM PID: writes a jump to itself over dispatch_pump() in the memory of a broker: the next
connection makes its loop stand still, in a way that no signal interrupts."""
import subprocess
import sys

program, pid = sys.argv[1], int(sys.argv[2])
JUMPS = {"x86_64": b"\xeb\xfe", "aarch64": b"\x00\x00\x00\x14"}
machine = subprocess.check_output(["uname", "-m"], text=True).strip()
offset = next(int(line.split()[0], 16)
              for line in subprocess.check_output(["nm", program], text=True).splitlines()
              if line.split()[-1] == "dispatch_pump")
with open(f"/proc/{pid}/maps", encoding="ascii") as maps:
    base = next(int(line.split("-")[0], 16) for line in maps if line.rstrip().endswith("/sshim"))
with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
    memory.seek(base + offset)
    memory.write(JUMPS[machine])
