# sshim check --run: starts two copies for a moment, and names what the second one trips over with the option that helps.
load helpers

# A server on $ADDR that first does what the test says, as Python.
server() { # LINES
    { cat <<'END'; printf '%s\n' "$1"; cat <<'END'; } >"$TMP/server.py"
import fcntl, os, socket, sqlite3, sys, time
there = os.path.dirname(os.path.abspath(__file__))
def path(name): return os.path.join(there, name)
END
host, port = sys.argv[1].rsplit(":", 1)
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((host, int(port)))
s.listen()
while True:
    c, _ = s.accept()
    c.close()
END
}

# try_it STATUS OPTIONS...: what it printed is in $output.
try_it() {
    local wanted=$1
    shift
    TMPDIR=$TMP run timeout 90 "$SSHIM" check --run "$@"
    echo "$output"
    ((status == wanted))
}

says() { # TEXT
    grep -qF -- "$1" <<<"$output"
}

nothing_is_left() {
    [[ -z $(find "$TMP" -maxdepth 1 -name 'sshim-trial.*') ]]
    no_process_is_left
}

tries() { # STATUS LINES TEXT...
    server "$2"
    try_it "$1" -- python3 "$TMP/server.py" "$ADDR"
    shift 2
    local text
    for text in "$@"; do says "$text"; done
    nothing_is_left
}

@test "a server whose copies share nothing but the address passes" {
    tries 0 '' 'two copies ran side by side, and nothing was seen that they trip over'
}

@test "a pid file: written over, made anew, and held by a lock" {
    tries 1 'open(path("a.pid"), "w").write(str(os.getpid()))' "$TMP/a.pid: pid file that each copy writes over" '--pidfile-dir'
    rm "$TMP/a.pid"
    tries 1 'os.write(os.open(path("a.pid"), os.O_CREAT | os.O_EXCL | os.O_WRONLY), b"%d\n" % os.getpid())' \
        "$TMP/a.pid: pid file that the first copy holds" '--pidfile-dir' 'the second copy did not start' FileExistsError
    rm "$TMP/a.pid"
    tries 1 'f = open(path("a.pid"), "a"); fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB); f.truncate(0); f.write(str(os.getpid())); f.flush()' \
        "$TMP/a.pid: pid file that the first copy holds" 'the second copy did not start'
}

@test "a lock file that is refused, and one that the second copy waits for" {
    tries 1 'f = open(path("lock"), "w"); fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)' \
        "$TMP/lock: the first copy holds a lock on this file" '--chdir' 'the second copy did not start'
    server 'f = open(path("lock"), "w"); fcntl.flock(f, fcntl.LOCK_EX)'
    try_it 1 --start-timeout 3 -- python3 "$TMP/server.py" "$ADDR"
    says "$TMP/lock: the first copy holds a lock on this file"
}

@test "a log that two copies write without O_APPEND is named, and one with it is not" {
    tries 1 'log = open(path("log"), "w"); log.write("begins\n"); log.flush()' "$TMP/log: both copies write this file without O_APPEND" --log-prefix
    tries 0 'log = open(path("log2"), "a"); log.write("begins\n"); log.flush()' 'nothing was seen'
}

