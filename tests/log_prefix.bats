# --log-prefix: what workers write comes out line by line with the slot in front, and no worker ever waits.
load helpers

# A server that says on each stream what a file asks for; says SLOT TEXT... appends to it.
speaker() {
    cat >"$TMP/speaker" <<'END'
import os, socket, sys, time
slot, port, folder = sys.argv[1], int(sys.argv[3]), sys.argv[4]
s = socket.socket(); s.bind((sys.argv[2], port)); s.listen()
print("hello", flush=True)
os.set_blocking(s.fileno(), False)
while True:
    try:
        s.accept()[0].close()
    except BlockingIOError:
        pass
    try:
        text = open(folder + "/say." + slot).read()
        os.unlink(folder + "/say." + slot)
        exec(text)
        open(folder + "/said." + slot, "w").close()
    except FileNotFoundError:
        time.sleep(0.02)
END
}

start_speakers() { # OPTIONS
    speaker
    start_broker --log-prefix "$@" -- python3 "$TMP/speaker" '{id}' "$HOST" "$PORT" "$TMP"
}

say() { # SLOT CODE
    rm -f "$TMP/said.$1"
    echo "$2" >"$TMP/new"
    mv "$TMP/new" "$TMP/say.$1"
}

comes() { # FILE LINE
    came() { grep -qxF -- "$2" "$1"; }
    wait_until came "$1" "$2"
}

reader() {
    pgrep -x sshim-lines -P "$BROKER"
}

@test "each line has the slot in front, on its own stream; long ones are split, and parts are written" {
    start_speakers -w 2
    comes "$TMP/out" "[0] hello"
    comes "$TMP/out" "[1] hello"
    say 1 'print("to error", file=sys.stderr, flush=True)'
    comes "$TMP/log" "[1] to error"
    say 0 'print("x" * 5000 + "y" * 10, flush=True)'
    comes "$TMP/out" "[0] $(printf 'x%.0s' {1..4000})"
    comes "$TMP/out" "[0] $(printf 'x%.0s' {1..1000})yyyyyyyyyy"
    say 0 'print("no end", end="", flush=True); os._exit(3)'
    comes "$TMP/out" "[0] no end"
    stop_broker
    [[ -z $(grep -v '^\[[01]\] ' "$TMP/out") ]]
}

@test "pipes and their reader stay over a crash, an upgrade and a restart, and another reader follows one that died" {
    start_speakers -w 1
    comes "$TMP/out" "[0] hello"
    local reader
    reader=$(reader)
    "$SSHIM" upgrade --control "$CONTROL"
    say 0 'print("after an upgrade", flush=True)'
    comes "$TMP/out" "[0] after an upgrade"
    kill -KILL "$reader"
    wait_until is_gone "$reader"
    say 0 'print("after its death", flush=True)'
    comes "$TMP/out" "[0] after its death"
    log_has "the process that reads for --log-prefix has ended"
    kill -KILL "$BROKER"
    say 0 'print("after a crash", flush=True)'
    comes "$TMP/out" "[0] after a crash"
    "$SSHIM" restart --control "$CONTROL"
    [[ $(grep -cxF "[0] hello" "$TMP/out") == 2 ]]
    timeout 60 "$SSHIM" stop --control "$CONTROL"
    wait_for_broker
}

@test "a log that nobody reads costs lines, and no worker waits" {
    mkfifo "$TMP/pipe"
    exec 7<>"$TMP/pipe"
    speaker
    "$SSHIM" run -w 1 --log-prefix --control "$CONTROL" -- python3 "$TMP/speaker" '{id}' "$HOST" "$PORT" "$TMP" </dev/null >&7 2>>"$TMP/log" 3>&- 7>&- &
    BROKER=$!
    timeout 60 "$SSHIM" status --wait ready --control "$CONTROL" >/dev/null
    say 0 'print(("z" * 99 + "\n") * 20000, end="", flush=True)'
    wait_until test -e "$TMP/said.0"
    stop_broker
    exec 7>&-
}
