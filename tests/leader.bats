# --leader ADDR: connections to one address go to the lowest slot that lives, and to no other.
load helpers

# Two listeners: all share the first, the second is led.
start_led() { # MODE OPTIONS...
    local mode=$1
    shift
    LED=$HOST:$((PORT + 1))
    start_broker -w 3 --settle 0 --leader "$((PORT + 1))" "$@" -- "$VICTIM" "$mode" "$ADDR" "$LED"
    wait_until victims_listen 3
}

leads() { # SLOT [LISTENER]
    status_is "[.listeners[] | select(.address == \"$LED\") | .leader] == [$1]"
}

# Every answer comes from that slot, and status says so; the other address is shared by all.
led_by() { # SLOT
    leads "$1"
    probe 20 "$LED"
    [[ $(grep -o 'slot=[0-9]*' "$TMP/answers" | sort -u) == "slot=$1" ]]
}

@test "one worker alone has the address; the next one if it dies, is drained, stopped or scaled away" {
    local mode pid
    for mode in epoll poll select; do
        start_led $mode
        led_by 0
        all_answer 3
        "$SSHIM" status --control "$CONTROL" | grep -F "$LED at slot 0 "
        status_is "[.listeners[] | select(.address == \"$ADDR\") | .leader] == [null]"
        timeout 60 "$SSHIM" drain 0 --control "$CONTROL"
        led_by 1
        pid=$(worker_pid 1)
        kill -STOP "$pid"
        wait_until leads 2
        led_by 2
        kill -CONT "$pid"
        wait_until leads 1
        timeout 60 "$SSHIM" resume 0 --control "$CONTROL"
        led_by 0
        stop_broker
        : >"$TMP/out"
    done
}

@test "a leader that is killed is followed before its own successor begins, and leads again when it is back" {
    local before
    LED=$HOST:$((PORT + 1))
    cat >"$TMP/start.sh" <<'END'
if [ "$SSHIM_WORKER_ID" = 0 ] && [ -e "$1/late" ]; then
    until [ -e "$1/go" ]; do sleep 0.02; done
fi
shift
exec "$@"
END
    start_broker -w 3 --settle 0 --balance source --leader "$LED" -- sh "$TMP/start.sh" "$TMP" "$VICTIM" epoll "$ADDR" "$LED"
    wait_until victims_listen 3
    led_by 0
    before=$(worker_pid 0)
    touch "$TMP/late"
    kill -KILL "$before"
    probe 1 "$LED"
    grep -q 'slot=1 ' "$TMP/answers"
    led_by 1
    touch "$TMP/go"
    wait_until victims_listen 4
    wait_until leads 0
    led_by 0
    [[ $(worker_pid 0) != "$before" ]]
    stop_broker
}

@test "it holds over a restart, an upgrade, a killed broker, and follows the number of workers" {
    start_led epoll
    timeout 60 "$SSHIM" restart --control "$CONTROL"
    led_by 0
    timeout 60 "$SSHIM" drain 0 --control "$CONTROL"
    timeout 60 "$SSHIM" upgrade --control "$CONTROL"
    led_by 1
    kill -KILL "$BROKER"
    wait_for_broker
    wait_until status_is '.state == "ready"'
    led_by 1
    timeout 60 "$SSHIM" scale 1 --control "$CONTROL"
    timeout 60 "$SSHIM" resume 0 --control "$CONTROL"
    led_by 0
    timeout 60 "$SSHIM" stop --control "$CONTROL"
}

@test "clients of a busy leader wait for it, and no other worker takes them" {
    LED=$HOST:$((PORT + 1))
    start_broker -w 3 --leader "$LED" -- "$VICTIM" accept "$LED"
    "$PROBE" -n 200 -c 20 "$LED" >"$TMP/answers"
    [[ $(grep -o 'slot=[0-9]*' "$TMP/answers" | sort -u) == slot=0 ]]
    status_is '.listeners[0] | .direct == 0 and .accepted >= 200'
    stop_broker
}

@test "a leader gets no more than --max-conns-per-worker, by either balance, and the next one when one ends" {
    local balance
    LED=$HOST:$((PORT + 1))
    for balance in leastconn source; do
        start_broker -w 2 --balance $balance --leader "$LED" --max-conns-per-worker 1 -- "$VICTIM" epoll --hold "$LED"
        exec 6<>"/dev/tcp/$HOST/$((PORT + 1))" 7<>"/dev/tcp/$HOST/$((PORT + 1))"
        wait_until status_is '[.workers[].active] == [1, 0] and (.listeners[0] | .held + .queued) == 1'
        exec 6>&-
        wait_until status_is '[.workers[].active] == [1, 0] and (.listeners[0] | .held + .queued) == 0'
        exec 7>&-
        stop_broker
    done
}

@test "the option changes with the file; --handoff direct and seccomp refuse it" {
    local bad
    LED=$HOST:$((PORT + 1))
    printf 'workers = 3\nsettle = 0\n' >"$TMP/web.conf"
    start_broker --config "$TMP/web.conf" -- "$VICTIM" epoll "$ADDR" "$LED"
    wait_until victims_listen 3
    all_answer 3 "$LED"
    printf 'workers = 3\nsettle = 0\nleader = %s\n' "$LED" >"$TMP/web.conf"
    timeout 60 "$SSHIM" restart --control "$CONTROL"
    led_by 0
    printf 'workers = 3\nsettle = 0\n' >"$TMP/web.conf"
    timeout 60 "$SSHIM" restart --control "$CONTROL"
    all_answer 3 "$LED"
    stop_broker
    for bad in 0 '*:0' 127.0.0.1:0 '[::1]:0'; do
        run "$SSHIM" run --leader "$bad" -- true
        [[ $status == 2 && $output == *"invalid value '$bad' for --leader: expected a PORT above 0"* ]]
    done
    run "$SSHIM" run --handoff direct --leader 80 -- true
    [[ $status == 2 && $output == *"there is no --leader; leave one of the two out"* ]]
    run "$SSHIM" run --control "$CONTROL" --intercept seccomp --leader 80 -- true
    [[ $status != 0 && $output == *"--leader needs the library"* ]]
}
