# hold.bash - blocking servers behind a front, and clients that go by steps: load hold, after load helpers.
# shellcheck shell=bash

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

# Every connection that was accepted is somewhere.
sums_agree() {
    status_is '.listeners[0] | .accepted == .handed + .direct + .held + .hold_timeouts + .hung_up + .hold_evicted + .hold_shut + .dead + .proxy_rejected + .limited + .denied + .full'
}

# The only worker takes nothing until it is continued.
stop_worker() {
    WORKER=$(worker_pid 0)
    kill -STOP "$WORKER"
    wait_until status_is '.workers[0].state == "stuck"' # until it gets the processor it may still accept
}
