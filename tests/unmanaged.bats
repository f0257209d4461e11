# Without SSHIM_BROKER the library is inert: a program makes the system calls it makes without it.
load helpers

# calls_of PRELOAD FILE COMMAND...: the names of the system calls from the program's marker on, one a line.
# The marker is the first socket call: everything before it is the loader's.
calls_of() {
    local preload=$1 file=$2
    shift 2
    strace -f -qq -o "$file.raw" -E LD_PRELOAD="$preload" -E SSHIM_BROKER -E SSHIM_TOKEN "$@" >/dev/null 2>&1 3>&- &
    local tracer=$!
    wait_until grep -q "listen(" "$file.raw"
    probe 1
    wait "$tracer" || true
    sed -E 's/^[0-9]+ +//; s/^<\.\.\. ([a-z0-9_]+) resumed.*/\1/; s/\(.*//' "$file.raw" |
        awk '$0 == "socket" { seen = 1 } seen' >"$file"
    [[ $(wc -l <"$file") -gt 5 ]]
}

@test "no system call is added, in any way of waiting" {
    local mode
    for mode in accept accept-first select poll ppoll epoll epoll-edge epoll-oneshot; do
        PORT=$("$PROBE" --free-port) ADDR=$HOST:$PORT
        calls_of "" "$TMP/native.$mode" "$VICTIM" "$mode" --once "$ADDR"
        PORT=$("$PROBE" --free-port) ADDR=$HOST:$PORT
        calls_of "$LIB" "$TMP/preloaded.$mode" "$VICTIM" "$mode" --once "$ADDR"
        diff "$TMP/native.$mode" "$TMP/preloaded.$mode"
    done
}

@test "no system call is added to a program that works on file descriptors" {
    local prog='import os, socket, fcntl, select
os.write(1, b"mark")
r, w = os.pipe(); os.dup2(r, 50); os.dup(50); fcntl.fcntl(50, fcntl.F_DUPFD, 60); os.close(50); os.closerange(3, 70)
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(); s.getsockname(); s.setblocking(False)
c = socket.create_connection(s.getsockname()); p, a = s.accept(); p.shutdown(socket.SHUT_RDWR); p.close()
select.select([s], [], [], 0.01); s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR); s.close()
if os.fork() == 0: os._exit(0)
os.wait()
os._exit(0)'
    local preload
    for preload in "" "$LIB"; do
        strace -f -qq -o "$TMP/raw${preload:+.lib}" -E LD_PRELOAD="$preload" -E SSHIM_BROKER python3 -S -c "$prog" >/dev/null
    done
    local raw
    for raw in "$TMP/raw" "$TMP/raw.lib"; do
        sed -E 's/^[0-9]+ +//; /^(<\.\.\.|---|\+\+\+)/d' "$raw" | awk '/write\(1, "mark"/ { seen = 1 } seen' |
            sed 's/(.*//' >"$raw.names"
        grep -qx "accept4" "$raw.names"
    done
    # the parent's and the child's calls may come in any order after the fork
    diff <(sort "$TMP/raw.names") <(sort "$TMP/raw.lib.names")
}

@test "loading adds no socket, no thread, no fd and no file other than the library" {
    strace -f -qq -o "$TMP/native" -E LD_PRELOAD= -E SSHIM_BROKER cat /dev/null
    strace -f -qq -o "$TMP/preloaded" -E LD_PRELOAD="$LIB" -E SSHIM_BROKER cat /dev/null
    local added
    added=$(diff <(sed -E 's/^[0-9]+ +//; s/\(.*//' "$TMP/native" | sort) \
        <(sed -E 's/^[0-9]+ +//; s/\(.*//' "$TMP/preloaded" | sort) | sed -n 's/^> //p' | sort -u | paste -sd' ')
    echo "calls that the loader adds: $added"
    # what ld.so does for any library of this kind
    [[ -z $(tr ' ' '\n' <<<"$added" | grep -vxE 'openat|open|read|pread64|newfstatat|fstat|mmap|mprotect|munmap|close|access|faccessat|getcwd|') ]]
}

@test "a server without SSHIM_BROKER behaves as before: alone, the second copy gets EADDRINUSE" {
    start_other env -u SSHIM_BROKER LD_PRELOAD="$LIB" "$VICTIM" accept "$ADDR"
    wait_until probe 1
    run env -u SSHIM_BROKER LD_PRELOAD="$LIB" "$VICTIM" accept "$ADDR" 3>&-
    [[ $status == 1 ]]
    [[ $output == *"Address already in use"* ]]
    [[ $output != *sshim* ]]
}

@test "an empty SSHIM_BROKER is none" {
    start_other env SSHIM_BROKER= LD_PRELOAD="$LIB" "$VICTIM" accept "$ADDR"
    wait_until probe 1
}

# bystander_calls FILE [PORT [STRACE OPTION...]]: what that program calls between its marks "begin" and "end", the
# first time of waiting apart.
bystander_calls() {
    local file=$1 port=${2:-0}
    strace -qq -o "$file.raw" "${@:3}" "$BUILD/tests/progs/victim_calls" bystander "$port" 3>&-
    awk -F '"' '/write\(-1, "/ { on = $2 != "asks" && (on || $2 == "begin" || $2 == "wait") && $2 != "end"; print $2; next }
        on { sub(/\(.*/, ""); print }' "$file.raw" >"$file"
    [[ $(grep -c . "$file") -gt 60 ]]
}

@test "a worker pays no system call for descriptors that are not shared listeners" {
    bystander_calls "$TMP/native"
    start_broker -w 0
    bystander_calls "$TMP/managed" 0 -E LD_PRELOAD="$LIB" -E SSHIM_BROKER="$CONTROL"
    diff "$TMP/native" "$TMP/managed"
    bystander_calls "$TMP/listens" "$PORT" -E LD_PRELOAD="$LIB" -E SSHIM_BROKER="$CONTROL"
    diff "$TMP/native" "$TMP/listens"
    stop_broker
}
