# The canonical socket before anybody listens, and after a broken worker has shut it down for all.
# shellcheck disable=SC2153 # STATUS: helpers.bash
load helpers

# say TEXT: prints what one worker answers; fails when it is refused.
say() {
    timeout 10 python3 - "$1" "$AT" <<'PYTHON'
import socket, sys
text, address = sys.argv[1:]
if address.startswith("/"):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
else:
    host, port = address.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)))
connection.settimeout(8)
connection.sendall(text.encode())
answer = connection.recv(16)
print(answer.decode())
sys.exit(not answer)
PYTHON
}

says() {
    say "$1" >/dev/null 2>&1
}

# Turns of the broker's loop within a second: a spin makes thousands.
assert_broker_rests() {
    timeout 1 strace -qq -e trace=epoll_wait -o "$TMP/turns" -p "$BROKER" || true
    echo "$(wc -l <"$TMP/turns") turns"
    (($(wc -l <"$TMP/turns") < 200))
}

start_vandal() {
    start_broker -w 3 -- python3 "$ROOT/tests/progs/vandal.py" "$AT" "$@"
}

@test "the broker sleeps while a server has bound its address and does not listen yet" {
    AT=$ADDR
    export LATE=$TMP/late
    launch_broker -v -w 1 -- python3 "$ROOT/tests/progs/vandal.py" "$AT" late
    wait_until status_is '.listeners | length == 1'
    assert_broker_rests
    touch "$LATE"
    wait_until workers_ready 1
    say hello
    stop_broker
}

@test "a socket that a worker has shut down for all listens again" {
    AT=$ADDR
    start_vandal reuse
    say shut
    wait_until says hello
    assert_broker_rests
    says hello
    stop_broker
}

@test "a TCP socket that the kernel does not let listen again is said so once, tried again, and costs no spin" {
    AT=$ADDR
    start_vandal
    exec 7<>"/dev/tcp/$HOST/$PORT" # a connection at the port, without SO_REUSEADDR: nobody else may have it
    say shut
    wait_until log_has "cannot listen again yet on $ADDR"
    assert_broker_rests
    [[ $(grep -c "cannot listen again" "$TMP/log") == 1 ]]
    status_is '.listeners[0].shut_downs >= 1'
    stop_broker
    [[ $STATUS == 0 ]]
}

@test "a socket file that a worker has shut down is said so, without a spin, and a restart makes a new one" {
    AT=$TMP/v.sock
    start_vandal
    say shut
    wait_until log_has "nobody listens any more on unix:$AT"
    assert_broker_rests
    status_is '.listeners[0].shut_downs == 1'
    "$SSHIM" restart --control "$CONTROL"
    says hello
    wait_until status_is '.listeners | length == 1'
    stop_broker
    [[ $STATUS == 0 ]]
}

@test "the worker that shut a socket down is named where it has it alone" {
    AT=$ADDR
    start_broker -w 1 -- python3 "$ROOT/tests/progs/vandal.py" "$AT" reuse
    say shut
    wait_until log_has "worker 0 (pid $(worker_pid 0)), which has it alone, has shut the socket down"
    wait_until says hello
    stop_broker
}
