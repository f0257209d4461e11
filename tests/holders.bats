# Which processes hold a listener, and for how long they wait on it.
load helpers

# server.py BODY: listens on $ADDR in s; answers as the victim does once the body has run.
write_server() {
    cat >"$TMP/server.py"
    cat >>"$TMP/server.py" <<'END'

def serve(s):
    while True:
        c, peer = s.accept()
        c.sendall(b"slot=%s peer=%s:%d \n" % (os.environ["SSHIM_WORKER_ID"].encode(), peer[0].encode(), peer[1]))
        c.close()
END
    echo 'main()' >>"$TMP/server.py"
}

@test "a fork that fails leaves no holder behind: the listener that is closed then is closed" {
    write_server <<'END'
import os, resource, socket, sys, time

host, port = sys.argv[1].rsplit(":", 1)

def fork_fails():
    resource.setrlimit(resource.RLIMIT_NPROC, (0, resource.getrlimit(resource.RLIMIT_NPROC)[1]))
    if os.geteuid() == 0:
        os.setresuid(65534, 65534, 0) # the limit does not hold for root
    try:
        if os.fork() == 0: os._exit(0)
    except BlockingIOError:
        return True
    return False

def main():
    s = socket.create_server((host, int(port)))
    while True:
        c, peer = s.accept()
        print("failed" if fork_fails() else "forked", flush=True)
        s.close()
        c.close()
        time.sleep(1e6)
END
    start_broker -w 1 -- python3 "$TMP/server.py" "$ADDR"
    "$PROBE" -n 1 "$ADDR" || true # is not answered
    wait_until grep -q failed "$TMP/out"
    wait_until status_is '.workers[0].state == "draining"'
    stop_broker
}

@test "accept waits as long as a time-out of years says" {
    write_server <<'END'
import os, socket, struct, sys, threading, time

host, port = sys.argv[1].rsplit(":", 1)

def connect_late():
    time.sleep(1.5) # longer than the 0.7 s that 32 bits leave of it
    socket.create_connection((host, int(port)))

def main():
    s = socket.create_server((host, int(port)))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 4294968, 0))
    threading.Thread(target=connect_late).start()
    try:
        s.accept()
        print("accepted", flush=True)
    except BlockingIOError:
        print("timed out", flush=True)
    serve(s)
END
    start_broker -w 1 --handoff direct -- python3 "$TMP/server.py" "$ADDR"
    wait_until test -s "$TMP/out"
    [[ $(cat "$TMP/out") == accepted ]]
    probe 2
    stop_broker
}

boards_are() { # COUNT of scoreboards, one a channel, that the broker has
    [[ $(find "/proc/$BROKER/fd" -lname '*sshim-board*' | wc -l) == "$1" ]]
}

# A process that has as many listeners as the library has records for is given one more. Of worker 0 it and the
# one that gave it close that.
@test "a listener that was given to a process without room for a record is closed when the others close it" {
    cat >"$TMP/server.py" <<'END'
import os, signal, socket, sys

def listen(name):
    s = socket.socket(socket.AF_UNIX)
    s.bind(f"\0{sys.argv[1]}:{name}")
    s.listen()
    return s

giver, taker = socket.socketpair()
if os.fork() == 0:
    late = listen("late")
    socket.send_fds(giver, [b"."], [late.fileno()])
    giver.recv(1)
    if os.environ["SSHIM_WORKER_ID"] == "0":
        late.close()
    print("closed", flush=True)
    signal.pause()
mine = [listen(i) for i in range(64)]
given = socket.recv_fds(taker, 1, 1)[1][0]
socket.socket(fileno=given).close()
taker.send(b".")
signal.pause()
END
    start_broker -w 2 -- python3 "$TMP/server.py" "$TMP"
    closed_are() { [[ $(grep -c closed "$TMP/out") == 2 ]]; }
    wait_until closed_are
    wait_until boards_are 129
    stop_broker
}

# A child that closes its listener must not be the last that counts.
@test "a listener that a process has closed and received again is still its own" {
    write_server <<'END'
import os, socket

def main():
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    host, port = os.environ["ADDR"].rsplit(":", 1)
    s.bind((host, int(port)))
    s.listen()
    giver, taker = socket.socketpair()
    socket.send_fds(giver, [b"."], [s.fileno()])
    s.close()
    s = socket.socket(fileno=socket.recv_fds(taker, 1, 1)[1][0])
    s.listen()
    for i in range(3):
        pid = os.fork()
        if pid == 0:
            s.close()
            os._exit(0)
        os.waitpid(pid, 0)
    serve(s)
END
    export ADDR
    start_broker -w 1 -- python3 "$TMP/server.py"
    timeout 30 "$PROBE" -n 3 "$ADDR"
    status_is '.workers[0].state == "ready" and .workers[0].accepted == 3'
    stop_broker
}
