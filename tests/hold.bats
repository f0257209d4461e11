#!/usr/bin/env bats
# --hold: a connection is offered when it can be read as far as was asked for. The server blocks, one client at a time.

load helpers

VICTIM_HOLD=$BUILD/tests/progs/victim_hold

# start_held OPTIONS...: so many blocking servers ($WORKERS, 1)
start_held() {
    start_broker -w "${WORKERS:-1}" "$@" -- "$VICTIM_HOLD" server "$PORT"
}

dialog() { # STEP...: see there
    timeout 60 "$VICTIM_HOLD" client "$PORT" "$*"
}

# A client in the background; what it read is in $TMP/NAME.
start_dialog() { # NAME STEP...
    "$VICTIM_HOLD" client "$PORT" "${*:2}" >"$TMP/$1" 2>&1 3>&- 8>&- &
    STARTED+=($!)
}

holds() { # COUNT
    status_is ".listeners[0].held == $1"
}

read_of() { # FILE or text: what the server has read
    grep -o 'read=[0-9a-f]*' | cut -d= -f2 | xxd -r -p
}

@test "silent clients occupy no worker, and are closed in time" {
    start_held --hold line --hold-timeout 2
    for i in 1 2 3; do start_dialog "silent$i" read; done
    wait_until holds 3
    [[ $(dialog 'text:hello\n' read | read_of) == hello ]]
    for i in 1 2 3; do wait_until grep -qx fin "$TMP/silent$i"; done
    holds 0
    status_is '.listeners[0] | .hold_timeouts == 3 and .accepted == 4 and .handed == 1'
}

@test "held connections survive a kill of the broker and an upgrade" {
    start_held --hold line --hold-timeout 300
    start_dialog silent read
    start_dialog slow text:he "file:$TMP/go" 'text:llo\n' read
    wait_until holds 2
    local keeper=$BROKER
    kill -KILL "$BROKER"
    wait_until status_is ".pid != $keeper"
    holds 2
    "$SSHIM" upgrade --control "$CONTROL"
    holds 2
    touch "$TMP/go"
    wait_until grep -q fin "$TMP/slow"
    [[ $(read_of <"$TMP/slow") == hello ]]
    status_is '.listeners[0] | .held == 1 and .hold_timeouts == 0 and .accepted == 2'
    "$SSHIM" stop --control "$CONTROL"
    grep -qx rst "$TMP/silent"
}

@test "the time of a held connection goes on over a kill of the broker" {
    start_held --hold line --hold-timeout 1
    start_dialog silent read
    wait_until status_is '.listeners[0].accepted == 1'
    local before=$BROKER
    kill -KILL "$BROKER"
    wait_until status_is ".pid != $before"
    wait_until grep -qx fin "$TMP/silent"
    status_is '.listeners[0] | .held == 0 and .hold_timeouts == 1'
    "$SSHIM" stop --control "$CONTROL"
}