@test "a database that both write is told, one that the first copy has locked fails" {
    local open='db = sqlite3.connect(path("a.db"), timeout=1, isolation_level=None); '
    tries 1 "${open}db.execute('create table if not exists t(a)'); db.execute('insert into t values(1)')" \
        "$TMP/a.db: database that both copies write, one after the other; nothing, if"
    ((${#lines[@]} == 1))
    tries 1 "${open}db.execute('pragma locking_mode=exclusive'); db.execute('insert into t values(1)')" \
        "$TMP/a.db: database that the first copy has locked; give each copy a database of its own" '-w 1' 'the second copy did not start'
}

@test "addresses that are not shared: UDP, a late port, a socket of datagrams" {
    local udp=$((PORT + 1))
    tries 1 "u = socket.socket(type=socket.SOCK_DGRAM); u.bind(('$HOST', $udp))" \
        "UDP $HOST:$udp: this address cannot be shared, and the first copy has it; give each copy a port of its own ({id}"
    tries 1 "u = socket.socket(type=socket.SOCK_DGRAM); u.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); u.bind(('$HOST', $udp))" \
        "UDP $HOST:$udp: both copies bind it, and each datagram reaches only one of them"
    tries 1 "u = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); u.bind(path('dgram'))" \
        "$TMP/dgram: the first copy has bound this socket, so the second cannot; put {id} into its name"
    rm "$TMP/dgram"
    tries 1 "
try: os.unlink(path('dgram'))
except OSError: pass
u = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); u.bind(path('dgram'))" \
        "$TMP/dgram: the second copy takes this socket away from the first one"
    rm "$TMP/dgram"
    server ''
    try_it 1 --start-timeout 2 --unshared "$PORT" -- python3 "$TMP/server.py" "$ADDR"
    says "TCP $ADDR: this address is not shared, and the first copy has it; share it (--share ADDR), or give each copy its own (--unshared PORT+{id}"
}

@test "data that each copy puts in the place of the other one's" {
    tries 1 'open(path("data.new"), "w").write("x"); os.rename(path("data.new"), path("data"))' "$TMP/data: each copy puts its own file in this place" --chdir
    ! says "data.new" || false
}

@test "the remedies that it names end the finding" {
    local one=(-- python3 "$TMP/server.py" "$ADDR")
    mkdir "$TMP"/{0,1}
    server 'open("a.pid", "w").write(str(os.getpid()))'
    (cd "$TMP" && try_it 1 "${one[@]}")
    try_it 0 --chdir "$TMP/{id}" "${one[@]}"
    server 'open(sys.argv[2], "w").write(str(os.getpid()))'
    try_it 1 "${one[@]}" "$TMP/x.pid"
    try_it 0 "${one[@]}" "$TMP/x-{id}.pid"
    server 'open(path(os.environ["PIDFILE"]), "w").write(str(os.getpid()))'
    try_it 0 --env 'PIDFILE=y-{id}.pid' "${one[@]}"
}

@test "a server that does not start, one that nothing can be said of, and a file of options" {
    server 'sys.exit("no configuration")'
    try_it 1 -- python3 "$TMP/server.py" "$ADDR"
    says 'the first copy did not start'
    says 'no configuration'
    server 'open(path("a.pid"), "w").write(str(os.getpid()))'
    printf 'command = python3 %s %s\nworkers = 7\nlog = %s\nmetrics = %s:1\n' "$TMP/server.py" "$ADDR" "$TMP/never" "$HOST" >"$TMP/web.conf"
    try_it 1 --config "$TMP/web.conf"
    says "$TMP/a.pid: pid file that each copy writes over"
    [[ ! -e $TMP/never ]]
    run "$SSHIM" check --run
    ((status == 2))
    run "$SSHIM" check --run --workers x -- true
    [[ $status == 2 && $output == *"invalid value 'x' for --workers"* ]]
}

@test "nothing is left when it is interrupted, and when it is killed" {
    local way pid
    server ''
    for way in INT TERM KILL; do
            TMPDIR=$TMP start_other "$SSHIM" check --run -- python3 "$TMP/server.py" "$ADDR"
        pid=$OTHER
        wait_until probe_connects
        kill -$way "$pid"
        wait_until is_gone "$pid"
        DEADLINE_S=10 wait_until no_process_is_left
        [[ $way == KILL ]] || nothing_is_left
    done
    rm -r "$TMP"/sshim-trial.* # what a kill has left
}

probe_connects() {
    (exec 3<>"/dev/tcp/$HOST/$PORT") 2>/dev/null
}

@test "real servers: redis, memcached, nginx, lighttpd, dnsmasq, where they are installed" {
    local tried=0
    cd "$TMP"
    if command -v redis-server; then
        try_it 1 -- redis-server --port "$PORT" --bind "$HOST" --dir "$TMP" --save 1 1
        says "$TMP/dump.rdb: each copy puts its own file in this place"
        tried=$((tried + 1))
    fi
    if command -v memcached && [[ $(id -u) == 0 ]]; then
        try_it 1 -- memcached -d -u root -l "$ADDR" -P "$TMP/mc.pid"
        says "$TMP/mc.pid: pid file that each copy writes over"
        tried=$((tried + 1))
    fi
    if command -v nginx; then
        mkdir -p "$TMP/t"
        cat >"$TMP/nginx.conf" <<END
daemon off; pid $TMP/nginx.pid; error_log $TMP/err; events {}
http { access_log $TMP/access; client_body_temp_path $TMP/t/b; proxy_temp_path $TMP/t/p; fastcgi_temp_path $TMP/t/f; uwsgi_temp_path $TMP/t/u;
scgi_temp_path $TMP/t/s; server { listen $ADDR; } }
END
        try_it 1 -- nginx -c "$TMP/nginx.conf"
        says "$TMP/nginx.pid: pid file that each copy writes over"
        tried=$((tried + 1))
    fi
    if command -v lighttpd; then
        printf 'server.document-root="%s"\nserver.port=%s\nserver.bind="%s"\nserver.pid-file="%s"\n' "$TMP" "$PORT" "$HOST" "$TMP/lt.pid" >"$TMP/lt.conf"
        try_it 1 -- lighttpd -D -f "$TMP/lt.conf"
        says "$TMP/lt.pid: pid file that each copy writes over"
        tried=$((tried + 1))
    fi
    if command -v dnsmasq; then
        try_it 1 -- dnsmasq -k -p "$PORT" --listen-address="$HOST" --bind-interfaces --pid-file="$TMP/dm.pid" --no-resolv --user=root
        says "UDP $ADDR: both copies bind it"
        says "$TMP/dm.pid: pid file"
        tried=$((tried + 1))
    fi
    ((tried > 0)) || skip "none of them is installed"
}
