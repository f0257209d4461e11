# What a worker leaves behind: may serve what it has until its own deadline, is ended after that, whatever happens to the broker.
load helpers
load deploy

forking() { # OPTIONS of run: a child for each connection
    start_broker --settle 0 "$@" -- python3 "$ROOT/tests/progs/forker.py" "$ADDR"
}

# A client on descriptor FD; $CHILD is the process that serves it.
meet() { # FD
    local word
    eval "exec $1<>/dev/tcp/$HOST/$PORT"
    read -r word CHILD <&"$1"
    [[ $word == hello ]]
}

still_serves() { # FD PID
    local answer
    echo >&"$1"
    read -r -t "$DEADLINE_S" answer <&"$1"
    [[ $answer == "still $2" ]]
}

restart() {
    timeout 90 "$SSHIM" restart --no-wait --control "$CONTROL"
}

only_workers() { # COUNT
    status_is "[.workers[].state] == [$(printf '"ready",%.0s' $(seq "$1") | sed 's/,$//')]"
}

# The worker of CHILD is replaced and has ended; the child goes on.
leave_behind() {
    meet 7
    LEFT=$CHILD
    restart
    wait_until only_workers 2
    still_serves 7 "$LEFT"
}

hang_up() {
    exec 7<&- 7>&-
    wait_until is_gone "$LEFT"
}

@test "an upgrade cuts no connection that a replaced worker has left behind" {
    forking -w 2
    leave_behind
    timeout 60 "$SSHIM" upgrade --control "$CONTROL"
    kill -KILL "$(worker_pid 0)" # its end makes the new program look for leftovers
    wait_until status_is '.workers[0].restarts == 2'
    wait_until only_workers 2
    sleep 1 # the measured time
    still_serves 7 "$LEFT"
    hang_up
    stop_broker
}

@test "the crash of another worker cuts none" {
    forking -w 2
    leave_behind
    kill -KILL "$(worker_pid 0)" "$(worker_pid 1)"
    wait_until status_is '[.workers[].restarts] | min >= 2'
    wait_until only_workers 2
    sleep 1
    still_serves 7 "$LEFT"
    hang_up
    stop_broker
}

@test "a second restart cuts none" {
    forking -w 2
    leave_behind
    restart
    wait_until only_workers 2
    sleep 1
    still_serves 7 "$LEFT"
    hang_up
    stop_broker
}

@test "a crash of the broker cuts none, and what is left is ended by stop" {
    forking -w 2
    leave_behind
    kill -KILL "$BROKER"
    wait_for_broker
    wait_until only_workers 2
    sleep 1
    still_serves 7 "$LEFT"
    "$SSHIM" stop --control "$CONTROL"
    is_gone "$LEFT"
    exec 7<&- 7>&-
}

@test "each is cut at the deadline of its own drain: a later restart does not put it off" {
    forking -w 1 --stop-timeout 12
    leave_behind_one() { # FD
        meet "$1"
        restart
        wait_until only_workers 1
    }
    leave_behind_one 7
    LEFT=$CHILD
    sleep 3 # so much later is the second deadline, or more
    leave_behind_one 6
    kill -KILL "$BROKER" # and a crash does not either
    wait_for_broker
    wait_until is_gone "$LEFT"
    still_serves 6 "$CHILD"
    wait_until is_gone "$CHILD"
    exec 6<&- 6>&- 7<&- 7>&-
    "$SSHIM" stop --control "$CONTROL"
}

servers() {
    pgrep -f "^[^ ]*python3 $ROOT/tests/progs/deploy.py $TMP/conf\$"
}

hears() { # NAME: so do 12 clients
    local i answer
    for ((i = 0; i < 12; i++)); do
        exec 7<>"/dev/tcp/$HOST/$PORT"
        read -r answer _ <&7
        exec 7<&- 7>&-
        [[ $answer == "$1" ]] || return 1
    done
}

so_many() { # COUNT of processes of the server
    [[ $(servers | wc -l) == "$1" ]]
}

@test "after a crash of the broker a restart ends what the old workers leave behind" {
    deploy name=old "$ADDR" fork=2
    serve -w 2
    wait_until so_many 6
    kill -KILL "$BROKER"
    wait_for_broker
    wait_until only_workers 2
    deploy name=new "$ADDR" fork=2
    timeout 90 "$SSHIM" restart --control "$CONTROL"
    hears new
    wait_until so_many 6
    hears new
    "$SSHIM" stop --control "$CONTROL"
    so_many 0
}

@test "after a crash of the broker a stop ends what was left of a worker that was killed" {
    deploy name=old term=ignore "$ADDR" fork=2
    serve -w 1 --stop-timeout 1
    wait_until so_many 3
    kill -KILL "$BROKER"
    wait_for_broker
    wait_until only_workers 1
    kill -KILL "$(worker_pid 0)"
    wait_until status_is '.workers[0].restarts == 1'
    "$SSHIM" stop --control "$CONTROL"
    so_many 0
}

@test "TERM reaches a server behind a script that handles TERM and waits for it" {
    cat >"$TMP/script" <<END
#!/bin/sh
trap : TERM
python3 '$ROOT/tests/progs/deploy.py' '$TMP/conf' &
wait
wait
END
    chmod +x "$TMP/script"
    deploy name=old "$ADDR"
    start_broker -w 2 --stop-timeout 600 -- "$TMP/script"
    deploy name=new "$ADDR"
    timeout 60 "$SSHIM" restart --control "$CONTROL"
    hears new
    stop_broker # at once, not after --stop-timeout
}

@test "a server in a pid namespace of its own is replaced and stopped" {
    unshare -Ur true || skip "no user namespaces here"
    deploy name=old "$ADDR"
    start_broker -w 2 --stop-timeout 2 -- unshare --user --map-root-user --pid --fork python3 "$ROOT/tests/progs/deploy.py" "$TMP/conf"
    deploy name=new "$ADDR"
    timeout 60 "$SSHIM" restart --control "$CONTROL"
    hears new
    wait_until so_many 2 # the first process of a namespace ends by KILL alone
    hears new
    stop_broker
}
