# What is said where something cannot work: the cause and the remedy, in one line of ours.
load helpers

# says TEXT COMMAND...: sshim run says this, in one of its lines, and ends by itself or is ended.
says() {
    local text=$1
    shift
    # not by `run`, which takes 127 for a mistake of the test
    status=0
    output=$(timeout 20 "$@" 2>&1 3>&- </dev/null) || status=$?
    echo "exit code $status, said: $output"
    [[ $(grep '^sshim: ' <<<"$output") == *"$text"* ]]
}

# The same, and that is all that is said, but for what a sanitizer misses.
says_only() {
    says "$@"
    [[ $(grep -vc '^==' <<<"$output") == 1 ]]
}

serve() {
    echo "$SSHIM" run --control "$CONTROL" -w 1 -- "$VICTIM" accept "$ADDR"
}

DENY=(python3 "$ROOT/tests/progs/deny.py")

@test "--user and --group without root" {
    become_nobody
    says_only "only root can run workers as another user: start sshim as root, or leave --user out" \
        "$SSHIM" run --user root --control "$CONTROL" -w 1 -- "$VICTIM" accept "$ADDR"
    [[ $status == 2 ]]
    says_only "another group: start sshim as root, or leave --group out" \
        "$SSHIM" run --group root --control "$CONTROL" -w 1 -- "$VICTIM" accept "$ADDR"
}

@test "a port below 1024 without root" {
    [[ $(</proc/sys/net/ipv4/ip_unprivileged_port_start) -gt 99 ]] || skip "every user may bind low ports here"
    become_nobody
    says "cannot bind $HOST:99: Permission denied; ports below 1024 are root's: start sshim as root, with --user" \
        "$SSHIM" run --control "$CONTROL" -w 1 -- "$VICTIM" accept "$HOST:99"
    [[ $status == 4 && $(grep -c "cannot bind" <<<"$output") == 1 ]]
}

@test "an address in use is told once, at the first refusal" {
    start_other "$VICTIM" accept "$ADDR"
    wait_until "$PROBE" -n 1 "$ADDR"
    says "Address already in use, by pid $OTHER (victim); end what has it with 'kill $OTHER'" \
        "$SSHIM" run --control "$CONTROL" -w 2 -- "$VICTIM" accept "$ADDR"
    [[ $status == 4 && $(grep -c "cannot bind" <<<"$output") == 1 ]]
    [[ $(grep '^sshim: ' <<<"$output" | head -n 1) == *"cannot bind"* ]]
}

@test "an address that another instance has is told with the command that stops it" {
    export XDG_RUNTIME_DIR=$TMP/x
    mkdir -p "$TMP/x/sshim"
    start_other "$SSHIM" run --name web -w 1 -- "$VICTIM" accept "$ADDR"
    wait_until "$PROBE" -n 1 "$ADDR"
    says "Address already in use, by another instance of sshim: pid " "$SSHIM" run --control "$CONTROL" -w 1 -- "$VICTIM" accept "$ADDR"
    [[ $status == 4 && $output == *"stop it with 'sshim stop --name web', or give the server another address"* && $output != *"'kill "* ]]
    "$SSHIM" stop --name web
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    says "stop it with 'sshim stop --control $CONTROL'" "$SSHIM" run --control "$TMP/x/other.sock" -w 1 -- "$VICTIM" accept "$ADDR"
    [[ $status == 4 ]]
    stop_broker
}

# The command between the quotes is given to a shell as it stands.
stops_by_advice() {
    local command
    command=$(sed -nE "s/.*stop it with 'sshim (stop .*)'( or give|, or give) .*/\1/p" <<<"$output")
    [[ -n $command ]]
    sh -c "$SSHIM $command"
    wait_for_broker
    [[ $STATUS == 0 ]]
}

@test "a control path that a shell would split or expand is quoted in the advice" {
    CONTROL="$TMP/a b\$HOME's \"c\".sock"
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    says "Address already in use, by another instance" "$SSHIM" run --control "$TMP/other.sock" -w 1 -- "$VICTIM" accept "$ADDR"
    stops_by_advice
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    says "another broker already runs at $CONTROL" "$SSHIM" run --control "$CONTROL" -w 1 -- "$VICTIM" accept "$ADDR"
    stops_by_advice
}

@test "options behind the name of a configuration are told where they belong" {
    export XDG_CONFIG_HOME=$TMP/config
    mkdir -p "$TMP/config/sshim"
    echo "workers = 1" >"$TMP/config/sshim/web-$PORT.conf"
    says "to run what $TMP/config/sshim/web-$PORT.conf says, give options before the name: 'sshim run [OPTION...] web-$PORT'" \
        "$SSHIM" run --control "$CONTROL" "web-$PORT" --metrics "$ADDR"
    says "check the command's name and PATH" "$SSHIM" run --control "$CONTROL" "none-$PORT" --metrics "$ADDR"
}

