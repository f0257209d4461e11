# Programs that the library cannot be loaded into are told by `sshim check`, refused by `sshim run --intercept preload`, and
# found soon after the start where only the running process shows it. intercept.bats has how they are served.
load helpers

compile() { # FILE COMPILER...: tests/progs/static.c, a server that only listens
    local file=$1
    shift
    "$@" -o "$file" "$ROOT/tests/progs/static.c"
}

# check says on one line that has TEXT that it goes the other way; run refuses to preload with 126 and starts nothing.
refuses() { # TEXT COMMAND...
    local text=$1
    shift
    run "$SSHIM" check -- "$@"
    echo "$output"
    [[ $status == 0 ]]
    [[ $output == "'$1'"[:\ ]* && $output != "'$1' ($1)"* ]]
    [[ ${#lines[@]} == 1 && $output == *"$text"*"; sshim serves it by --intercept seccomp, without "* ]]
    local status=0
    output=$(timeout 30 "$SSHIM" run --intercept preload --control "$CONTROL" -w 2 -- "$@" 2>&1 3>&- </dev/null) || status=$?
    echo "$output"
    [[ $status == 126 ]]
    [[ $(wc -l <<<"$output") == 1 && $output == "sshim: cannot preload "*"$text"*"; "* ]]
    [[ ! -e $CONTROL ]]
}

loads() { # PROGRAM COMMAND...
    local program=$1
    shift
    run "$SSHIM" check -- "$@"
    echo "$output"
    [[ $status == 0 ]]
    [[ $output == "'$1' can be preloaded: the program is $program" ]]
}

# Ends with 3 long before --start-timeout, and one line has TEXT.
is_found_soon() { # TEXT COMMAND...
    local text=$1
    shift
    launch_broker --intercept preload --start-timeout 600 "$@"
    wait_for_broker
    [[ $STATUS == 3 ]]
    [[ $(grep -c "$text" "$TMP/log") == 1 ]]
    assert_nothing_left
}

script() { # FILE LINE...
    local file=$1
    shift
    printf '%s\n' "$@" >"$file"
    chmod 755 "$file"
}

@test "an ordinary program can be preloaded" {
    loads "$VICTIM" "$VICTIM" accept "$ADDR"
    loads "$(type -P cat)" cat
}

@test "what check approves of is found as execvp finds it" {
    cp "$VICTIM" "$TMP/server"
    PATH=$TMP/none::$TMP loads "$TMP/server" server
    cd "$TMP"
    PATH=/nonexistent: loads ./server server
    loads ./server ./server
    mkdir first
    touch first/server
    PATH=$TMP/first:$TMP loads "$TMP/server" server
}

@test "a script is judged by its interpreter, and that by its own" {
    compile "$TMP/static" gcc -static
    script "$TMP/plain" "echo no interpreter line"
    loads /bin/sh "$TMP/plain"
    script "$TMP/one" "#!  $VICTIM -x" ""
    loads "$VICTIM" "$TMP/one"
    script "$TMP/two" "#!$TMP/one"
    loads "$VICTIM" "$TMP/two"
    script "$TMP/env" "#!/usr/bin/env $VICTIM"
    loads "$VICTIM" "$TMP/env"
    script "$TMP/bad" "#!$TMP/static"
    refuses "($TMP/static): it is linked statically" "$TMP/bad"
    refuses "($TMP/static): it is linked statically" env NAME=value "$TMP/static"
}

@test "check says what keeps it from checking, and exits 1" {
    run "$SSHIM" check -- "$TMP/nothing"
    [[ $status == 1 && $output == *"cannot check '$TMP/nothing': No such file"* ]]
    echo data >"$TMP/data"
    run "$SSHIM" check "$TMP/data"
    [[ $status == 1 && $output == *"Permission denied"* ]]
    script "$TMP/loop" "#!$TMP/loop"
    run "$SSHIM" check "$TMP/loop"
    [[ $status == 1 && $output == *"cannot check"* ]]
    script "$TMP/gone" "#!$TMP/nothing"
    run "$SSHIM" check "$TMP/gone"
    [[ $status == 1 && $output == *"cannot check"* ]]
}

@test "check without a command, and with an unknown option, is exit 2" {
    run "$SSHIM" check
    [[ $status == 2 && $output == *"no command to check"* ]]
    run "$SSHIM" check --frobnicate
    [[ $status == 2 && $output == *"--frobnicate"* ]]
}

@test "a static program, and a static position-independent one, are refused" {
    compile "$TMP/static" gcc -static
    refuses "linked statically" "$TMP/static" "$PORT"
    compile "$TMP/static-pie" gcc -static-pie
    refuses "linked statically" "$TMP/static-pie" "$PORT"
}

@test "the loader itself, run by name, is none of the static programs" {
    local loader
    loader=$(ldd "$VICTIM" | grep -o '/[^ ]*ld-linux[^ ]*')
    loads "$loader" "$loader" "$VICTIM"
    start_broker -w 1 -- "$loader" "$VICTIM" accept "$ADDR"
    probe 3
    stop_broker
}

@test "a setuid or setgid program of somebody else is refused, one's own is not" {
    needs_root
    compile "$TMP/other" gcc
    chown 65534:65534 "$TMP/other"
    chmod 4755 "$TMP/other"
    refuses "setuid to uid 65534" "$TMP/other" "$PORT"
    chmod 2755 "$TMP/other"
    refuses "setgid to gid 65534" "$TMP/other" "$PORT"
    chmod 2745 "$TMP/other" # no x for the group: no setgid, see inode(7)
    loads "$TMP/other" "$TMP/other"
    chown 0:0 "$TMP/other"
    chmod 6755 "$TMP/other"
    loads "$TMP/other" "$TMP/other"
}

@test "with --user it counts what that user's process gains" {
    needs_root
    cp "$VICTIM" "$TMP/server"
    chmod 4755 "$TMP/server"
    local status=0
    output=$("$SSHIM" run --intercept preload --user nobody --control "$CONTROL" -- "$TMP/server" 2>&1 3>&-) || status=$?
    echo "$output"
    [[ $status == 126 && $output == *"setuid to uid 0"* ]]
}

@test "no new privileges: a setuid program is an ordinary one" {
    needs_root
    compile "$TMP/other" gcc
    chown 65534 "$TMP/other"
    chmod 4755 "$TMP/other"
    run setpriv --no-new-privs "$SSHIM" check -- "$TMP/other"
    [[ $status == 0 ]]
}

@test "a program with file capabilities is refused, unless root runs it" {
    needs_root
    compile "$TMP/capable" gcc
    # as setcap cap_net_bind_service=ep writes it (version 2, see capabilities(7))
    python3 -c 'import os, struct, sys
os.setxattr(sys.argv[1], "security.capability", struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0))' "$TMP/capable"
    loads "$TMP/capable" "$TMP/capable"
    cp "$SSHIM" "$LIB" "$TMP/"
    run setpriv --reuid 65534 --regid 65534 --clear-groups "$TMP/sshim" check -- "$TMP/capable"
    echo "$output"
    [[ $status == 1 && $output == *"file capabilities"*"; "* ]]
}

@test "a musl program is refused by the glibc library, and the reverse" {
    compile "$TMP/musl" musl-gcc
    SSHIM_LIB=$LIB refuses "it uses musl" "$TMP/musl" "$PORT"
    echo 'int nothing;' >"$TMP/lib.c"
    musl-gcc -shared -fPIC -o "$TMP/libmusl.so" "$TMP/lib.c"
    printf SSHIM_RENDEZVOUS >>"$TMP/libmusl.so" # a word by which sshim knows its library
    SSHIM_LIB=$TMP/libmusl.so refuses "made for musl" "$VICTIM" accept "$ADDR"
}

# Only the file's first bytes tell it, so the compiler for it need not be there.
@test "a program of another word size or machine is refused" {
    cp "$VICTIM" "$TMP/narrow"
    printf '\1' | dd of="$TMP/narrow" bs=1 seek=4 conv=notrunc status=none
    refuses "it is a 32-bit program" "$TMP/narrow"
    cp "$VICTIM" "$TMP/foreign"
    printf '\26' | dd of="$TMP/foreign" bs=1 seek=18 conv=notrunc status=none
    refuses "another machine" "$TMP/foreign"
}

@test "a Go program is refused, static or not, and found when a script starts it" {
    type -P go >/dev/null || skip "there is no Go compiler"
    cat >"$TMP/server.go" <<'END'
package main

// #include <stdlib.h>
import "C"
import "net"
import "os"

func main() {
	C.abs(1)
	if _, err := net.Listen("tcp", os.Args[1]); err != nil {
		panic(err)
	}
	select {}
}
END
    sed -e '/C\.abs/d' -e '/"C"/d' -e '/stdlib/d' -e 's/select {}/<-make(chan int, len(os.Args))/' "$TMP/server.go" >"$TMP/pure.go"
    export HOME=$TMP GO111MODULE=off GOCACHE=$TMP/cache GOFLAGS=-p=1
    cd "$TMP"
    CGO_ENABLED=0 go build -ldflags='-s -w' -o pure pure.go
    refuses "it is a Go program and linked statically" ./pure "$ADDR"
    CGO_ENABLED=1 go build -ldflags='-s -w' -o cgo server.go
    refuses "Go makes its socket calls without libc" ./cgo "$ADDR"
    is_found_soon "cgo) listens on $ADDR without the library: it is a Go program" -w 1 -- sh -c "exec ./cgo $ADDR"
}

@test "a static server behind a script is found soon after the start" {
    compile "$TMP/static" gcc -static
    is_found_soon "/static) listens on 127.0.0.1:$PORT without the library: it is linked statically" \
        -w 1 -- sh -c "'$TMP/static' $PORT; true"
}

@test "a wrapper that clears the environment is found soon, before the server listens" {
    is_found_soon "runs without the library: its environment was cleared" -w 2 -- sh -c "exec env -i sleep 1000"
    rm "$TMP/log"
    is_found_soon "without the library: its environment was cleared" -w 1 -- sh -c "unset LD_PRELOAD; exec '$VICTIM' accept '$ADDR'"
}

@test "a setuid server behind a script, whose loader ignores LD_PRELOAD, is found soon" {
    needs_root
    compile "$TMP/other" gcc
    chown 65534 "$TMP/other"
    chmod 4755 "$TMP/other"
    is_found_soon "listens on 127.0.0.1:$PORT without the library: it is setuid" -w 1 -- sh -c "exec '$TMP/other' $PORT"
}

@test "a server behind a setuid program, whose loader ignores LD_PRELOAD as well, is told to use --user" {
    needs_root
    cp "$(command -v env)" "$TMP/env"
    chown 65534 "$TMP/env"
    chmod 4755 "$TMP/env"
    is_found_soon "it gained rights by its execution (setuid, capabilities), so that its loader ignored LD_PRELOAD; start sshim as root with --user" \
        -w 1 -- sh -c "exec '$TMP/env' '$VICTIM' accept '$ADDR'"
}

@test "a helper that listens without the library does not end a server that is slow to start" {
    compile "$TMP/static" gcc -static
    start_broker -w 1 --start-timeout 600 -- \
        sh -c "'$TMP/static' $PORT & sleep 3; exec '$VICTIM' accept '$ADDR'"
    probe 3
    stop_broker
}

@test "a worker that lacks the library ends alone while others serve" {
    compile "$TMP/static" gcc -static
    script "$TMP/half" "#!/bin/sh" "[ \$SSHIM_WORKER_ID = 1 ] || exec '$VICTIM' accept '$ADDR'" "exec '$TMP/static' $PORT"
    launch_broker -w 2 -- "$TMP/half"
    wait_until log_has "worker 1 (pid "
    wait_until log_has "worker 1 was ended by signal 9"
    probe 3
    stop_broker
}

@test "a server that listens only where nothing is shared counts as ready, and the addresses are named" {
    start_broker -w 1 --unshared "$PORT" --start-timeout 1 -- "$VICTIM" accept "$ADDR"
    log_has "worker 0 listens on nothing that is shared after 1 s, only on $ADDR, which is private to it; see --share"
    stop_broker
}

@test "a server that never listens counts as ready, and that is said" {
    start_broker -w 1 --start-timeout 1 -- sleep 1000
    log_has "worker 0 listens on nothing that is shared after 1 s: it has no listening stream socket at all"
    stop_broker
}
