# sshim events: what has happened, for programs; and those who follow it.
load helpers

events() { # OPTIONS
    timeout 60 "$SSHIM" events --control "$CONTROL" "$@"
}

# The names of events, one a line.
names() {
    jq -r .event "$@"
}

follow() { # FILE
    "$SSHIM" events -f --control "$CONTROL" 3>&- 8>&- </dev/null >"$1" 2>&1 &
    FOLLOWER=$!
    STARTED+=("$FOLLOWER")
}

has_event() { # FILE JQ-CONDITION
    jq -e -s "any($2)" "$1" >/dev/null
}

resumed_twice() {
    [[ $(events | names | grep -c resume) == 2 ]]
}

numbers_are_whole() { # FILE
    jq -s -e '(map(.seq) | . == [range(1; length + 1)]) and all(.schema_version == 1 and .instance == "victim")' "$1" >/dev/null
}

@test "events are kept, numbered, over an upgrade and a crash of the broker" {
    start_broker -w 2 -q -- "$VICTIM" accept "$ADDR"
    events >"$TMP/first"
    numbers_are_whole "$TMP/first"
    [[ $(names "$TMP/first" | sort | uniq -c | xargs) == "1 ready 1 start 2 worker_ready 2 worker_start" ]]
    "$SSHIM" upgrade --control "$CONTROL"
    kill -KILL "$BROKER"
    wait_until resumed_twice
    events >"$TMP/second"
    numbers_are_whole "$TMP/second"
    head -n "$(wc -l <"$TMP/first")" "$TMP/second" | diff - "$TMP/first"
    [[ $(names "$TMP/second" | grep -c resume) == 2 ]]
    [[ $(events --after "$(wc -l <"$TMP/second")") == "" ]]
    [[ $(events --after 2 | head -n 1 | jq .seq) == 3 ]]
    [[ $(events --after 0) == "$(events)" && $(events --after 0 | head -n 1 | jq .seq) == 1 ]]
    timeout 60 "$SSHIM" stop --control "$CONTROL"
    wait_for_broker
}

@test "-f follows, over an upgrade and a crash, until the instance stops" {
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    follow "$TMP/followed"
    wait_until has_event "$TMP/followed" '.event == "ready"'
    kill -KILL "$(worker_pid 0)"
    wait_until has_event "$TMP/followed" '.event == "worker_exit"'
    "$SSHIM" upgrade --control "$CONTROL"
    kill -KILL "$BROKER"
    wait_until resumed_twice
    "$SSHIM" restart --control "$CONTROL"
    wait_until has_event "$TMP/followed" '.event == "restart_done"'
    timeout 60 "$SSHIM" stop --control "$CONTROL"
    wait_until is_gone "$FOLLOWER"
    wait "$FOLLOWER"
    numbers_are_whole "$TMP/followed"
    has_event "$TMP/followed" '.event == "stop"'
    wait_for_broker
}

@test "who follows and does not read loses lines and is told how many; the broker waits for nobody" {
    start_broker -w 1 -q -- "$VICTIM" accept "$ADDR"
    timeout 60 python3 - "$CONTROL" <<'END'
import json, socket, sys

def connect(line):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(30)
    s.connect(sys.argv[1])
    s.sendall(line + b"\n")
    return s

slow = connect(b"events -f")
slow.recv(1, socket.MSG_PEEK)
for _ in range(1000):
    assert connect(b"resume 0").makefile().read() == "slot 0 is in service already\n"
seen = lost = 0
for line in slow.makefile():
    event = json.loads(line)
    if event["event"] == "events_lost":
        lost += event["lost"]
        continue
    seen += 1
    assert event["seq"] == seen + lost, (event, seen, lost)
    if seen + lost >= 1000:
        break
print("seen", seen, "lost", lost)
assert lost > 0
END
    stop_broker
}

@test "no more than 16 processes follow, and a reader of --control-ro may" {
    local i
    start_broker -w 1 --control-ro "$TMP/ro" -- "$VICTIM" accept "$ADDR"
    for ((i = 0; i < 16; i++)); do follow "$TMP/followed.$i"; done
    for ((i = 0; i < 16; i++)); do wait_until test -s "$TMP/followed.$i"; done
    local status=0
    events -f >"$TMP/seen" 2>"$TMP/err" 3>&- || status=$?
    [[ $status == 1 && ! -s $TMP/seen && $(<"$TMP/err") == "sshim: 16 processes follow the events already" ]]
    kill "$FOLLOWER"
    wait "$FOLLOWER" || true
    follows_ro() { echo 'events -f' | timeout 5 socat -t 1 - "UNIX-CONNECT:$TMP/ro" | grep '"event":"ready"'; }
    wait_until follows_ro
    stop_broker
}
