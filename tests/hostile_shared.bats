# What a worker of another user can do to what all workers share, and what the others have of it.
load helpers

HOSTILE=$BUILD/tests/hostile

# start_beside ATTACKER ARGUMENTS...: the attacker fills slot 0, honest servers the others. All are another user's.
start_beside() {
    [[ $(id -u) == 0 ]] || skip "only root can start workers of another user"
    share_build
    cp "$HOSTILE/$1" "$TMP/build"
    cat >"$TMP/build/server" <<END
[ "\$SSHIM_WORKER_ID" != 0 ] || [ -e "$TMP/build/honest" ] || exec "$TMP/build/$1" ${*:2}
exec "$VICTIM" accept $ADDR
END
    chmod -R a+rX "$TMP/build"
    start_broker -w 3 --user nobody -- sh "$TMP/build/server"
    touch "$TMP/build/go"
}

# shuts_for_a_second [skilful]
shuts_for_a_second() {
    start_beside worker_shuts "$HOST" "$PORT" "$TMP/build/go" 1 "$@"
    local tries=0
    until grep -q "attack over" "$TMP/out"; do
        timeout 5 "$PROBE" -n 1 "$ADDR" >"$TMP/answers" || true # an honest client, who may be refused meanwhile
        ((++tries < 1000))
    done
    wait_until answers
    probe 50
    log_has "has shut the socket down"
    status_is '.listeners[0].shut_downs > 0'
    turns_are_short 1000
    touch "$TMP/build/honest"
    "$SSHIM" restart --control "$CONTROL"
    probe 20
    stop_broker
    [[ $STATUS == 0 ]]
}

answers() {
    timeout 5 "$PROBE" -n 1 "$ADDR" >"$TMP/answers"
}

@test "a worker that shuts the socket of all for a second ends the service for no longer" {
    shuts_for_a_second
}

@test "a worker that marks the shut socket, so that its connections are born dead, ends the service for no longer" {
    shuts_for_a_second skilful
}

sees_what_another_serves() {
    timeout 10 "$PROBE" -n 1 "$ADDR" >"$TMP/answers" || true # it says that the answer is not the one that it expects
    grep -q "attack over" "$TMP/out"
}

# What SECURITY.md says that it can: a copy cannot be taken back.
@test "a worker that looks at an offer and does not take it has a copy when another one is served by it" {
    start_beside worker_peeks "$HOST" "$PORT"
    wait_until sees_what_another_serves
    cat "$TMP/answers"
    grep -q "seen.*pid=" "$TMP/answers"
    probe 20
    stop_broker
    [[ $STATUS == 0 ]]
}
