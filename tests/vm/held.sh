#!/bin/bash
# held.sh - one broker holds 50,000 silent clients: what each costs it, that honest ones are served meanwhile, and that all survive
# its death and an upgrade and are closed in time. For guest.sh; elsewhere a process may not have so many files open.
set -u
count=${HELD:-50000}
bytes_max=160 # of the broker's memory, for each
control=/tmp/held.sock
conf=/tmp/held.conf
port=8081
sshim=build/sshim

fail() {
    echo "$*"
    tail -n 20 /tmp/held.log
    exit 1
}

status() { # JQ
    "$sshim" status --json --control $control | jq -e "$1"
}

wait_until() { # SECONDS COMMAND...
    local end=$((SECONDS + $1))
    while ! "${@:2}" >/tmp/held.waits 2>&1; do
        ((SECONDS < end)) || fail "not within $1 s: ${*:2}; $(cat /tmp/held.waits)"
        sleep 0.2
    done
}

configure() { # HOLD-TIMEOUT
    printf '%s\n' "control = $control" "command = python3 -m http.server $port --bind 127.0.0.1 --directory /etc" 'workers = 2' \
        'hold = http' "hold-timeout = $1" 'hold-max = 65536' >$conf
}

broker_bytes() {
    awk '/^Rss(Anon|Shmem):/ { kib += $2 } END { print kib * 1024 }' "/proc/$(status .pid)/status"
}

serve() { # NUMBER: of honest clients
    local i began=$EPOCHREALTIME
    for ((i = 0; i < $1; i++)); do
        curl -sf --max-time 60 http://127.0.0.1:$port/hosts | grep -q localhost || fail "honest client $i was not served"
    done
    served=$((served + $1))
    echo "result: $1 honest clients, one after the other: $(awk -v a="$began" -v b="$EPOCHREALTIME" "BEGIN { print int((b - a) * 1000 / $1) }") ms each"
}

all_are_held() {
    status ".listeners[0] | .held == $count and .hold_timeouts == 0 and .hold_evicted == 0"
}

served=0
ulimit -n $((4 * count / 3 + 1000)) || fail "this machine permits no more than $(ulimit -Hn) files"
configure 86400
"$sshim" run --config $conf >/tmp/held.log 2>&1 &
"$sshim" status --wait ready --timeout 300 --control $control >/tmp/held.waits || fail "not ready"
serve 20
before=$(broker_bytes)
python3 tests/vm/silent.py $port "$count" >/tmp/held.silent 2>&1 &
wait_until 1200 grep -q there /tmp/held.silent
wait_until 60 all_are_held
echo "result: held $(status '.listeners[0].held')"
each=$((($(broker_bytes) - before) / count))
echo "result: the broker has $each bytes for each"
((each <= bytes_max)) || fail "more than $bytes_max"
serve 20

first=$(status .pid)
kill -KILL "$first"
wait_until 120 status ".pid != $first"
all_are_held >/dev/null || fail "after the broker's death: $(status '.listeners[0]')"
"$sshim" upgrade --control $control || fail "the upgrade failed"
all_are_held >/dev/null || fail "after an upgrade: $(status '.listeners[0]')"
echo "result: all are held after the broker's death and an upgrade"
serve 20

configure 1
"$sshim" restart --control $control || fail "the restart failed"
wait_until 300 status '.listeners[0].held == 0'
wait_until 300 grep -q fin /tmp/held.silent
grep -qx "fin $count, rst 0" /tmp/held.silent || fail "the clients saw: $(cat /tmp/held.silent)"
status ".listeners[0] | .hold_timeouts == $count and .accepted - .recalled == $count + $served and .handed - .recalled == $served" >/dev/null ||
    fail "a sum is wrong: $(status '.listeners[0]')"
serve 20
echo "result: all were closed by FIN when their time was over"
"$sshim" stop --control $control
