"""deploy.py CONFIG: a server whose CONFIG says what this version does, one word a line in this order:

name=N       answered to each client, with the pid
temp=PATH    first listens on PATH.PID, as process pools do, with a process that waits there
term=ignore  lives on when it gets TERM
fork=N       so many children serve, which the first process leaves behind when it gets TERM
wait=FILE    goes on when FILE exists
first=1      goes on when it has answered one client
ADDRESS      HOST:PORT or /PATH or @NAME: listens there
die=SECONDS  exits with status 9 so long after it began to listen
never_waits=1       never waits for connections
"""
import os
import select
import signal
import socket
import sys
import time

conf = [line.split("=", 1) if "=" in line else ["listen", line] for line in open(sys.argv[1]).read().split()]
name = "none"
end = None
listeners = []
for key, value in conf:
    if key == "name":
        name = value
    elif key == "temp":
        s = socket.socket(socket.AF_UNIX)
        s.bind(f"{value}.{os.getpid()}")
        s.listen()
        if os.fork() == 0:
            while os.getppid() != 1:
                if select.select([s], [], [], 1)[0]:
                    s.accept()[0].close()
            os._exit(0)
        s.close()
    elif key == "term":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif key == "fork":
        for _ in range(int(value)):
            if os.fork() == 0:
                break
        else:
            while True:
                signal.pause()
    elif key == "wait":
        while not os.path.exists(value):
            time.sleep(0.02)
    elif key == "first":
        while True:
            select.select(listeners, [], [])
            try:
                c, _ = listeners[0].accept()
                break
            except BlockingIOError:
                pass
        c.sendall(f"{name} {os.getpid()}\n".encode())
        c.close()
    elif key == "listen":
        if value[0] in "/@":
            s = socket.socket(socket.AF_UNIX)
            if value[0] == "/" and os.path.exists(value):
                os.unlink(value)
            s.bind(value if value[0] == "/" else "\0" + value[1:])
        else:
            host, port = value.rsplit(":", 1)
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind((host, int(port)))
        s.listen(64)
        s.setblocking(False)
        listeners.append(s)
        print("listens on", value, flush=True)
    elif key == "die":
        end = time.monotonic() + float(value)
    elif key == "never_waits":
        time.sleep(1000)
while True:
    left = None if end is None else max(0, end - time.monotonic())
    for s in select.select(listeners, [], [], left)[0]:
        try:
            c, _ = s.accept()
        except BlockingIOError:
            continue
        c.sendall(f"{name} {os.getpid()}\n".encode())
        c.close()
    if end is not None and time.monotonic() >= end:
        os._exit(9)
