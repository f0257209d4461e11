# --share all with one copy: a connection is at the listener when connect() returns, as natively.

load helpers

sole() { # WAY
    start_broker -w 1 --share all -- /usr/bin/python3 "$BATS_TEST_DIRNAME/progs/sole.py" "$ADDR" "$1"
    wait_until grep -q wrong "$TMP/out"
    [[ $(<"$TMP/out") == "0 wrong" ]]
    stop_broker
    [[ $STATUS == 0 ]]
}

@test "an only copy that connects to itself finds it by accept" { sole accept; }
@test "an only copy that connects to itself finds it by poll" { sole poll; }
@test "an only copy that connects to itself finds it by select" { sole select; }
@test "an only copy that connects to itself finds it by epoll" { sole epoll; }

@test "an only copy's late listeners are shared though none is open, and what it closes is free for all at once" {
    start_broker -w 1 --share all -- /usr/bin/python3 "$BATS_TEST_DIRNAME/progs/late.py" "$ADDR"
    wait_until grep -q taken "$TMP/out"
    [[ $(<"$TMP/out") == "0 private, 0 taken" ]]
    stop_broker
    [[ $STATUS == 0 ]]
}
