# A broker that is silent (stopped, hung) makes nobody wait for ever.
load helpers

# gives_up NAME COMMAND...: ends by itself, with a line that says what it waited for.
gives_up() {
    local name=$1 code=0
    shift
    timeout 60 "$@" >"$TMP/out.$name" 2>&1 8>&- 3>&- || code=$?
    echo "$name: $code"
    ((code != 0 && code != 124))
}

@test "status, stop, restart and a second run give up on a broker that does not answer, and say so" {
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    kill -STOP "$BROKER"
    local commands=(status stop restart) name pids=()
    for name in "${commands[@]}"; do
        gives_up "$name" "$SSHIM" "$name" --control "$CONTROL" &
        pids+=($!)
    done
    gives_up run "$SSHIM" run --control "$CONTROL" -- "$VICTIM" accept "$ADDR" &
    pids+=($!)
    for name in "${pids[@]}"; do
        wait "$name"
    done
    for name in "${commands[@]}"; do
        grep -q "did not answer .* within" "$TMP/out.$name"
    done
    grep -q "another broker already runs" "$TMP/out.run"
    kill -CONT "$BROKER"
    probe 2
    stop_broker
    [[ $STATUS == 0 ]]
}
