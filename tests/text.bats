# The control socket takes a line of text and answers with text, for whoever can open a stream; one may be for looking only.
load helpers

# say LINE [PATH]: what the socket answers, as a person with socat sees it.
say() {
    printf '%s\n' "$1" | timeout 60 socat -t 60 - "UNIX-CONNECT:${2:-$CONTROL}" 3>&-
}

as_nobody() {
    "${NOBODY[@]}" "$@"
}

@test "a line in, text out: status, and what sshim status prints is the same" {
    start_broker -w 2 --name web -- "$VICTIM" accept "$ADDR"
    say status >"$TMP/said"
    head -n 1 "$TMP/said" | grep -qx "web (pid $BROKER) is ready: 2 of 2 workers are ready"
    grep -q "^$ADDR " "$TMP/said"
    [[ $(say "status --json" | jq -r '.schema_version, .name, .ready' | paste -sd' ') == "1 web 2" ]]
    [[ $(say list | awk '{ print $1 }') == web ]]
    [[ $(say "list --json" | jq -r .control) == "$CONTROL" ]]
    stop_broker
    [[ ! -e $CONTROL && ! -e $CONTROL.link ]]
}

@test "commands that take time are answered when they are done, though the peer has ended its side" {
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    [[ $(say "scale +1") == "2 of 2 workers are ready, 1 more" ]]
    [[ $(say "drain 1") == "slot 1 is drained" ]]
    [[ $(say "resume 1") == "slot 1 is in service" ]]
    [[ $(say "restart") == "2 of 2 workers were replaced" ]]
    local before
    before=$(cut -d' ' -f14,15 "/proc/$BROKER/stat")
    [[ $(say "upgrade") == "upgraded to $SSHIM" ]]
    status_is '.ready == 2'
    say stop >"$TMP/said"
    wait_for_broker
    [[ $STATUS == 0 && ! -s $TMP/said ]]
}

@test "with exit-code in front one more line tells it" {
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    [[ $(say "exit-code resume 0") == $'slot 0 is in service already\nexit 0' ]]
    [[ $(say "exit-code drain 7" | tail -n 1) == "exit 1" ]]
    [[ $(say "exit-code scale x" | tail -n 1) == "exit 2" ]]
    [[ $(say "exit-code status --json" | head -n 1 | jq .ready) == 1 ]]
    stop_broker
}

@test "what is no command is answered with one line that says so" {
    local option
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    [[ $(say frobnicate) == "unknown command 'frobnicate'"* ]]
    [[ $(say "status --frobnicate") == "unknown option --frobnicate"* ]]
    [[ $(say "   ") == "there is no command in that line"* ]]
    [[ $(say "$(printf 'status\001')") == "a command is a line of printable characters" ]]
    [[ $(say "$(printf 'x%.0s' {1..300})") == "a command has at most 254 bytes" ]]
    [[ $(say "status$(printf '\r')" | head -n 1) == *"is ready"* ]]
    [[ $(printf 'resume 0' | socat -t 60 - "UNIX-CONNECT:$CONTROL") == *"in service already" ]]
    socat - "UNIX-CONNECT:$CONTROL" </dev/null
    for option in --wait=ready "--wait ready" "--wait stopped" "--wait ready --timeout 5"; do
        [[ $(say "exit-code status $option") == $'a line is answered at once: \'sshim status --wait\' waits\nexit 2' ]]
    done
    [[ $(say "run -w 4 -- true") == "unknown command 'run'"* ]]
    status_is '.ready == 1'
    stop_broker
}

@test "a line may come in pieces, and a peer that waits costs nothing" {
    start_broker -w 1 --stop-timeout 600 -- "$VICTIM" accept --delay 60000 "$ADDR"
    exec 7<>"/dev/tcp/$HOST/$PORT"
    wait_until status_is '.workers[0].active == 1'
    python3 - "$CONTROL" <<'PY' 3>&-
import socket, sys
peer = socket.socket(socket.AF_UNIX)
peer.settimeout(60)
peer.connect(sys.argv[1])
for letter in b"list --json":
    peer.send(bytes([letter]))
peer.send(b"\n")
assert peer.recv(4096).startswith(b'{"name":"victim","schema_version":1')
assert peer.recv(4096) == b""
PY
    say "drain 0" >"$TMP/said" &
    local asks=$! before after
    wait_until status_is '.workers[0].state == "draining"'
    before=$(awk '{ print $14 + $15 }' "/proc/$BROKER/stat")
    sleep 1
    after=$(awk '{ print $14 + $15 }' "/proc/$BROKER/stat")
    ((after - before < 30))
    kill "$asks"
    wait "$asks" || true
    exec 7<&-
    "$SSHIM" stop --now --control "$CONTROL"
    wait_for_broker
}

