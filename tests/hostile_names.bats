# Nobody who takes a name first, or listens at it, keeps a broker from starting or is believed to be one.
load helpers

# listen_as UID NAME: a process of that user that listens there and answers nothing. A leading @: an abstract name.
listen_as() {
    start_other python3 -c 'import os, socket, sys, time
os.setgroups([]); os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[1]))
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.bind("\0" + sys.argv[2][1:] if sys.argv[2][0] == "@" else sys.argv[2])
s.listen()
print("squats", flush=True)
time.sleep(1000)' "$1" "$2"
    wait_until squatters_listen ${#STARTED[@]}
}

squatters_listen() { # COUNT
    [[ $(grep -c squats "$TMP/out.other") == "$1" ]]
}

needs_root() {
    [[ $(id -u) == 0 ]] || skip "only root can become another user"
}

@test "the workers' socket has another name each time, so that nobody can take it first" {
    local first
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    first=$(rendezvous)
    [[ $first =~ ^sshim:[0-9a-f]{32}:$CONTROL$ ]]
    stop_broker
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    [[ $(rendezvous) =~ ^sshim:[0-9a-f]{32}:$CONTROL$ && $(rendezvous) != "$first" ]]
    stop_broker
}

@test "a stranger at a name that looks like a broker's of this path keeps no broker from starting" {
    needs_root
    listen_as 65534 "@sshim:$CONTROL"
    listen_as 65534 "@sshim:00112233445566778899aabbccddeeff:$CONTROL"
    start_broker -w 2 -- "$VICTIM" accept "$ADDR"
    all_answer 2
    stop_broker
    [[ $STATUS == 0 ]]
    kill -KILL "${STARTED[@]}"
}

@test "a broker whose socket file was removed is found all the same" {
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    rm "$CONTROL"
    run timeout 30 "$SSHIM" run --control "$CONTROL" -w 1 -- "$VICTIM" accept "$ADDR" 3>&- </dev/null
    [[ $status == 4 && $output == *"another broker already runs at $CONTROL"* ]]
    probe 2
}

@test "what another user has put at the control path is neither believed nor removed" {
    needs_root
    mkdir -m 1777 "$TMP/open"
    CONTROL=$TMP/open/control.sock
    listen_as 65534 "$CONTROL"
    local name
    for name in status stop restart; do
        run timeout 30 "$SSHIM" "$name" --control "$CONTROL"
        echo "$name: $status: $output"
        ((status == 1 || status == 3))
        [[ $output == *"it belongs to another user"* ]]
    done
    run timeout 30 "$SSHIM" run --control "$CONTROL" -w 1 -- "$VICTIM" accept "$ADDR" 3>&- </dev/null
    [[ $status == 4 && $output == *"a process of another user listens there"* ]]
    [[ -S $CONTROL ]]
    rm "$CONTROL"
}

@test "root asks the broker of a user in that user's folder" {
    needs_root
    local real=$SSHIM
    become_nobody
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    timeout 30 "$real" status --control "$CONTROL"
    timeout 30 "$real" stop --control "$CONTROL"
    wait_for_broker
    [[ $STATUS == 0 ]]
}

@test "a run folder that is a link, another user's or open to others is not used" {
    needs_root
    local fault
    for fault in "it is no folder" "it belongs to another user" "others may write to it"; do
        export XDG_RUNTIME_DIR=$TMP/${fault// /-}
        mkdir "$XDG_RUNTIME_DIR"
        case $fault in
        *folder) mkdir "$TMP/elsewhere" && ln -s "$TMP/elsewhere" "$XDG_RUNTIME_DIR/sshim" ;;
        *user) mkdir "$XDG_RUNTIME_DIR/sshim" && chown 65534 "$XDG_RUNTIME_DIR/sshim" ;;
        *) mkdir -m 770 "$XDG_RUNTIME_DIR/sshim" ;;
        esac
        run timeout 30 "$SSHIM" run --name web -w 1 -- "$VICTIM" accept "$ADDR" 3>&- </dev/null
        echo "$status: $output"
        [[ $status == 4 && $output == *"cannot use the folder $XDG_RUNTIME_DIR/sshim: $fault"* ]]
    done
}

