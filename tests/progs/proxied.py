# proxied.py: for tests/proxy.bats.
#
#   proxied.py HOST PORT         a blocking server: answers each connection with the peer by accept and by getpeername, the
#                                name by getsockname, and both once more as a program sees them that it executes; then what it read
#   proxied.py send HOST PORT [PIECE]...   sends the pieces, each in a segment of its own; prints the answer, or "closed"
#   proxied.py write HOST PORT   tries to write to the table of clients, and answers with the errors
import array
import errno
import mmap
import os
import socket
import struct
import subprocess
import sys

CHILD = "import socket; s = socket.socket(fileno=0); print(s.getpeername()[:2], s.getsockname()[:2])"


def serve(host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(64)
    while True:
        conn, peer = listener.accept()
        read = conn.recv(1000)
        child = subprocess.run([sys.executable, "-SEc", CHILD], stdin=conn.fileno(), capture_output=True, check=False).stdout
        same = "%s %s\n" % (conn.getpeername()[:2], conn.getsockname()[:2])
        text = "%s %s child=%s read=%r\n" % (peer[:2], same.strip(), child.decode() == same, read)
        conn.sendall(text.encode())
        conn.close()


def send(host, port, pieces):
    conn = socket.create_connection((host, port))
    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        for piece in pieces:
            conn.sendall(piece.encode("latin-1").decode("unicode_escape").encode("latin-1"))
        conn.shutdown(socket.SHUT_WR)
        answer = conn.makefile().read()
    except OSError:
        answer = ""
    print(answer.strip() or "closed")


def fetch_table():
    """As the library does: WIRE_PROXIED, answered by WIRE_BOARD."""
    link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    link.connect("\0" + os.environ["SSHIM_RENDEZVOUS"])
    token = bytes.fromhex(os.environ["SSHIM_TOKEN"])
    link.send(struct.pack("=IHH16sII", 0x4D485353, 1, 14, token, int(os.environ["SSHIM_WORKER_ID"]), 0))
    control = link.recvmsg(64, socket.CMSG_LEN(4))[1]
    return array.array("i", control[0][2])[0]


def error_of(call):
    try:
        call()
        return "none"
    except OSError as error:
        return errno.errorcode[error.errno]


def try_to_write(host, port):
    listener = socket.create_server((host, port))
    conn = listener.accept()[0]
    conn.recv(1000)  # what is not read at the close resets the connection
    table = fetch_table()
    path = "/proc/self/fd/%d" % table
    errors = [
        error_of(lambda: mmap.mmap(table, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE)),
        error_of(lambda: os.open(path, os.O_RDWR)),
        error_of(lambda: os.chmod(path, 0o666)),
    ]
    conn.sendall(("read-only: %s\n" % " ".join(errors)).encode())
    conn.close()
    listener.accept()


if sys.argv[1] == "write":
    try_to_write(sys.argv[2], int(sys.argv[3]))
elif sys.argv[1] == "send":
    send(sys.argv[2], int(sys.argv[3]), sys.argv[4:])
else:
    serve(sys.argv[1], int(sys.argv[2]))
