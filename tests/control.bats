# The control socket: where it may be, who may use it, and what it survives.
load helpers

# will_not_start CODE TEXT OPTIONS...
will_not_start() {
    local code=$1 text=$2
    shift 2
    run timeout 30 "$SSHIM" run "$@" -w 1 -- "$VICTIM" accept "$ADDR" 3>&- </dev/null
    echo "exit code $status, said: $output"
    [[ $status == "$code" ]]
    [[ ${#lines[@]} == 1 ]]
    [[ $output == *"$text"* ]]
}

@test "a socket left by a killed broker is cleaned up" {
    start_broker -w 0
    wait_until log_has "ready for servers that join by SSHIM_BROKER=$CONTROL"
    kill_broker_and_keeper
    [[ -S $CONTROL ]]
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    probe 2
    stop_broker
    [[ ! -e $CONTROL ]]
}

@test "a path in use by a living broker is exit 4 and that broker goes on" {
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    will_not_start 4 "another broker already runs at $CONTROL" --control "$CONTROL"
    probe 3
    # also when somebody has removed the file
    mv "$CONTROL" "$TMP/moved.sock"
    will_not_start 4 "another broker already runs at $CONTROL" --control "$CONTROL"
    mv "$TMP/moved.sock" "$CONTROL"
    probe 3
    stop_broker
}

@test "a file of another kind is not removed" {
    echo precious >"$CONTROL"
    will_not_start 4 "$CONTROL as control socket: it is a file of another kind; give another --control" --control "$CONTROL"
    [[ $(cat "$CONTROL") == precious ]]
    rm "$CONTROL"
    mkdir "$CONTROL"
    will_not_start 4 "$CONTROL" --control "$CONTROL"
    [[ -d $CONTROL ]]
}

@test "a socket of another program is not removed" {
    start_other python3 -c 'import socket,sys,time
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); time.sleep(100)' "$CONTROL"
    wait_until test -S "$CONTROL"
    will_not_start 4 "$CONTROL" --control "$CONTROL"
    [[ -S $CONTROL ]]
    rm "$CONTROL"
}

@test "a path that is too long is exit 2" {
    will_not_start 2 "longer than" --control "$TMP/$(printf 'x%.0s' {1..100})"
    run "$SSHIM" status --control "$TMP/$(printf 'x%.0s' {1..100})" --wait ready --timeout 1
    [[ $status == 2 && ${#lines[@]} == 1 && $output == *"longer than"* ]]
    XDG_RUNTIME_DIR=$TMP/$(printf 'x%.0s' {1..100}) will_not_start 2 "longer than" --name web
}

@test "the longest path that is allowed works" {
    local max=102 room
    room=$((max - ${#TMP} - 1))
    CONTROL=$TMP/$(printf "%0${room}d" 0)
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    probe 3
    stop_broker
    will_not_start 2 "longer than" --control "${CONTROL}0"
}

@test "a folder that does not exist is exit 4" {
    will_not_start 4 "$TMP/no/such/x.sock" --control "$TMP/no/such/x.sock"
    XDG_RUNTIME_DIR=$TMP/none will_not_start 4 "$TMP/none/sshim" --name web
}

@test "a folder without rights is exit 4" {
    needs_root
    mkdir -m 755 "$TMP/closed"
    share_build
    run timeout 30 "${NOBODY[@]}" "$SSHIM" run --control "$TMP/closed/x.sock" -w 1 -- "$VICTIM" accept "$ADDR" 3>&- </dev/null
    echo "$output"
    [[ $status == 4 ]]
    [[ ${#lines[@]} == 1 ]]
    [[ $output == *"$TMP/closed/x.sock"*"Permission denied"* ]]
}

@test "a relative path is one of the working folder" {
    cd "$TMP"
    local control=$CONTROL
    CONTROL=rel.sock start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    [[ -S $TMP/rel.sock ]]
    CONTROL=rel.sock stop_broker
    CONTROL=$control
}

@test "only its user and root may give commands" {
    needs_root
    share_build
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    [[ $(stat -c %a "$CONTROL") == 600 ]]
    run timeout 30 "${NOBODY[@]}" "$SSHIM" stop --control "$CONTROL"
    [[ $status != 0 ]]
    [[ $output == *"Permission denied"* ]]
    chmod 666 "$CONTROL"
    run timeout 30 "${NOBODY[@]}" "$SSHIM" status --control "$CONTROL"
    echo "$output"
    [[ $status != 0 ]]
    [[ $output != *LISTENER* ]]
    status_is '.state == "ready"'
    stop_broker
}

@test "a broker of another user is run and stopped by that user and by root" {
    become_nobody
    start_broker -w 2 -- "$VICTIM" accept "$ADDR"
    [[ $(stat -c %u "$CONTROL") == 65534 ]]
    probe 10
    wait_until workers_ready 2
    SSHIM=$TMP/build/sshim # as root
    wait_until workers_ready 2
    stop_broker
    [[ $STATUS == 0 ]]
}

# --- where it is found

# fd 8 says that it is up.
start_named() { # OPTIONS of run -- COMMAND: without --control
    mkfifo "$TMP/ready"
    exec 8<>"$TMP/ready"
    "$SSHIM" run --ready-fd 9 "$@" 9>&8 8>&- 3>&- </dev/null >>"$TMP/out" 2>>"$TMP/log" &
    BROKER=$!
    wait_until broker_spoke_or_ended
    ! is_gone "$BROKER"
}

end_named() {
    wait_for_broker
    [[ $STATUS == 0 ]]
}

@test "a broker is found, asked and stopped when its control socket's folder was removed" {
    mkdir "$TMP/xdg"
    export XDG_RUNTIME_DIR=$TMP/xdg
    start_named --name "shop-$PORT" -w 1 -- "$VICTIM" accept "$ADDR"
    rm -r "$TMP/xdg/sshim"
    [[ $("$SSHIM" status --json | jq -r .name) == "shop-$PORT" ]]
    [[ $("$SSHIM" status --name "shop-$PORT" --json | jq -r .pid) == "$BROKER" ]]
    [[ $("$SSHIM" status --control "$TMP/xdg/sshim/shop-$PORT.sock" --json | jq -r .pid) == "$BROKER" ]]
    "$SSHIM" restart
    "$SSHIM" stop
    end_named
}

@test "a broker is found by its name when its control socket is elsewhere" {
    mkdir "$TMP/xdg"
    export XDG_RUNTIME_DIR=$TMP/xdg
    start_broker --name "shop-$PORT" -w 1 -- "$VICTIM" accept "$ADDR"
    [[ $("$SSHIM" status --name "shop-$PORT" --json | jq -r .pid) == "$BROKER" ]]
    "$SSHIM" stop --name "shop-$PORT"
    end_named
}

@test "the name is the script's, not the interpreter's" {
    mkdir "$TMP/xdg"
    export XDG_RUNTIME_DIR=$TMP/xdg
    start_named -w 1 -- python3 -u "$ROOT/tests/progs/late.py" "$ADDR"
    [[ -S $TMP/xdg/sshim/late.py.sock ]]
    "$SSHIM" stop --name late.py
    end_named
}

@test "a user without XDG_RUNTIME_DIR has a private folder, and root finds it under sudo" {
    become_nobody
    local folder=/tmp/sshim-65534
    [[ -d /run/user/65534 ]] && folder=/run/user/65534/sshim
    start_named --name "shop-$PORT" -w 1 -- "$VICTIM" accept "$ADDR"
    [[ -S $folder/shop-$PORT.sock && $(stat -c %a:%u "$folder") == 700:65534 ]]
    [[ $("$SSHIM" status --name "shop-$PORT" --json | jq -r .name) == "shop-$PORT" ]]
    # as root, with and without the user's environment
    [[ $(SUDO_UID=65534 "$TMP/build/sshim" status --name "shop-$PORT" --json | jq -r .name) == "shop-$PORT" ]]
    SUDO_UID=65534 XDG_RUNTIME_DIR=$folder "$TMP/build/sshim" stop --name "shop-$PORT"
    end_named
    [[ $folder != /tmp/* ]] || rmdir "$folder" || true # if it is nobody else's
}

@test "root does not put its control socket into another user's XDG_RUNTIME_DIR" {
    needs_root
    mkdir "$TMP/xdg"
    chown 65534 "$TMP/xdg"
    export XDG_RUNTIME_DIR=$TMP/xdg
    start_named --name "shop-$PORT" -w 1 -- "$VICTIM" accept "$ADDR"
    [[ ! -e $TMP/xdg/sshim ]]
    [[ -S /run/sshim/shop-$PORT.sock ]]
    "$SSHIM" stop --name "shop-$PORT"
    end_named
}