@test "an address of another machine" {
    says "no interface of this machine has it" "$SSHIM" run --control "$CONTROL" -w 1 -- "$VICTIM" accept 192.0.2.1:8080
    [[ $status == 4 ]]
}

@test "a script whose interpreter is not there, or whose lines end in CR LF" {
    printf '#!/no/such/interpreter -x\n' >"$TMP/script"
    chmod 755 "$TMP/script"
    says_only "its interpreter /no/such/interpreter is not there" "$SSHIM" run --control "$CONTROL" -w 1 -- "$TMP/script"
    [[ $status == 127 ]]
    printf '#!/bin/sh\r\necho\r\n' >"$TMP/script"
    says_only "its first line ends in CR LF" "$SSHIM" run --control "$CONTROL" -w 1 -- "$TMP/script"
}

@test "a program whose loader is not there" {
    LC_ALL=C sed 's,/lib64/ld-linux-x86-64\.so\.2,/lib64/ld-linux-x86-65.so.9,' "$VICTIM" >"$TMP/program"
    chmod 755 "$TMP/program"
    cmp -s "$VICTIM" "$TMP/program" && skip "another loader on this machine"
    says_only "its loader /lib64/ld-linux-x86-65.so.9 is not there" "$SSHIM" run --control "$CONTROL" -w 1 -- "$TMP/program"
}

@test "a name that is no command, and a folder" {
    says_only "check the command's name and PATH" "$SSHIM" run --control "$CONTROL" -w 1 -- no-such-command
    says_only "it is a folder" "$SSHIM" run --control "$CONTROL" -w 1 -- "$TMP"
    needs_root
    share_build
    mkdir -m 700 "$TMP/closed"
    chmod 711 "$TMP"
    says_only "let the workers' user search the folders of PATH" env PATH="$TMP/closed:$PATH" "$SSHIM" run --control "$CONTROL" -w 1 --user nobody -- no-such-command
    [[ $status == 126 ]]
}

@test "no /proc" {
    unshare -m true || skip "no mount namespaces here"
    # shellcheck disable=SC2046 # a list
    says_only "cannot use /proc: No such file or directory; mount it" unshare -m sh -c 'umount -l /proc && exec "$@"' sh $(serve)
}

@test "a filter forbids memfd_create, or AF_UNIX sockets" {
    [[ $(uname -m) == x86_64 ]] || skip "numbers of another machine"
    # shellcheck disable=SC2046 # a list
    says_only "cannot make the journal by memfd_create: Operation not permitted" "${DENY[@]}" errno 319 -- $(serve)
    # shellcheck disable=SC2046 # a list
    says_only "systemd: add AF_UNIX to RestrictAddressFamilies" "${DENY[@]}" errno 41=1 -- $(serve)
}

@test "a filter of the server forbids it AF_UNIX sockets, or kills it" {
    [[ $(uname -m) == x86_64 ]] || skip "numbers of another machine"
    says "a filter forbids this process AF_UNIX sockets; let the filter pass them" \
        "$SSHIM" run --control "$CONTROL" --intercept preload -w 1 -- "${DENY[@]}" errno 41=1 -- "$VICTIM" accept "$ADDR"
    says "made a call that a filter (seccomp) forbids: let the filter pass" \
        "$SSHIM" run --control "$CONTROL" --intercept preload -w 1 -- "${DENY[@]}" kill 41=1 -- "$VICTIM" accept "$ADDR"
    [[ $(grep -c "made a call" <<<"$output") == 1 ]]
}

@test "a server in a user namespace that does not have the broker's user" {
    unshare -Ur true || skip "no user namespaces here"
    share_build
    says "a user namespace hides the broker's user; run the server as the broker's user, or map that user into the namespace" \
        "$SSHIM" run --control "$CONTROL" --intercept preload --user nobody -w 1 -- unshare -Ur "$VICTIM" accept "$ADDR"
    [[ $status == 3 ]]
}

@test "a server in a user namespace that has the broker's user is served" {
    unshare -Ur true || skip "no user namespaces here"
    start_broker -w 2 -- unshare -Ur "$VICTIM" accept "$ADDR"
    probe 4
    stop_broker
}

@test "a limit of open files that is too low is told once" {
    printf '#!/bin/sh\nulimit -n 22\nexec "%s" "$@"\n' "$SSHIM" >"$TMP/sshim"
    chmod 755 "$TMP/sshim"
    says "the broker may have no more than 22 files open; raise the limit" \
        "$TMP/sshim" run --control "$CONTROL" -w 4 -- "$VICTIM" accept "$ADDR"
    [[ $(grep -c "no more than 22 files" <<<"$output") == 1 ]]
}

