# An address that no living worker listens on is kept while a worker may come back to it, then its clients are refused.
load helpers
load deploy

second_port() {
    OTHER_PORT=$("$PROBE" --free-port)
    while [[ $OTHER_PORT == "$PORT" ]]; do OTHER_PORT=$("$PROBE" --free-port); done
}

# What a client meets: refused, no file, answered, or silent after SECONDS.
meets() { # HOST:PORT|@NAME|/PATH [SECONDS]
    python3 - "$1" "${2:-5}" <<'END'
import socket, sys
name = sys.argv[1]
s = socket.socket(socket.AF_UNIX if name[0] in "@/" else socket.AF_INET)
s.settimeout(float(sys.argv[2]))
try:
    if name[0] == "@":
        s.connect("\0" + name[1:])
    elif name[0] == "/":
        s.connect(name)
    else:
        host, port = name.rsplit(":", 1)
        s.connect((host, int(port)))
    print("answered" if s.recv(1) else "closed")
except ConnectionRefusedError:
    print("refused")
except FileNotFoundError:
    print("no file")
except ConnectionResetError:
    print("reset")
except TimeoutError:
    print("silent")
END
}

is_met() { # ANSWER ADDRESS
    [[ $(meets "$2") == "$1" ]]
}

@test "after a restart with another configuration the old addresses are refused, the file is gone" {
    second_port
    deploy name=old "$ADDR" "@$TMP/old" "$TMP/old.sock"
    serve -w 2 --settle 0
    deploy name=new "$HOST:$OTHER_PORT" "@$TMP/new" "$TMP/new.sock"
    "$SSHIM" restart --control "$CONTROL"
    wait_until is_met refused "$ADDR"
    wait_until is_met refused "@$TMP/old"
    wait_until is_met "no file" "$TMP/old.sock"
    is_met answered "$HOST:$OTHER_PORT"
    is_met answered "@$TMP/new"
    is_met answered "$TMP/new.sock"
    status_is '.listeners | length == 3'
    stop_broker
    [[ $STATUS == 0 ]]
}

@test "the old address is refused while old copies still have connections, and can be used again" {
    second_port
    echo "$PORT" >"$TMP/port"
    start_broker -w 1 --settle 0 --grace 20 -- sh -c "exec \"$VICTIM\" accept --delay 20000 \"$HOST:\$(cat \"$TMP/port\")\""
    exec 7<>"/dev/tcp/$HOST/$PORT"
    wait_until status_is '.workers[0].active == 1'
    echo "$OTHER_PORT" >"$TMP/port"
    "$SSHIM" restart --no-wait --control "$CONTROL"
    wait_until is_met refused "$ADDR"
    status_is '[.workers[] | select(.state == "draining" and .active == 1)] | length == 1'
    echo "$PORT" >"$TMP/port"
    "$SSHIM" restart --no-wait --control "$CONTROL"
    wait_until is_met refused "$HOST:$OTHER_PORT"
    exec 7<&- 7>&-
    exec 7<>"/dev/tcp/$HOST/$PORT"
    wait_until status_is '.workers[0].active == 1'
    exec 7<&- 7>&-
    kill -TERM "$BROKER"
    wait_for_broker
}

@test "clients of the only copy that was killed wait for the next one" {
    deploy name=one "$ADDR"
    serve -w 1
    kill -KILL "$(worker_pid 0)"
    is_met answered "$ADDR"
    kill -KILL "$(worker_pid 0)"
    is_met answered "$ADDR"
    stop_broker
}

@test "a copy that was killed and comes back on another port leaves the old one" {
    second_port
    deploy name=old "$ADDR"
    serve -w 1
    deploy name=new "$HOST:$OTHER_PORT"
    kill -KILL "$(worker_pid 0)"
    wait_until is_met answered "$HOST:$OTHER_PORT"
    wait_until is_met refused "$ADDR"
    status_is '.listeners | length == 1'
    stop_broker
}

@test "clients of a copy that was told to end wait for the next one" {
    cat >"$TMP/leaves.py" <<'END'
import os, signal, socket, sys, time
host, port = sys.argv[1].rsplit(":", 1)
s = socket.create_server((host, int(port)))
def term(*_):
    s.close()
    time.sleep(0.5)
    os._exit(0)
signal.signal(signal.SIGTERM, term)
while True:
    c, _ = s.accept()
    c.sendall(b"x")
    c.close()
END
    start_broker -w 1 -- python3 "$TMP/leaves.py" "$ADDR"
    kill -TERM "$(worker_pid 0)"
    wait_until status_is '.workers[0].state == "draining" or .workers[0].restarts == 1'
    is_met answered "$ADDR"
    stop_broker
}

