# Workers that talk to the broker at random, all at once: no crash, no long turn, no honest connection lost.
# make fuzz-talk does it for longer, against a broker with sanitizers.
load helpers

TALK_SECONDS=${TALK_SECONDS:-6}
TALK_SEED=${TALK_SEED:-1}

all_have_talked() { # COUNT
    [[ $(grep -c talked "$TMP/out") -ge $1 ]]
}

@test "sequences of messages from several workers, with descriptors of every kind" {
    local user=() before
    if [[ $(id -u) == 0 ]]; then
        share_build
        user=(--user nobody)
    fi
    mkdir "$TMP/talk"
    cp "$ROOT/tests/fuzz/talk.py" "$TMP/talk"
    chmod -R a+rX "$TMP/talk"
    start_broker -w 3 --share all "${user[@]}" -- sh -c "(sleep 1; exec env -u LD_PRELOAD python3 '$TMP/talk/talk.py' $TALK_SEED $TALK_SECONDS) & exec '$VICTIM' accept $ADDR"
    before=$(broker_fds)
    start_other "$BUILD/tests/turns" "$BROKER" 100
    wait_until grep -q looks "$TMP/out.other"
    until all_have_talked 3; do
        probe 20
    done
    grep talked "$TMP/out"
    [[ $(grep -c "'granted': 0" "$TMP/out") == 0 ]]
    kill -TERM "$OTHER"
    wait "$OTHER"
    echo "seed $TALK_SEED, turns: $(tail -n 1 "$TMP/out.other")"
    grep -q ", 0 over 100 ms" "$TMP/out.other"
    status_is '[.workers[].restarts] == [0, 0, 0]'
    run log_has "stood still"
    ((status != 0))
    echo "descriptors: $before before, $(broker_fds) after"
    probe 20
    stop_broker
    [[ $STATUS == 0 ]]
}
