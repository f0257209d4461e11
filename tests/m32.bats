#!/usr/bin/env bats
# 32-bit programs get the library that was built for 32 bits, whichever size of time_t they were built for.

load victims.bash

setup() { victims_setup; }
teardown() { victims_teardown; }

m32_victim() { # MODE
    runs_32bit || skip "this kernel executes no 32-bit program"
    local program
    for program in victim_wait-m32 victim_wait-m32-time64; do
        start 3 -- "$PROGS/$program" "$1" "$PORT"
        grep -q libsshim-m32.so "/proc/$(ours | head -n 1)/maps"
        probe "$PORT" 3
        stop_clean
    done
}

@test "a 32-bit program that uses epoll is served" { m32_victim epoll-before-bind; }
@test "a 32-bit program that uses select is served" { m32_victim select; }
@test "a 32-bit program that accepts with a time-out is served" { m32_victim timeout; }
@test "a 32-bit program that accepts in a hundred threads is served" { m32_victim threads; }
@test "a 32-bit program that switches between waiting and not is served" { m32_victim nonblock-toggled; }
@test "a 32-bit program that does so by ioctl is served" { m32_victim nonblock-ioctl; }
@test "a 32-bit program that makes its calls by number is served" { m32_victim all-by-number; }
@test "the library for 32 bits has all second names of the calls that it hooks" {
    nm -D --defined-only "$BUILD/libsshim-m32.so" >"$T/names"
    for name in fcntl_time64 ioctl_time64 setsockopt64 getsockopt64 select64 pselect64 ppoll64 ppoll64_chk epoll_pwait2_time64; do
        grep -q " __$name\$" "$T/names"
    done
}
@test "sshim check finds the library for a 32-bit program" {
    "$SSHIM" check -- "$PROGS/victim_wait-m32" select 1
}
