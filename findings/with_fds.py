"""with_fds.py FDS PORT COMMAND...: executes COMMAND with listening sockets at the numbers FDS (as 3,4,9) and nothing else above 2.

The first listens on 127.0.0.1:PORT, the others on free ports; 0 is a free port too. This is how a service manager starts
a program with socket activation, so LISTEN_FDS and LISTEN_PID are set, unless the caller has set LISTEN_PID.
"""

import fcntl
import os
import socket
import sys

numbers = [int(number) for number in sys.argv[1].split(",")]
made = []
for index, _ in enumerate(numbers):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", int(sys.argv[2]) if index == 0 else 0))
    listener.listen(50)
    made.append(fcntl.fcntl(listener.detach(), fcntl.F_DUPFD, 200))

os.closerange(3, 200)
for high, number in zip(made, numbers):
    os.dup2(high, number)
os.closerange(200, 1024)

os.environ["LISTEN_FDS"] = str(len(numbers))
os.environ.setdefault("LISTEN_PID", str(os.getpid()))
os.execvp(sys.argv[3], sys.argv[3:])
