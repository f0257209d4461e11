#!/usr/bin/env bats
# Ways of waiting for a connection, and what is set on a listener around it.

load victims.bash

setup() { victims_setup; }
teardown() { victims_teardown; }

# An open socket has one owner: where all copies share it, one of them gets the signal, and serves.
signalled() {
    local serving=3
    [[ $VICTIM_OPTIONS != *direct* ]] || serving=1
    SERVING=$serving victim victim_wait sigio "$1"
}

@test "a listener registered in epoll before bind is served" { victim victim_wait epoll-before-bind; }
@test "a listener registered edge-triggered between bind and listen is served" { victim victim_wait epoll-edge-before-listen; }
@test "a listener in two epoll fds wakes both and is quiet in both" { victim victim_wait epoll-two; }
@test "epoll_ctl knows the registration that was made before bind" { victim victim_wait epoll-changed; }
@test "a one-shot registration is served again when it is re-armed" { victim victim_wait epoll-oneshot; }
@test "a listener in an epoll inside an epoll inside a poll is served" { victim victim_wait epoll-nested; }
@test "a listener that never blocks is served" { victim victim_wait nonblock-before; }
@test "a listener switched between waiting and not waiting does what was said last" { victim victim_wait nonblock-toggled; }
@test "a listener switched by FIONBIO does what was said last" { victim victim_wait nonblock-ioctl; }
@test "a child that sets O_NONBLOCK sets it for the parent" { victim victim_wait nonblock-fork; }
@test "a listener in select with a time-out is served" { victim victim_wait select; }
@test "SO_RCVTIMEO set after listen ends accept with EAGAIN" { victim victim_wait timeout after; }
@test "SO_RCVTIMEO set before listen ends accept with EAGAIN" { victim victim_wait timeout before; }
@test "SIGIO tells of connections" { signalled after; }
@test "SIGIO switched on before listen tells of connections" { signalled before; }
@test "a signal chosen by F_SETSIG tells of connections" { signalled realtime; }
@test "a hundred threads that accept on one listener are served" { victim victim_wait threads 100; }
@test "a thread that polls and another that accepts are served" { victim victim_wait poll-apart; }
@test "a server that makes its calls by number is served" { victim victim_wait all-by-number; }
@test "waiting that no hook sees is served" { victim victim_wait past-epoll; }
