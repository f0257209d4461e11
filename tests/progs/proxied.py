# proxied.py: for tests/proxy.bats.
#
#   proxied.py HOST PORT         a blocking server: answers each connection with the peer by accept and by getpeername, the
#                                name by getsockname, and both once more as a program sees them that it executes; then what it read
#   proxied.py pass HOST PORT FOLDER   answers with both ends as a forked child, a dup and an executed program see them, and passes
#                                the connection to the other copy of two, which never accepts it and adds what it sees
#   proxied.py full HOST PORT    answers as above without a descriptor to spare, and executes nothing
#   proxied.py send HOST PORT [PIECE]...   sends the pieces, each in a segment of its own; prints the answer, or "closed"
#   proxied.py write HOST PORT   tries to write to the table of clients, and answers with the errors
import array
import errno
import mmap
import os
import resource
import select
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


def serve_without_spare(host, port):
    listener = socket.create_server((host, port))
    while True:
        low = len(os.listdir("/proc/self/fd"))
        filler = []
        resource.setrlimit(resource.RLIMIT_NOFILE, (low + 50, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        try:
            while True:
                filler.append(os.dup(0))
        except OSError:
            os.close(filler.pop())
        conn, peer = listener.accept()
        text = "%s %s\n" % (peer[:2], ends(conn))
        for fd in filler:
            os.close(fd)
        conn.sendall(text.encode())
        conn.recv(1000)
        conn.close()


def ends(conn):
    return "%s %s" % (conn.getpeername()[:2], conn.getsockname()[:2])


def ends_in_child(conn):
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.write(writer, ends(conn).encode())
        os._exit(0)
    os.close(writer)
    os.wait()
    with os.fdopen(reader) as answer:
        return answer.read()


def tell_and_pass(conn, to):
    conn.recv(1000)
    executed = subprocess.run([sys.executable, "-SEc", CHILD], stdin=conn.fileno(), capture_output=True, check=False).stdout.decode().strip()
    duplicate = socket.socket(fileno=os.dup(conn.fileno()))
    conn.sendall(("fork: %s\ndup: %s\nexec: %s\n" % (ends_in_child(conn), ends(duplicate), executed)).encode())
    socket.send_fds(to, [b"c"], [conn.fileno()])


def serve_and_pass(host, port, folder):
    """A datagram socket is each copy's own."""
    slot = int(os.environ["SSHIM_WORKER_ID"])
    inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    inbox.bind("%s/%d" % (folder, slot))
    to = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener = socket.create_server((host, port))
    while True:
        ready = select.select([listener, inbox], [], [])[0]
        if inbox in ready:
            with socket.socket(fileno=socket.recv_fds(inbox, 1, 1)[1][0]) as conn:
                conn.sendall(("passed: %s\n" % ends(conn)).encode())
        if listener in ready:
            with listener.accept()[0] as conn:
                to.connect("%s/%d" % (folder, 1 - slot))
                tell_and_pass(conn, to)


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
elif sys.argv[1] == "full":
    serve_without_spare(sys.argv[2], int(sys.argv[3]))
elif sys.argv[1] == "pass":
    serve_and_pass(sys.argv[2], int(sys.argv[3]), sys.argv[4])
elif sys.argv[1] == "send":
    send(sys.argv[2], int(sys.argv[3]), sys.argv[4:])
else:
    serve(sys.argv[1], int(sys.argv[2]))
