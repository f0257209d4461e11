#!/usr/bin/env bats
# A slow-client attack by Debian's slowhttptest on four workers that block, one client at a time each.

load ../helpers
load ../hold

MOST=300 # connections held
TIME_S=4 # each of them

start_server() { # OPTIONS...
    HOST=127.0.0.1 ADDR=127.0.0.1:$PORT
    start_broker -w 4 "$@" -- python3 "$ROOT/tests/bench/http_server.py" "$PORT"
}

# Request heads that never end: a line a second. Its pid is $OTHER; it ends when all its connections are closed.
attack() { # CONNECTIONS SECONDS
    start_other slowhttptest -H -c "$1" -r 100 -i 1 -l "$2" -x 10 -p 60 -u "http://$ADDR/"
}

honest() { # leaves what an honest client got, and the time in $TOOK_MS
    local begun=${EPOCHREALTIME/./}
    [[ $(curl -sS -m "$1" "http://$ADDR/" 2>>"$TMP/out.curl") == hello ]] || return 1
    TOOK_MS=$(((${EPOCHREALTIME/./} - begun) / 1000))
}

held() {
    status_of '.listeners[0].held'
}

@test "without --hold the attack takes all workers" {
    start_server
    honest 5
    attack 50 20
    wait_until status_is '[.workers[].active] | min > 0'
    run honest 3
    [[ $status == 1 ]]
    kill "$OTHER"
}

@test "with --hold http it holds a bounded number for a bounded time, and honest clients are answered throughout" {
    local answered=0 slowest=0 most=0 begun=$SECONDS now
    start_server --hold http --hold-max "$MOST" --hold-timeout "$TIME_S"
    attack 1000 60
    wait_until status_is '.listeners[0].held > 100'
    until is_gone "$OTHER"; do
        honest 10
        answered=$((answered + 1))
        ((TOOK_MS <= slowest)) || slowest=$TOOK_MS
        now=$(held)
        ((now <= most)) || most=$now
    done
    ((SECONDS - begun < 50)) # all its connections were closed, long before its own end
    echo "honest clients: $answered, the slowest took $slowest ms; held at most: $most"
    ((answered >= 20 && most > MOST / 2 && most <= MOST))
    ((slowest < TIME_S * 1000)) # nobody waits for a silent client's time to be over
    wait_until holds 0
    status_is '.listeners[0] | .hold_timeouts + .hold_evicted > 900 and .lost == 0'
    status_is ".listeners[0] | .taken >= $answered and .taken < $answered + 100" # slowhttptest asks as well
    sums_agree
}
