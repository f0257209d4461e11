# A worker that executes a program in its own process, and keeps its listener open, goes on as before.
load helpers

SERVER=$BUILD/bench/server # -s: does what tests/bench/whims.h says

setup_file() {
    [[ -x $BUILD/bench/server ]] || make -C "$ROOT" BUILD="$BUILD" bench-tools
}

# ask.py HOW: talks to the server at $ADDR, of which $CONTROL is the broker.
ask() {
    timeout 100 python3 -c '
import os, signal, socket, subprocess, sys, time
host, port = os.environ["ADDR"].rsplit(":", 1)
EXEC_KEEP = signal.SIGRTMIN + 1
def connect():
    client = socket.create_connection((host, int(port)), 60)
    client.settimeout(60)
    return client
def ask(client, request):
    client.sendall(request)
    return int(client.recv(64)[1:5], 16)
def is_pid(pid, short):
    return pid & 0xffff == short
def await_program(pid, part):
    while part not in open(f"/proc/{pid}/cmdline").read():
        time.sleep(0.01)
how, pid = sys.argv[1], int(sys.argv[2])

def find_on(pid):
    """A connection that this worker serves, and that stays open."""
    while True:
        client = connect()
        if is_pid(pid, ask(client, b"F")):
            return client
        client.close()

if how == "busy":  # while it serves, so that it does not wait
    client = find_on(pid)
    client.sendall(b"H")
    time.sleep(0.03)
    os.kill(pid, EXEC_KEEP)
    await_program(pid, "-k")
    client.close()
if how == "idle":  # while it waits
    os.kill(pid, EXEC_KEEP)
    await_program(pid, "-k")
if how == "pinned":  # both workers serve one connection; the next one is for who is free first
    mine, other = find_on(pid), find_on(int(sys.argv[3]))
    begun = time.monotonic()
    with connect() as next:
        next.sendall(b"f")
        time.sleep(1)
        other.close()
        next.recv(64)
    assert time.monotonic() - begun < 8, "a connection waited for the worker that is not free"
' "$@"
}

# answers_again PID: this worker answers, beside one that is idle as well.
answers_again() {
    local short
    short=$(printf '%04x' $(($1 & 0xffff)))
    timeout 60 python3 -c '
import os, socket, sys, time
host, port = os.environ["ADDR"].rsplit(":", 1)
end = time.monotonic() + 20
while time.monotonic() < end:
    with socket.create_connection((host, int(port)), 20) as client:
        client.sendall(b"f")
        if client.recv(64)[1:5].decode() == sys.argv[1]:
            sys.exit(0)
    time.sleep(0.01)
sys.exit("it got no connection any more")' "$short"
}

serves_on() { # MODE
    export ADDR
    start_broker -w 2 -- "$SERVER" -s "$1" "$ADDR"
    local pid
    pid=$(worker_pid 0)
    ask busy "$pid"
    answers_again "$pid"
    [[ $(worker_pid 0) == "$pid" ]]
    status_is '.workers[0].restarts == 0'
    stop_broker
}

@test "an event loop that executes itself while it serves gets connections again" { serves_on epoll-one; }
@test "a server with poll that executes itself while it serves gets connections again" { serves_on poll-sync; }
@test "a server with select that executes itself while it serves gets connections again" { serves_on select-sync; }
@test "a server that blocks and executes itself while it serves gets connections again" { serves_on blocking; }

@test "a thread that waited before the exec does not count any more" {
    export ADDR
    start_broker -w 2 --accept-timeout 10000 -- "$SERVER" -s blocking "$ADDR"
    local pid
    pid=$(worker_pid 0)
    ask idle "$pid"
    answers_again "$pid"
    ask pinned "$pid" "$(worker_pid 1)"
    stop_broker
}

@test "connections that the exec has closed are not waited for" {
    export ADDR
    start_broker -w 2 --settle 0 --stop-timeout 60 -- "$SERVER" -s epoll-one "$ADDR"
    local pid
    pid=$(worker_pid 0)
    ask busy "$pid"
    answers_again "$pid"
    wait_until status_is '[.workers[].active] | add == 0'
    run timeout 40 "$SSHIM" restart --control "$CONTROL"
    [[ $status == 0 && $output == "2 of 2 workers were replaced" ]]
    stop_broker
}
