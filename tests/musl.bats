#!/usr/bin/env bats
# Programs of musl get the library that was built for musl.

load victims.bash

setup() { victims_setup; }
teardown() { victims_teardown; }

musl_victim() {
    start 3 -- "$PROGS/victim_wait-musl" "$1" "$PORT"
    grep -q libsshim-musl.so "/proc/$(ours | head -n 1)/maps"
    probe "$PORT" 3
    stop_clean
}

@test "a program of musl that uses epoll is served" { musl_victim epoll-before-bind; }
@test "a program of musl that accepts in a hundred threads is served" { musl_victim threads; }
@test "a program of musl that switches between waiting and not is served" { musl_victim nonblock-toggled; }
@test "sshim check finds the library for a program of musl" {
    "$SSHIM" check -- "$PROGS/victim_wait-musl" epoll-before-bind 1
}
