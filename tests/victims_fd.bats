#!/usr/bin/env bats
# What servers do with the number of their listener.

load victims.bash

setup() { victims_setup; }
teardown() { victims_teardown; }

@test "a listener on fd 0 is served" { victim victim_fd fd0; }
@test "a listener on fd 1 is served" { victim victim_fd fd1; }
@test "a listener on fd 2 is served" { victim victim_fd fd2; }
@test "a listener on 0, 1 and 2 at once is served" { victim victim_fd fd012; }
@test "a server that closes every fd at start by a loop is served" { victim victim_fd close-loop; }
@test "a server that closes every fd at start by close_range is served" { victim victim_fd close-range; }
@test "a server that closes every fd at start by closefrom is served" { victim victim_fd closefrom; }
@test "a server that closes every fd at start by syscall(SYS_close) is served" { victim victim_fd close-number; }
@test "a loop that closes all above the listener finds nothing there and breaks nothing" { victim victim_fd close-above-loop; }
@test "close_range above the listener breaks nothing" { victim victim_fd close-above-range; }
@test "syscall(SYS_close_range) above the listener breaks nothing" { victim victim_fd close-above-range-number; }
@test "closefrom above the listener breaks nothing" { victim victim_fd close-above-closefrom; }
@test "syscall(SYS_close) of all above the listener breaks nothing" { victim victim_fd close-above-number; }
@test "each socket call says EBADF of the library's own descriptors" { victim victim_fd nothing-seen; }
@test "close_range with CLOEXEC marks the listener and breaks nothing" { victim victim_fd mark-range; }
@test "a listener closed by fclose can be bound again" { victim victim_fd fclose; }
@test "a listener closed and bound a hundred times is served" { victim victim_fd close-again; }
@test "a listener moved by dup is served" { victim victim_fd dup; }
@test "a dup made before bind is the same listener" { victim victim_fd dup-before-bind; }
@test "a listener moved by dup2 is served" { victim victim_fd dup2-away; }
@test "a listener that dup2 put a dummy over can be bound again" { victim victim_fd dup2-over; }
@test "a listener moved by dup3 with O_CLOEXEC is served" { victim victim_fd dup3-away; }
@test "a listener that dup3 wrote over can be bound again" { victim victim_fd dup3-over; }
@test "dup2 onto the numbers of hidden descriptors breaks nothing" { victim victim_fd dup2-hidden; }
@test "a listener moved by F_DUPFD is served" { victim victim_fd dupfd; }
@test "a listener moved by F_DUPFD_CLOEXEC is served" { victim victim_fd dupfd-cloexec; }
@test "a listener moved and switched by fcntl64 is served" { victim victim_fd fcntl64; }
@test "threads that close the dups of one listener at once close it for good" { victim victim_fd close-at-once; }
@test "accept gives the lowest free number" { victim victim_fd lowest; }
