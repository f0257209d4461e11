"""slow_terminal.py hears|deaf COMMAND...: runs a program that shows pictures, in a terminal at the end of a slow line, and ends it by
the key q. A terminal that hears answers the question for the cursor when it comes to it. Prints, a line each:
 stood   bytes that were on their way after the line stood still for 10 s
 went    pictures in the next 6 s
 code    its exit code
 same    whether the terminal is as before
 unread  bytes that the next program would read"""
import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
import time

SPEED = 960  # bytes a second
QUESTION = b"\x1b[6n"
kind, *command = sys.argv[1:]
master, slave = os.openpty()
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
before = termios.tcgetattr(slave)
shown = b""  # all that the terminal has got
answered = 0  # questions in it


def show(size):
    """The line brings at most so many bytes. Gives how many there were."""
    global shown, answered
    if not select.select([master], [], [], 0)[0]:
        return 0
    got = os.read(master, size)
    shown += got
    while kind == "hears" and answered < shown.count(QUESTION):
        os.write(master, b"\x1b[24;80R")
        answered += 1
    return len(got)


def run_line(seconds, until=lambda: False):
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until():
        show(SPEED // 20)
        time.sleep(0.05)


program = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                           env={**os.environ, "TERM": "xterm"})
run_line(20, lambda: b"UPTIME" in shown)
run_line(4)
time.sleep(10)
total = 0
while got := show(4096):
    total += got
print("stood", total)
mark = len(shown)
run_line(6)
print("went", len(re.findall(rb"connections/s|\x1b\[1;\d+H", shown[mark:])))
time.sleep(2)  # a question is on its way
os.write(master, b"q")
run_line(30, lambda: program.poll() is not None)
print("code", program.poll())
run_line(2)
print("same", termios.tcgetattr(slave) == before)
print("unread", struct.unpack("i", fcntl.ioctl(slave, termios.FIONREAD, b"\0" * 4))[0])
if program.poll() is None:
    program.kill()
