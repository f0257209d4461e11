#!/usr/bin/env bats
# Every hooked call, in every shape we could think of, does the same with the library as without it.

load victims.bash

setup() { victims_setup; }
teardown() { victims_teardown; }

# transcript NAME GROUP COMMAND...: the environment decides whether the library is there.
transcript() {
    local name=$1 group=$2
    shift 2
    mkdir "$T/d"
    "$@" "$BUILD/tests/calls" "$PORT" "$T/d" "$group" >"$T/$name" </dev/null 3>&-
}

# Equal but for the lines that begin with ~, and those are not equal.
compare() {
    diff -u <(grep -v '^~' "$T/native") <(grep -v '^~' "$T/shim")
    diff -y --suppress-common-lines <(grep '^~' "$T/native") <(grep '^~' "$T/shim") >"$T/known" || true
    [ "$(wc -l <"$T/known")" -eq "$(grep -c '^~' "$T/native")" ]
}

same() {
    local group=$1
    transcript native "$group" env
    rm -r "$T/d"
    "$SSHIM" run -w 0 --control "$CONTROL" >"$T/out" 2>"$T/err" 3>&- &
    BROKER=$!
    wait_for test -S "$CONTROL"
    transcript shim "$group" env LD_PRELOAD="$BUILD/libsshim.so" SSHIM_BROKER="$CONTROL"
    "$SSHIM" stop --control "$CONTROL"
    wait "$BROKER"
    BROKER=
    rm -r "$T/d"
    compare
}

@test "bind, listen, connect, shutdown and the names of sockets" { same names; }
@test "accept with every argument, interrupted, and with a full fd table" { same accept; }
@test "every socket option that servers use, with every length" { same options; }
@test "dup, fcntl, ioctl and close" { same files; }
@test "poll, select, epoll and their variants" { same waits; }
@test "paths and abstract names" { same paths; }

@test "libsshim(7) names every call that the library exports" {
    local name
    for name in $(nm -D --defined-only "$BUILD/libsshim.so" | awk '{print $3}' | grep -v '^__'); do
        grep -qE "^\.(It )?.*Fn $name( |\$)" "$ROOT/man/libsshim.7" || {
            echo "$name is not in libsshim(7)"
            return 1
        }
    done
}

@test "no call takes more of the stack than libsshim(7) says" { "$ROOT/scripts/stack.sh" "$T/stack"; }
