# What a worker of another user is lent: the broker's rights for what the pool had before, and room beside others.
load helpers

# start_attacked ATTACK [ARGUMENTS]: two victims of another user; beside one of them the attack begins when all are ready.
start_attacked() {
    [[ $(id -u) == 0 ]] || skip "only root can start workers of another user"
    share_build
    cp "$ROOT/tests/hostile/worker_rights.py" "$TMP/build"
    cat >"$TMP/build/server" <<END
[ "\$SSHIM_WORKER_ID" = 1 ] || (until [ -e "$TMP/build/go" ]; do sleep 0.1; done; exec python3 "$TMP/build/worker_rights.py" $*) &
exec "$VICTIM" accept $ADDR
END
    chmod -R a+rX "$TMP/build"
    start_broker -w 2 --user nobody "${OPTIONS[@]}" -- sh "$TMP/build/server"
    touch "$TMP/build/go"
    wait_until grep -q attacks "$TMP/out"
    grep attacks "$TMP/out"
}

@test "a worker of another user gets no low port that the pool has not had" {
    start_attacked low "$HOST" 1 22 80 443 1023
    grep -q "shared 0 of 5" "$TMP/out"
    log_has "is to bind $HOST:1 by its own rights"
    [[ $(grep -c "by its own rights" "$TMP/log") == 1 ]]
    probe 5
    stop_broker
    [[ $STATUS == 0 ]]
}

@test "a low port that --share names is lent to a worker of another user at any time" {
    OPTIONS=(--share "$HOST:81")
    start_attacked low "$HOST" 81 82
    grep -q "shared 1 of 2" "$TMP/out"
    stop_broker
}

@test "what the pool binds before it has served is lent, and again after all workers ended" {
    [[ $(id -u) == 0 ]] || skip "only root can start workers of another user"
    share_build
    ADDR=$HOST:83
    start_broker -w 2 --user nobody -- "$VICTIM" accept "$ADDR"
    probe 5
    local pids
    pids=$(status_of '[.workers[].pid] | join(" ")')
    # shellcheck disable=SC2086
    kill -KILL $pids
    wait_until status_is '([.workers[].restarts] | add) == 2 and .state == "ready"'
    probe 5
    stop_broker
}

@test "a worker cannot pass off sockets of its own for listeners that were shared" {
    start_attacked again
    grep -q "shared 0 of 60" "$TMP/out"
    listeners_are 1
    stop_broker
}

listeners_are() { # COUNT
    status_is ".listeners | length == $1"
}

@test "one worker cannot take all names, and what it has taken is given back when it has ended" {
    start_attacked many
    local got
    got=$(sed -n 's/.*shared \([0-9]*\) of.*/\1/p' "$TMP/out")
    ((got > 60 && got <= 128))
    [[ $(status_of '.listeners | length') == $((got + 1)) ]]
    # another worker has room beside it
    start_other env SSHIM_BROKER="$CONTROL" LD_PRELOAD="$LIB" python3 -c 'import socket, time
kept = [socket.socket(socket.AF_UNIX) for _ in range(50)]
for i, s in enumerate(kept):
    s.bind("\0room%d" % i)
    s.listen()
print("room for 50", flush=True)
time.sleep(1000)'
    wait_until grep -q "room for 50" "$TMP/out.other"
    kill -KILL "$OTHER"
    rm "$TMP/build/go"
    kill -KILL "$(worker_pid 0)"
    wait_until listeners_are 1
    probe 5
    stop_broker
    [[ $STATUS == 0 ]]
}