@test "a limit of open files by which no worker can be started ends the start" {
    export ASAN_OPTIONS=detect_leaks=0 # that needs descriptors
    printf '#!/bin/sh\nulimit -n 17\nexec "%s" "$@"\n' "$SSHIM" >"$TMP/sshim"
    chmod 755 "$TMP/sshim"
    says "no worker can be started: the broker may have no more than 17 files open; raise the limit (ulimit -n)" \
        "$TMP/sshim" run --control "$CONTROL" -w 2 -- "$VICTIM" accept "$ADDR"
    [[ $status == 3 ]]
    [[ $(grep -c "cannot start worker 0" <<<"$output") == 3 ]]
}

@test "--start-timeout 0 and 1 do not blame the loader" {
    local seconds
    for seconds in 0 1; do
        start_broker --start-timeout "$seconds" -w 2 -- sh -c "sleep 2; exec '$VICTIM' accept '$ADDR'"
        [[ $(grep -cE "ignored LD_PRELOAD|seccomp" "$TMP/log") == 0 ]]
        log_has "listens on nothing that is shared after $seconds s"
        wait_until "$PROBE" -n 1 "$ADDR"
        stop_broker
        : >"$TMP/log"
    done
}

@test "a wrapper that replaces LD_PRELOAD" {
    says "write LD_PRELOAD=ITS-LIBRARY:\$LD_PRELOAD" \
        "$SSHIM" run --control "$CONTROL" --intercept preload -w 1 -- env LD_PRELOAD=libm.so.6 "$VICTIM" accept "$ADDR"
    [[ $status == 3 ]]
}

@test "a preloaded library that refuses descriptors, as torsocks, for the broker" {
    # shellcheck disable=SC2046 # a list
    ASAN_OPTIONS=verify_asan_link_order=0 says_only "start sshim without it, and the server with it: sshim run -- torsocks SERVER" \
        env LD_PRELOAD="$BUILD/tests/progs/refuses_fds.so" $(serve)
    [[ $status == 2 ]]
}

@test "the remedy: a server behind torsocks is served, though what that preloads accepts past the library" {
    printf '#!/bin/sh\nLD_PRELOAD=%s:$LD_PRELOAD exec "$@"\n' "$BUILD/tests/progs/past_accept.so" >"$TMP/torsocks"
    chmod +x "$TMP/torsocks"
    start_broker -w 2 -- "$TMP/torsocks" "$BUILD/bench/server" epoll-one "$ADDR"
    log_has "by --intercept seccomp: what it preloads calls accept4 past the library"
    local answer client
    for client in 1 2 3 4; do
        exec 7<>"/dev/tcp/$HOST/$PORT"
        printf f >&7
        read -r -t 20 answer <&7
        [[ $answer == f???? ]]
    done
    exec 7>&-
    stop_broker
    run "$SSHIM" run --control "$CONTROL" --intercept preload -- "$TMP/torsocks" "$VICTIM"
    [[ $status == 126 && $output == *"accept4 past the library; serve it by --intercept seccomp" ]]
}

@test "SSHIM_LIB of another library" {
    local library
    library=$(ldd "$VICTIM" | grep -o '/[^ ]*libc\.so[^ ]*')
    # shellcheck disable=SC2046 # a list
    says_only "it is not the library of sshim; give the path of libsshim.so, or unset SSHIM_LIB" env SSHIM_LIB="$library" $(serve)
    [[ $status == 2 ]]
}

@test "sshim run in a worker of sshim run" {
    # shellcheck disable=SC2046 # a list
    ASAN_OPTIONS=verify_asan_link_order=0 says "this 'sshim run' is a worker of the broker at $TMP/outer.sock" \
        "$SSHIM" run --control "$TMP/outer.sock" -w 1 -- $(serve)
    [[ $status == 3 ]]
}

@test "while it starts it says what it waits for, and at the end that it stops" {
    launch_broker -w 2 -- sh -c "until [ -e '$TMP/go' ]; do sleep 0.1; done; exec '$VICTIM' accept '$ADDR'"
    wait_until log_has "does not listen yet; waiting for up to 60 s (--start-timeout)"
    [[ $(grep -c "still starting: worker [01] (pid [0-9]*) does not listen yet" "$TMP/log") == 1 ]]
    touch "$TMP/go"
    wait_until log_has "2 of 2 workers are ready on $ADDR; the control socket is $CONTROL"
    kill -TERM "$BROKER"
    wait_for_broker
    log_has "stopping: SIGTERM came from pid $$"
}

@test "one worker is not many" {
    start_broker -w 1 --settle 0 -- "$VICTIM" accept "$ADDR"
    "$SSHIM" restart --control "$CONTROL"
    log_has "replacing 1 worker, 1 at a time"
    kill -KILL "$BROKER"
    wait_for_broker
    wait_until log_has "going on with 1 worker after a crash"
    "$SSHIM" stop --control "$CONTROL"
    ! grep -P '(?<!of )\b1 (workers|connections|servers|processes)\b' "$TMP/log" || false
}