@test "both sockets outlive a crash of the broker, an upgrade and a take-over" {
    start_broker -w 1 --control-ro "$TMP/look.sock" -- "$VICTIM" accept "$ADDR"
    "$SSHIM" upgrade --control "$CONTROL"
    [[ $(say "list" | awk '{ print $3 }') == ready && $(say list "$TMP/look.sock" | awk '{ print $3 }') == ready ]]
    kill -KILL "$BROKER"
    wait_until log_has "after a crash of the broker"
    [[ $(say "list" | awk '{ print $3 }') == ready && $(say list "$TMP/look.sock" | awk '{ print $3 }') == ready ]]
    wait_for_broker
    start_broker -w 1 --control-ro "$TMP/look.sock" -- "$VICTIM" accept "$ADDR"
    [[ $(say "list" | awk '{ print $3 }') == ready && $(say list "$TMP/look.sock" | awk '{ print $3 }') == ready ]]
    stop_broker
    [[ ! -e $TMP/look.sock ]]
}

@test "--control-ro lets a group look, and refuses and logs what changes something" {
    [[ $(id -u) == 0 ]] || skip "only root can become another user"
    start_broker -w 1 --control-ro "$TMP/look.sock,666,nogroup" -- "$VICTIM" accept "$ADDR"
    [[ $(stat -c '%a %G' "$TMP/look.sock") == "666 nogroup" ]]
    printf 'list\n' | as_nobody socat -t 60 - "UNIX-CONNECT:$TMP/look.sock" >"$TMP/said" 3>&-
    [[ $(awk '{ print $3 }' "$TMP/said") == ready ]]
    printf 'exit-code stop\n' | as_nobody socat -t 60 - "UNIX-CONNECT:$TMP/look.sock" >"$TMP/said" 3>&-
    [[ $(head -n 1 "$TMP/said") == "refused: this socket is read-only"* && $(tail -n 1 "$TMP/said") == "exit 1" ]]
    grep -qE "^sshim: refused command 'stop' from pid [0-9]+, uid 65534\$" "$TMP/log"
    # root, too
    [[ $(say "scale 3" "$TMP/look.sock") == refused* ]]
    status_is '.wanted == 1'
    stop_broker
    start_broker -w 1 --control-ro "$TMP/look.sock" -- "$VICTIM" accept "$ADDR"
    [[ $(stat -c %a "$TMP/look.sock") == 660 ]]
    stop_broker
}

@test "another user at a control socket that was opened to all is refused, and logged" {
    [[ $(id -u) == 0 ]] || skip "only root can become another user"
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    chmod 666 "$CONTROL"
    printf 'status\n' | as_nobody socat -t 60 - "UNIX-CONNECT:$CONTROL" >"$TMP/said" 3>&-
    [[ $(cat "$TMP/said") == "refused: only the broker's user and root may give commands here" ]]
    grep -qE "^sshim: refused command 'status' from pid [0-9]+, uid 65534\$" "$TMP/log"
    stop_broker
}

@test "a --control-ro that cannot be is told, and a left-over socket makes way" {
    local bad
    for bad in '' ',660' "$TMP/x,9" "$TMP/x,1000" "$TMP/x,660,a,b" "$TMP/x,"; do
        run timeout 30 "$SSHIM" run --control "$CONTROL" --control-ro "$bad" -w 1 -- "$VICTIM" accept "$ADDR" 3>&-
        echo "$bad: $status $output"
        [[ $status == 2 && $output == *"for --control-ro"* ]]
    done
    run timeout 30 "$SSHIM" run --control "$CONTROL" --control-ro "$TMP/x,660,no-such-group" -w 1 -- "$VICTIM" accept "$ADDR" 3>&-
    [[ $status == 2 && $output == *"there is no group 'no-such-group'"* ]]
    echo precious >"$TMP/file"
    run timeout 30 "$SSHIM" run --control "$CONTROL" --control-ro "$TMP/file" -w 1 -- "$VICTIM" accept "$ADDR" 3>&-
    [[ $status == 4 && $(cat "$TMP/file") == precious ]]
    [[ ! -e $CONTROL && ! -e $CONTROL.link ]]
    python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$TMP/look.sock"
    start_broker -w 1 --control-ro "$TMP/look.sock" -- "$VICTIM" accept "$ADDR"
    [[ $(say list "$TMP/look.sock" | awk '{ print $3 }') == ready ]]
    stop_broker
}