@test "of two brokers that start at once at a left-over socket file one runs" {
    local round first second gone
    for round in {1..10}; do
        python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).bind(sys.argv[1])' "$CONTROL"
        for first in 1 2; do
            "$SSHIM" run --control "$CONTROL" -w 0 3>&- </dev/null >"$TMP/log.$first" 2>&1 &
            STARTED+=($!)
        done
        second=${STARTED[-1]} first=${STARTED[-2]}
        wait_until eval "is_gone $first || is_gone $second"
        gone=$(is_gone "$first" && echo 1 || echo 2)
        grep -q "another broker already runs" "$TMP/log.$gone"
        wait_until grep -q "ready for servers" "$TMP/log.$((3 - gone))"
        timeout 30 "$SSHIM" stop --control "$CONTROL"
        wait "$first" "$second" || true
        [[ ! -e $CONTROL ]]
    done
    STARTED=()
}

@test "a command that waits for its end gives up when the broker falls silent meanwhile" {
    start_broker -w 1 --stop-timeout 600 -- sh -c "trap '' TERM; $VICTIM accept $ADDR"
    "$SSHIM" stop --control "$CONTROL" >"$TMP/out.stop" 2>&1 3>&- 8>&- &
    local asks=$!
    wait_until status_is '.state == "stopping"'
    kill -STOP "$BROKER"
    wait_until is_gone "$asks"
    grep -q "did not answer 'stop' within 10 s" "$TMP/out.stop"
    kill -CONT "$BROKER"
    kill -TERM "$BROKER" # the second one ends the wait
    wait_for_broker
}

@test "a program that gained rights by its execution does not believe its starter's SSHIM_ variables" {
    needs_root
    share_build
    cp "$BUILD/tests/secure" "$TMP/build"
    local starter=(env SSHIM_BROKER="$TMP/nowhere.sock" "$TMP/build/secure" "$LIB" "$PORT")
    run timeout 30 "${starter[@]}"
    [[ $output == *"secure=0 bind=-1"* ]]
    chmod 4755 "$TMP/build/secure"
    run timeout 30 "${NOBODY[@]}" "${starter[@]}"
    echo "$output"
    [[ $output == "secure=1 bind=0" ]]
}

# forge KIND: sshim run with a forged SSHIM_RESUME, whose descriptors are what KIND says.
forge() {
    timeout 30 python3 - "$1" "$TMP/forged" "$SSHIM" run --control "$CONTROL" -w 1 -- "$VICTIM" accept "$ADDR" <<'END'
import os, sys
kind, path, command = sys.argv[1], sys.argv[2], sys.argv[3:]
size = 12288 + 2 * (16 << 20)
if kind == "file":
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
else:
    fd = os.memfd_create("sshim-journal", 0)
os.ftruncate(fd, size)
os.pwrite(fd, (0x344A5353).to_bytes(4, "little"), 0)
if kind == "noise":
    os.pwrite(fd, b"\xff" * 12000, 4)
os.set_inheritable(fd, True)
os.environ["SSHIM_RESUME"] = {"words": "x y z", "none": "77 crash 0 1024"}.get(kind, f"{fd} crash 0 1024 0 1 2 -5 {fd} 999999999999")
os.execv(command[0], command)
END
}

@test "a forged SSHIM_RESUME is refused with a line, whatever it names" {
    local kind
    for kind in words none file empty noise; do
        run forge "$kind" 3>&-
        echo "$kind: $status: $output"
        ((status > 0 && status < 124))
        [[ $output == *"cannot go on from"* ]]
        [[ ! -e $CONTROL ]]
    done
}

@test "a broker that gained rights by its execution does not believe SSHIM_RESUME" {
    needs_root
    share_build
    chmod 4755 "$TMP/build/sshim"
    run env SSHIM_RESUME="0 crash 0 1024" "${NOBODY[@]}" timeout 30 "$SSHIM" run --control "$TMP/none/x.sock" -w 0 3>&- </dev/null
    echo "$status: $output"
    [[ $output == *"cannot open the socket of the workers $TMP/none/x.sock.link: "* ]]
}