@test "a slot in back-off keeps its address, also after a crash of the broker" {
    deploy name=one "$ADDR"
    serve -w 1
    deploy name=broken "$ADDR" die=0
    kill -KILL "$(worker_pid 0)"
    wait_until status_is '.workers[0].restarts >= 3'
    kill -KILL "$BROKER"
    wait_for_broker
    deploy name=mended "$ADDR"
    is_met answered "$ADDR" || is_met answered "$ADDR"
    "$SSHIM" stop --control "$CONTROL"
}

churn() {
    cat <<'END'
import socket, sys
host, port = sys.argv[1].rsplit(":", 1)
main = socket.create_server((host, int(port)))
for number in range(1000):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    fixed = 20000 + number
    s.bind((host, fixed if number % 2 and fixed != int(port) else 0))
    s.listen()
    s.close()
print("listening", flush=True)
while True:
    c, _ = main.accept()
    c.sendall(b"x")
    c.close()
END
}

one_listener() {
    status_is '.listeners | length == 1'
}

has_fds() { # AT MOST
    (($(broker_fds) <= $1))
}

@test "a thousand ports that open and close one after another leave no descriptor of the broker" {
    local options n before
    for options in "-w 1" "-w 3" "-w 1 --share all" "-w 3 --share all"; do
        n=${options:3:1}
        : >"$TMP/out"
        # shellcheck disable=SC2086 # a list
        start_broker $options -- "$VICTIM" accept "$ADDR"
        wait_until victims_listen "$n"
        before=$(broker_fds)
        stop_broker
        : >"$TMP/out"
        # shellcheck disable=SC2086 # a list
        start_broker $options -- python3 -c "$(churn)" "$ADDR"
        wait_until victims_listen "$n"
        wait_until one_listener
        wait_until has_fds $((before + 2)) # a helper closes what workers had a copy of
        stop_broker
        [[ $STATUS == 0 ]]
    done
}

@test "a copy that has moved to a port of its own is not called draining" {
    second_port
    cat >"$TMP/moves.py" <<'END'
import socket, sys
host, port, new = sys.argv[1:]
s = socket.create_server((host, int(port)))
c, _ = s.accept()
new = socket.create_server((host, int(new)))
s.close()
c.sendall(b"x")
c.close()
while True:
    c, _ = new.accept()
    c.sendall(b"x")
    c.close()
END
    start_broker -w 1 -- python3 "$TMP/moves.py" "$HOST" "$PORT" "$OTHER_PORT"
    is_met answered "$ADDR"
    wait_until is_met refused "$ADDR"
    is_met answered "$HOST:$OTHER_PORT"
    status_is '.workers[0].state != "draining"'
    stop_broker
}

@test "socket files of temporary folders go with their owner" {
    cat >"$TMP/temp.py" <<'END'
import os, signal, socket, sys, tempfile
host, port, parent = sys.argv[1:]
folder = tempfile.mkdtemp(dir=parent)
private = socket.socket(socket.AF_UNIX)
private.bind(folder + "/own")
private.listen()
main = socket.create_server((host, int(port)))
def term(*_):
    private.close()
    main.close()
    os.unlink(folder + "/own")
    os.rmdir(folder)
    os._exit(0)
signal.signal(signal.SIGTERM, term)
while True:
    c, _ = main.accept()
    c.sendall(b"x")
    c.close()
END
    mkdir "$TMP/folders"
    start_broker -w 2 --settle 0 -- python3 "$TMP/temp.py" "$HOST" "$PORT" "$TMP/folders"
    wait_until status_is '.listeners | length == 3'
    "$SSHIM" restart --control "$CONTROL"
    [[ $(find "$TMP/folders" -mindepth 1 -type d | wc -l) == 2 ]]
    kill -KILL "$(worker_pid 0)" # its folder stays, as natively
    local_sockets_are() { [[ $(find "$TMP/folders" -type s | wc -l) == "$1" ]] && status_is ".listeners | length == $1 + 1"; }
    wait_until status_is '.workers[0].restarts == 2'
    wait_until local_sockets_are 2
    stop_broker
    [[ $(find "$TMP/folders" -mindepth 1 | wc -l) == 1 ]]
}
