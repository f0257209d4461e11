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

# "kind: family: call = native => as a worker" for each line that differs.
differences() {
    paste -d '\t' "$T/native" "$1" | awk -F '\t' '/^[^ ]/ { kind = $1 }
        $1 != $2 { sub(/.* = /, "", $2); print kind ":" $1 " => " $2 }'
}

# Each line that differs is listed with its reason.
nothing_unknown() {
    ! grep -vEf <(grep -v '^#' "$ROOT/tests/calls/known.txt") "$T/different" || return 1
}

same_but_known() {
    same "$1" >"$T/compared" || true
    differences "$T/shim" >"$T/different"
    nothing_unknown
}

@test "bind, listen, connect, shutdown and the names of sockets" { same names; }
@test "accept with every argument, interrupted, and with a full fd table" { same accept; }
@test "every socket option that servers use, with every length" { same options; }
@test "dup, fcntl, ioctl and close" { same files; }
@test "poll, select, epoll and their variants" { same waits; }
@test "paths and abstract names" { same paths; }
@test "wrong and odd arguments of every call, by a program that joined" { same_but_known errors; }

# --- as workers

# Each copy in its turn, since a copy that listens would take the other's clients.
write_worker() {
    cat >"$T/worker" <<'SH'
#!/bin/bash
exec 5>>"$1/lock"
flock 5
"$2" "$3" "$1/d" errors >"$1/shim.$SSHIM_WORKER_ID" 5>&- </dev/null
echo "exit $?" >>"$1/shim.$SSHIM_WORKER_ID"
touch "$1/done.$SSHIM_WORKER_ID"
exec 5>&-
exec sleep 86400
SH
    chmod +x "$T/worker"
}

all_done() { # COPIES
    [ "$(find "$T" -name 'done.*' | wc -l)" -eq "$1" ]
}

# errors_are_the_same COPIES [OPTION...]: but for what tests/calls/known.txt lists.
errors_are_the_same() {
    local copies=$1 slot
    shift
    transcript native errors env
    echo "exit 0" >>"$T/native"
    write_worker
    "$SSHIM" run -w "$copies" --start-timeout 600 --stop-timeout 1 --stuck-warn 0 --control "$CONTROL" "$@" -- \
        "$T/worker" "$T" "$BUILD/tests/calls" "$PORT" >"$T/out" 2>"$T/err" 3>&- &
    BROKER=$!
    WAIT_MAX_S=240 wait_for all_done "$copies"
    "$SSHIM" stop --control "$CONTROL"
    wait "$BROKER"
    BROKER=
    for ((slot = 0; slot < copies; slot++)); do
        differences "$T/shim.$slot" >>"$T/different"
    done
    nothing_unknown
}

@test "wrong and odd arguments of every call on every kind of descriptor: one copy that shares all" {
    errors_are_the_same 1 --share all
}

@test "wrong and odd arguments of every call: three copies, and each known difference is there" {
    local pattern
    errors_are_the_same 3
    while read -r pattern; do
        grep -qE -- "$pattern" "$T/different" || { echo "differs no more: $pattern"; return 1; }
    done < <(grep -v '^#' "$ROOT/tests/calls/known.txt")
}

@test "wrong and odd arguments of every call: two copies by --handoff broker" {
    errors_are_the_same 2 --handoff broker
}

@test "wrong and odd arguments of every call: two copies by --handoff direct" {
    errors_are_the_same 2 --handoff direct
}

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
