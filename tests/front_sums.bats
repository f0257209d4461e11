#!/usr/bin/env bats
# Each connection that the broker has accepted is somewhere: handed, held, or closed by it for a reason that status names.

load helpers
load hold

# A PROXY header of the client 192.0.2.NUMBER, as a step of a dialog.
from() { # NUMBER
    printf 'text:PROXY\\sTCP4\\s192.0.2.%d\\s198.51.100.1\\s4711\\s80\\r\\n' "$1"
}

# One that is reset, maybe before it has said all.
turned_away() { # STEP...
    dialog "$@" >"$TMP/out.reset" 2>&1 || true
    grep -qE '^rst$|reset|pipe' "$TMP/out.reset"
}

is_stopped() { # PID
    [[ $(cut -d' ' -f3 "/proc/$1/stat") == T ]]
}

counts_are() { # JQ of a listener
    wait_until status_is ".listeners[0] | $1"
    sums_agree
}

@test "one connection of each way to end, over the broker's death and an upgrade: every sum is exact" {
    local last=192.0.2.1,192.0.2.2 before
    start_held --accept-proxy v1 --proxy-from 127.0.0.1 --hold line --hold-timeout 1 --hold-max 3 --deny "$last" --max-rate-per-source 1/86400 \
        --when-full close --full-after 5
    [[ $(dialog "$(from 10)" 'text:hello\n' read | read_of) == hello ]]
    counts_are '.connections == 1 and .handed == 1 and .taken == 1'
    turned_away 'text:hello\n' read
    dialog 'text:PROXY\sTCP4\s' reset
    counts_are '.connections == 3 and .proxy_rejected == 1 and .hung_up == 1'
    turned_away "$(from 1)" 'text:hello\n' read
    turned_away "$(from 2)" read
    counts_are '.connections == 5 and .denied == 2'
    turned_away "$(from 10)" 'text:hello\n' read # its second one
    counts_are '.connections == 6 and .limited == 1'
    dialog "$(from 11)" text:he reset
    dialog "$(from 12)"
    counts_are '.connections == 8 and .hung_up == 3'
    [[ $(dialog "$(from 13)" text:he read) == fin ]]
    counts_are '.connections == 9 and .hold_timeouts == 1 and .held == 0'
    before=$BROKER
    kill -KILL "$BROKER"
    wait_until status_is ".pid != $before"
    "$SSHIM" upgrade --control "$CONTROL"
    counts_are '.connections == 9 and .handed == 1 and .taken == 1 and .proxy_rejected == 1 and .hung_up == 3 and .denied == 2 and .limited == 1'
    kill -STOP "$(worker_pid 0)" # no child of this broker, which is not told
    wait_until is_stopped "$(worker_pid 0)"
    start_dialog full "$(from 14)" 'text:hello\n' read
    wait_until status_is '.listeners[0].connections == 10'
    start_dialog dead "$(from 15)" 'text:hello\n' "file:$TMP/go" reset
    wait_until status_is '.listeners[0] | .connections == 11 and .held_complete > 0'
    touch "$TMP/go"
    wait_until grep -qx fin "$TMP/full"
    counts_are '.connections == 11 and .full == 1 and .dead == 1 and .held == 0'
    kill -CONT "$(worker_pid 0)"
    [[ $(dialog "$(from 16)" 'text:hello\n' read | read_of) == hello ]]
    counts_are '.connections == 12 and .taken == 2 and .hold_timeouts == 1 and .hold_shut == 0'
    status_is '.listeners[0] | .accepted == .connections + .recalled and .handed == .taken + .recalled and .lost == 0 and .untaken == 0 and .direct == 0'
    "$SSHIM" stop --control "$CONTROL"
}

@test "what gives way for another, and what is held, are in the sum; a metric tells each" {
    local web
    web=$HOST:$("$PROBE" --free-port)
    [[ -x $BUILD/sshim-metrics ]] || web=
    start_held --hold line --hold-timeout 300 --hold-max 2 ${web:+--metrics "$web"}
    start_dialog oldest read
    wait_until holds 1
    start_dialog second read
    wait_until holds 2
    [[ $(dialog 'text:hello\n' read | read_of) == hello ]]
    wait_until grep -qx fin "$TMP/oldest"
    counts_are '.connections == 3 and .held == 1 and .hold_evicted == 1 and .taken == 1'
    "$SSHIM" status --control "$CONTROL" | grep -qxF "127.0.0.1:$PORT: held 1, of these complete 0; closed 1: hold_evicted 1"
    [[ -z $web ]] && return
    curl -sS "http://$web/metrics" >"$TMP/metrics"
    grep -qxF "sshim_held_connections{listener=\"127.0.0.1:$PORT\"} 1" "$TMP/metrics"
    grep -qxF "sshim_closed_total{listener=\"127.0.0.1:$PORT\",reason=\"hold_evicted\"} 1" "$TMP/metrics"
    [[ $(awk '/^sshim_closed_total/ { sum += $2 } END { print sum }' "$TMP/metrics") == 1 ]]
}
