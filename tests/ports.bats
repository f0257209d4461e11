# --port APP=REAL: a server asks for one port, the world sees another, and getsockname tells the server the one that it asked for.
load helpers

# A server on the addresses given; it answers with its slot, what getsockname says of the listener and of the connection, and
# what a program that it executes hears of the connection.
serve() {
    cat >"$TMP/server.py" <<'END'
import os, select, socket, subprocess, sys
def name(s): return "%s:%d" % s.getsockname()[:2]
def listen(text):
    host, port = text.rsplit(":", 1)
    s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((host, int(port)))
    s.listen()
    return s
listeners = [listen(a) for a in sys.argv[1:]]
child = "import socket; s = socket.socket(fileno=0); print('%s:%d' % s.getsockname()[:2])"
while True:
    for s in select.select(listeners, [], [])[0]:
        c, _ = s.accept()
        heard = subprocess.run([sys.executable, "-c", child], stdin=c, capture_output=True, text=True).stdout.strip()
        c.sendall(f"{os.environ['SSHIM_WORKER_ID']} {name(s)} {name(c)} {heard}\n".encode())
        c.close()
END
}

ask() { # HOST PORT
    timeout 10 python3 -c 'import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
print(s.makefile().read(), end="")' "$1" "$2"
}

refused() { # HOST PORT
    ! (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null
}

answers() { # HOST PORT WHAT-IT-SEES: of the listener, the connection and an executed program alike
    local told
    told=$(ask "$1" "$2")
    echo "$told"
    [[ ${told#* } == "$3 $3 $3" ]]
}

free_port() {
    "$PROBE" --free-port
}

@test "the world sees REAL and the server APP, over a restart, a crash, an upgrade and a killed broker" {
    local real
    real=$(free_port)
    serve
    start_broker -w 2 --settle 0 --port "$PORT=$real" -- python3 "$TMP/server.py" "$ADDR"
    check() {
        answers "$HOST" "$real" "$ADDR"
        refused "$HOST" "$PORT"
        status_is ".listeners | length == 1 and .[0].address == \"$HOST:$real\" and .[0].asked == \"$ADDR\""
    }
    check
    "$SSHIM" status --control "$CONTROL" | grep -F "$HOST:$real for $ADDR "
    timeout 60 "$SSHIM" restart --control "$CONTROL"
    check
    kill -KILL "$(worker_pid 1)"
    wait_until status_is '.state == "ready"'
    check
    timeout 60 "$SSHIM" upgrade --control "$CONTROL"
    check
    kill -KILL "$BROKER"
    wait_for_broker
    wait_until status_is '.state == "ready"'
    timeout 60 "$SSHIM" scale 3 --control "$CONTROL"
    check
    timeout 60 "$SSHIM" stop --control "$CONTROL"
}

@test "hosts in rules, several rules, IPv6, and a host of the other family" {
    local a b c
    read -r a b c <<<"$(free_port) $(free_port) $(free_port)"
    serve
    start_broker -w 1 --port "$ADDR=$HOST:$a" --port "[::1]:$PORT=$b" -- python3 "$TMP/server.py" "$ADDR" "::1:$PORT" "$HOST:$c"
    answers "$HOST" "$a" "$ADDR"
    answers ::1 "$b" "::1:$PORT"
    answers "$HOST" "$c" "$HOST:$c"
    stop_broker
    STATUS=
    ! start_broker -w 1 --port "$PORT=127.0.0.1:$a" -- python3 "$TMP/server.py" "::1:$PORT" || false
    wait_for_broker
    [[ $STATUS == [34] ]]
    log_has "cannot bind [::1]:$PORT by --port $PORT=127.0.0.1:$a: the two hosts are of different families; name a host of the same family, or the port alone"
}

@test "each of several hosts with one port is told what was asked for there, and one without a rule what it has" {
    local real
    real=$(free_port)
    serve
    start_broker -w 1 --port "127.0.0.1:$PORT=127.1.1.2:$real" --port "127.0.0.1:$((PORT + 1))=127.1.1.3:$real" --port "0.0.0.0:$((PORT + 2))=$((PORT + 3))" \
        -- python3 "$TMP/server.py" "127.0.0.1:$PORT" "127.0.0.1:$((PORT + 1))" "127.1.1.4:$real" "0.0.0.0:$((PORT + 2))"
    answers 127.1.1.2 "$real" "127.0.0.1:$PORT"
    answers 127.1.1.3 "$real" "127.0.0.1:$((PORT + 1))"
    answers 127.1.1.4 "$real" "127.1.1.4:$real"
    [[ $(ask 127.1.1.5 $((PORT + 3))) == "0 0.0.0.0:$((PORT + 2)) 127.1.1.5:$((PORT + 2)) 127.1.1.5:$((PORT + 2))" ]]
    stop_broker
}

@test "--handoff direct, broker, and a library-less server by --intercept seccomp" {
    local real way
    real=$(free_port)
    serve
    for way in direct broker; do
        start_broker -w 2 --handoff $way --port "$PORT=$real" -- python3 "$TMP/server.py" "$ADDR"
        answers "$HOST" "$real" "$ADDR"
        stop_broker
    done
    start_broker -w 2 --intercept seccomp --port "$PORT=$real" -- python3 "$TMP/server.py" "$ADDR"
    answers "$HOST" "$real" "$HOST:$real" # nothing tells the program otherwise
    refused "$HOST" "$PORT"
    log_has "with --intercept seccomp a server that asks for the port of its socket is told REAL of --port"
    timeout 60 "$SSHIM" restart --control "$CONTROL"
    answers "$HOST" "$real" "$HOST:$real"
    stop_broker
}

@test "a launcher of a program without the library is told of REAL as well, or of the option that needs the library" {
    local real
    real=$(free_port)
    start_broker -w 2 --port "$PORT=$real" -- sh -c "exec '$BUILD/tests/unloaded/victim' accept '$ADDR'"
    log_has "starting all again by --intercept seccomp"
    log_has "with --intercept seccomp a server that asks for the port of its socket is told REAL of --port"
    status_is ".listeners | length == 1 and .[0].address == \"$HOST:$real\""
    stop_broker
    STATUS=
    ! start_broker -w 2 --leader 80 -- sh -c "exec '$BUILD/tests/unloaded/victim' accept '$ADDR'" || false
    wait_for_broker
    log_has "link it dynamically (without -static), or leave --leader out, which needs the library"
}

@test "a socket that a rule gives no address is told of once, whatever its server tries" {
    launch_broker -w 1 --start-timeout 20 --port "$PORT=127.0.0.1:81" --port "$((PORT + 1))=127.0.0.1:82" -- python3 -c 'import socket, sys
for i in range(300):
    for port in (int(sys.argv[1]), int(sys.argv[1]) + 1):
        try:
            socket.socket(socket.AF_INET6).bind(("::1", port))
        except OSError as error:
            code = error.errno
print("tried", code, flush=True)
sys.stdin.read()' "$PORT"
    wait_until grep -q "tried 99" "$TMP/out"
    [[ $(grep -c "of different families" "$TMP/log") == 2 ]]
    (($(wc -l <"$TMP/log") < 20))
    stop_broker
}

@test "a port below 1024 for workers of another user, again after a restart" {
    [[ $(id -u) == 0 ]] || skip "needs root"
    local real=$((RANDOM % 800 + 100))
    share_build
    serve
    chmod a+r "$TMP/server.py"
    start_broker -w 2 --user nobody --settle 0 --port "$PORT=$real" -- python3 "$TMP/server.py" "$ADDR"
    answers "$HOST" "$real" "$ADDR"
    timeout 60 "$SSHIM" restart --control "$CONTROL"
    answers "$HOST" "$real" "$ADDR"
    stop_broker
}

@test "a socket of LISTEN_FDS is that of REAL" {
    local real
    real=$(free_port)
    serve
    cat >"$TMP/give.py" <<'END'
import os, socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((sys.argv[1], int(sys.argv[2])))
s.listen()
os.dup2(s.fileno(), 3) if s.fileno() != 3 else os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execvp(sys.argv[3], sys.argv[3:])
END
    python3 "$TMP/give.py" "$HOST" "$real" "$SSHIM" run --control "$CONTROL" -w 2 --port "$PORT=$real" -- python3 "$TMP/server.py" "$ADDR" \
        3>&- </dev/null >>"$TMP/out" 2>>"$TMP/log" &
    BROKER=$!
    exec 8</dev/null
    wait_until status_is '.state == "ready"'
    answers "$HOST" "$real" "$ADDR"
    status_is ".listeners | length == 1 and .[0].asked == \"$ADDR\""
    stop_broker
}

@test "status shows what was asked for, whatever the rules say now" {
    local real
    real=$(free_port)
    serve
    printf 'port = %s=%s\nworkers = 2\nsettle = 0\n' "$PORT" "$real" >"$TMP/web.conf"
    start_broker --config "$TMP/web.conf" -- sh -c 'test ! -e "$0" && exec python3 "$@"' "$TMP/broken" "$TMP/server.py" "$ADDR"
    asked() { status_is ".listeners | length == 1 and .[0].address == \"$HOST:$real\" and .[0].asked == \"$ADDR\""; }
    asked
    touch "$TMP/broken"
    printf 'port = 81=%s\nworkers = 2\nsettle = 0\n' "$real" >"$TMP/web.conf"
    run timeout 60 "$SSHIM" restart --control "$CONTROL"
    ((status != 0))
    asked
    rm "$TMP/broken"
    timeout 60 "$SSHIM" upgrade --control "$CONTROL"
    asked
    stop_broker
}

@test "a changed rule moves the port at a restart; what makes no sense is refused" {
    local a b bad
    read -r a b <<<"$(free_port) $(free_port)"
    serve
    printf 'port = %s=%s\nworkers = 2\nsettle = 0\n' "$PORT" "$a" >"$TMP/web.conf"
    start_broker --config "$TMP/web.conf" -- python3 "$TMP/server.py" "$ADDR"
    answers "$HOST" "$a" "$ADDR"
    printf 'port = %s=%s\nworkers = 2\nsettle = 0\n' "$PORT" "$b" >"$TMP/web.conf"
    timeout 60 "$SSHIM" restart --control "$CONTROL"
    answers "$HOST" "$b" "$ADDR"
    wait_until refused "$HOST" "$a"
    log_has 'changed: port'
    stop_broker
    for bad in 80 =80 80= 0=80 80=0 /tmp/a=80 80=x 80=1=2 80=70000 ::1=80 '127.0.0.1:80=[::1]:81' '80=*:81'; do
        run "$SSHIM" run --port "$bad" -- true
        [[ $status == 2 && $output == *"invalid value '$bad' for --port"* ]]
    done
    run "$SSHIM" run --port "$PORT=80" --port "*:$PORT=81" -- true
    [[ $status == 2 && $output == *"--port *:$PORT=81 has no effect, since --port $PORT=80 comes before it"* ]]
    run "$SSHIM" run --port 81=80 --port 82=80 -- true
    [[ $status == 2 && $output == *"--port 81=80 and --port 82=80 give one address twice"* ]]
}

@test "what is not shared is told its own port, where it is that of a rule without a host" {
    local real
    real=$(free_port)
    cat >"$TMP/server.py" <<'END'
import os, socket, subprocess, sys
app, real = int(sys.argv[1]), int(sys.argv[2])
def name(s): return "%s:%d" % s.getsockname()
def listen(host, port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((host, port))
    s.listen()
    return s
shared, private = listen("127.1.1.2", app), listen("127.1.1.3", real)
conn, _ = shared.accept()
out = socket.socket()
out.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
out.bind(("127.1.1.4", real))
out.connect(("127.1.1.3", real))
got, _ = private.accept()
over = socket.socket()
os.dup2(conn.fileno(), over.fileno()) # the number was a socket of its own before
told = [name(s) for s in (shared, conn, over, private, got, out)]
child = "import socket, sys; s = socket.socket(fileno=int(sys.argv[1])); print('%s:%d' % s.getsockname())"
for s in shared, private, conn: # in another program
    told.append(subprocess.check_output([sys.executable, "-c", child, str(s.fileno())], pass_fds=[s.fileno()], text=True).strip())
conn.sendall((" ".join(told) + "\n").encode())
END
    start_broker -w 1 --settle 0 --port "$PORT=$real" --unshared "127.1.1.3:$real" --unshared "127.1.1.4:$real" -- python3 "$TMP/server.py" "$PORT" "$real"
    local told
    told=$(ask 127.1.1.2 "$real")
    echo "$told"
    [[ $told == "127.1.1.2:$PORT 127.1.1.2:$PORT 127.1.1.2:$PORT 127.1.1.3:$real 127.1.1.3:$real 127.1.1.4:$real 127.1.1.2:$PORT 127.1.1.3:$real 127.1.1.2:$PORT" ]]
    stop_broker
}
