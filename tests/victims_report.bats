#!/usr/bin/env bats
# A server waits until its listener is reported readable, and accepts although it blocks: natively that never waits.

load victims.bash

setup() { victims_setup; }
teardown() { victims_teardown; }

says() { # NAME [COUNT]
    [ -e "$T/$1" ] && [ "$(stat -c %s "$T/$1")" -ge "${2:-1}" ]
}

# Clients, one after the other, until a connection was reported to a copy that did something else for so long that
# another one got it: the first copy's accept came back, and each client was answered.
overtake() { # [PORT]
    local end=$((SECONDS + WAIT_MAX_S))
    : >"$T/hold"
    CLIENTS=0
    until says aborted; do
        ((SECONDS <= end))
        CLIENTS=$((CLIENTS + 1))
        probe "${1:-$PORT}" 1 1 >/dev/null
    done
    rm "$T/hold"
}

overtaken() { # MODE [OPTION...]
    local mode=$1
    shift
    start 2 --accept-timeout 1 "$@" -- "$PROGS/victim_report" "$mode" "$PORT" "$T"
    overtake
    probe "$PORT" 2
    stop_clean
}

@test "poll reports a connection that another copy gets: accept comes back" { overtaken poll; }
@test "ppoll reports a connection that another copy gets: accept comes back" { overtaken ppoll; }
@test "select reports a connection that another copy gets: accept comes back" { overtaken select; }
@test "pselect reports a connection that another copy gets: accept comes back" { overtaken pselect; }
@test "poll without a time-out reports a connection that another copy gets: accept comes back" { overtaken looks; }
@test "ppoll by number reports a connection that another copy gets: accept comes back" { overtaken number; }
@test "epoll_wait reports a connection that another copy gets: accept comes back" { overtaken epoll; }
@test "epoll_wait with a registration made before bind: accept comes back" { overtaken early-epoll; }
@test "one thread waits and another accepts: accept comes back" { overtaken thread; }
@test "a process waits and its child accepts: accept comes back" { overtaken fork; }
@test "a process waits and a program that it executes accepts: accept comes back" { overtaken exec; }
@test "a program that inherited its listener waits and accepts: accept comes back" { overtaken exec-loop; }
@test "--handoff broker: accept comes back" { overtaken select --handoff broker; }
@test "--handoff direct, select: accept comes back" { overtaken select --handoff direct; }
@test "--handoff direct, epoll: accept comes back" { overtaken epoll --handoff direct; }
@test "--handoff direct, one thread waits and another accepts: accept comes back" { overtaken thread --handoff direct; }

@test "two listeners, one of whose connections another copy gets: accept comes back" {
    start 2 --accept-timeout 1 -- "$PROGS/victim_report" two "$PORT" "$T"
    overtake "$((PORT + 1))"
    probe "$PORT" 2
    probe "$((PORT + 1))" 2
    stop_clean
}

# The end of the channel is nothing to report: each copy does at most what the connections bring about.
orphaned() { # MODE
    start 2 -- "$PROGS/victim_report" "$1" "$PORT" "$T"
    probe "$PORT" 2
    : >"$T/hold"
    # shellcheck disable=SC2046 # a list
    kill -STOP $(pgrep -f -- "--control $CONTROL")
    # shellcheck disable=SC2046
    kill -KILL $(pgrep -f -- "--control $CONTROL")
    wait "$BROKER" || true
    BROKER=
    overtake
    [ "$(stat -c %s "$T/held")" -le $((2 * CLIENTS)) ]
    probe "$PORT" 2
}

@test "select, and broker and keeper are killed: accept comes back" { orphaned select; }
@test "poll, and broker and keeper are killed: accept comes back" { orphaned poll; }
@test "epoll_wait, and broker and keeper are killed: accept comes back" { orphaned epoll; }

@test "what was reported is left to a copy that does something else for a while" {
    for_channels "the kernel reports a connection to every copy"
    start 2 --accept-timeout 100 -- "$PROGS/victim_report" select "$PORT" "$T"
    : >"$T/hold"
    for _ in 1 2 3; do probe "$PORT" 1 1 >/dev/null; done
    rm "$T/hold"
    [ "$(stat -c %s "$T/held")" -eq 3 ]
    [ ! -e "$T/aborted" ]
    probe "$PORT" 2
    stop_clean
}

@test "an accept that follows no report blocks" {
    start 1 -- "$PROGS/victim_report" blocks "$PORT" "$T"
    probe "$PORT" 1 1
    wait_for says blocked
    probe "$PORT" 1
    stop_clean
}
