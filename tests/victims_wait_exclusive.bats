#!/usr/bin/env bats
# Event loops that the kernel wakes past the broker, because connections come fast: they must not notice.

load victims.bash

setup() {
    victims_setup
    HAMMER=
    for_channels "each copy waits on the shared socket in any case"
}

teardown() {
    [ -z "$HAMMER" ] || kill -KILL "$HAMMER" 2>/dev/null || true
    victims_teardown
}

hammer() {
    "$PROGS/victim_wait_exclusive" hammer "$PORT" 3>&- &
    HAMMER=$!
}

stop_hammer() {
    kill "$HAMMER"
    wait "$HAMMER" || true
    HAMMER=
}

all_done() {
    kill -0 "$HAMMER" && [ -e "$T/done.0" ] && [ -e "$T/done.1" ] && [ -e "$T/done.2" ]
}

# exclusive MODE COPIES: every copy waits exclusively, does its odd thing, and COPIES of them go on serving.
exclusive() {
    start 3 -- "$PROGS/victim_wait_exclusive" "$1" "$PORT" "$T"
    hammer
    wait_for all_done
    stop_hammer
    probe "$PORT" "$2"
    stop_clean
}

@test "a listener taken out of epoll tells nothing more, and is served when it is back" { exclusive del 3; }
@test "a listener taken out of epoll past the library tells nothing more" { exclusive past-del 3; }
@test "a child that shares the epoll fd and closes the listener harms nobody" { exclusive fork 3; }
@test "a listener closed while connections come fast leaves nothing in epoll" { exclusive close 2; }

@test "a listener closed while a connection is on its way tells nothing more" { exclusive close-told 2; }

@test "a listener closed by another thread just while this one begins an exclusive wait leaves nothing in epoll" {
    # verify_asan_link_order: the second library comes before libasan
    export ASAN_OPTIONS=verify_asan_link_order=0 LD_PRELOAD="$PROGS/preload.so"
    exclusive close-race 2
}

@test "an event that stays and is for nobody makes no wait spin or last" { exclusive nobodys 3; }
@test "a child that shares the epoll fd and has no room is not told over and over" { exclusive full-child 2; }
