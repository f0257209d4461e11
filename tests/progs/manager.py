"""manager.py NOTIFY KEPT COMMAND...: a small service manager. It runs the command with NOTIFY_SOCKET, keeps the descriptors that
it is given (FDSTORE=1, FDSTOREREMOVE=1), and lists their names in the file KEPT. Whenever the command has ended, it reads a line:
"again" runs the command once more, with what is kept in LISTEN_FDS; the end of the input ends it.
"""
import array
import os
import socket
import sys
import threading

notify, listing, command = sys.argv[1], sys.argv[2], sys.argv[3:]
kept = {}
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(notify)


def write_names():
    with open(listing + ".new", "w", encoding="ascii") as out:
        out.writelines(name + "\n" for name in kept)
    os.rename(listing + ".new", listing)


def hear():
    while True:
        text, data, _, _ = receiver.recvmsg(4096, socket.CMSG_SPACE(4))
        fields = dict(line.split("=", 1) for line in text.decode().splitlines())
        fds = array.array("i")
        for _, _, part in data:
            fds.frombytes(part)
        if fields.get("FDSTORE") == "1" and len(fds) == 1:
            kept[fields["FDNAME"]] = fds[0]
        elif fields.get("FDSTOREREMOVE") == "1" and fields["FDNAME"] in kept:
            os.close(kept.pop(fields["FDNAME"]))
        elif len(fds) > 0:
            print("a descriptor without FDSTORE", flush=True)
        write_names()


def run():
    given = list(kept.items())
    pid = os.fork()
    if pid:
        return pid
    for i, (_, fd) in enumerate(given):
        os.dup2(fd, 100 + i)
    for i in range(len(given)):
        os.dup2(100 + i, 3 + i)
        os.close(100 + i)
    os.environ.update(NOTIFY_SOCKET=notify, FDSTORE="16")
    if given:
        os.environ.update(LISTEN_FDS=str(len(given)), LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES=":".join(n for n, _ in given))
    os.execv(command[0], command)


write_names()
threading.Thread(target=hear, daemon=True).start()
while True:
    _, status = os.waitpid(run(), 0)
    print("ended", os.waitstatus_to_exitcode(status), flush=True)
    if sys.stdin.readline().strip() != "again":
        break
