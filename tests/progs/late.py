"""late.py HOST:PORT - opens and closes one listener after the other, as test suites do: none is open when the next is
bound. Prints how many of them were not shared, and how often somebody else found a closed one's address taken."""
import os
import signal
import socket
import subprocess
import sys

ROUNDS = 200
# Knows nothing of a broker.
OTHER = """
import socket, sys
for line in sys.stdin:
    with socket.socket() as s:
        try:
            s.bind((sys.argv[1], int(line)))
            answer = "free"
        except OSError as error:
            answer = error
    print(answer, flush=True)
"""


def link_of(path):
    try:
        return os.readlink(path)
    except OSError:  # closed meanwhile
        return None


def is_shared(listener):
    """What is behind the number is the library's channel, or the canonical socket, which the broker, our parent, has too."""
    link = os.readlink(f"/proc/self/fd/{listener.fileno()}")
    with open("/proc/net/unix") as sockets:
        if any(f"socket:[{line.split()[6]}]" == link for line in sockets):
            return True
    theirs = f"/proc/{os.getppid()}/fd"
    return any(link_of(f"{theirs}/{fd}") == link for fd in os.listdir(theirs))


def free_port(host):
    with socket.socket() as unused:
        unused.bind((host, 0))
        return unused.getsockname()[1]


def main():
    host = sys.argv[1].rsplit(":", 1)[0]
    with socket.create_server((host, 0)) as first, socket.create_connection(first.getsockname()):
        first.accept()[0].close()
    other = subprocess.Popen([sys.executable, "-c", OTHER, host], env={}, text=True, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
    private = taken = 0
    for _ in range(ROUNDS):
        port = free_port(host)
        print(port, file=other.stdin, flush=True)
        taken += other.stdout.readline() != "free\n"
        with socket.create_server((host, port)) as listener:
            private += not is_shared(listener)
    print(private, "private,", taken, "taken", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
