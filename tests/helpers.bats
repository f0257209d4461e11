# The leak check that every test ends with is itself able to fail.
load helpers

@test "a clean run of a broker leaves nothing" {
    start_broker -w 2 -- "$VICTIM" accept "$ADDR"
    stop_broker
    [[ $STATUS == 0 ]]
    assert_nothing_left
}

@test "the leak check finds a process" {
    start_other sleep 100
    wait_until eval '! no_process_is_left'
    LEFT_DEADLINE_S=0 run assert_nothing_left
    [[ $status == 1 ]]
    [[ $output == *"left behind: processes"*"sleep 100"* ]]
}

@test "the leak check finds a worker that outlives a killed broker" {
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    kill -KILL "$BROKER"
    wait_until is_gone "$BROKER"
    LEFT_DEADLINE_S=0 run assert_nothing_left
    [[ $status == 1 ]]
    [[ $output == *"left behind: processes"*"victim"* ]]
    [[ $output == *"left behind: sockets"*"$CONTROL"* ]]
    rm "$CONTROL" "$CONTROL.link"
}

@test "the leak check finds a socket file" {
    python3 -c 'import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$TMP/left.sock"
    run assert_nothing_left
    [[ $status == 1 ]]
    [[ $output == *"left behind: sockets"*"$TMP/left.sock"* ]]
    rm "$TMP/left.sock"
}

@test "the leak check finds an abstract socket" {
    start_other python3 -c 'import socket,sys,time
s = socket.socket(socket.AF_UNIX)
s.bind("\0sshim:0123abcd:" + sys.argv[1])
time.sleep(100)' "$CONTROL"
    wait_until grep -qF "@sshim:0123abcd:$CONTROL" /proc/net/unix
    LEFT_DEADLINE_S=0 run assert_nothing_left
    [[ $status == 1 ]]
    [[ $output == *"left behind: an abstract socket"* ]]
}

@test "the leak check finds a sanitizer's report" {
    echo 'a.c:1:1: runtime error: signed integer overflow' >"$TMP/log"
    run assert_nothing_left
    [[ $status == 1 ]]
    [[ $output == *"a sanitizer complained"* ]]
    rm "$TMP/log"
}

@test "wait_until fails at its deadline" {
    DEADLINE_S=0 run wait_until false
    [[ $status == 1 ]]
    [[ $output == *"not within"* ]]
}

@test "a foreign suite leaves no broker behind that its keeper has revived" {
    BUILD=$BUILD FOREIGN_OUT=$TMP PYTHONPATH=$BATS_TEST_DIRNAME/foreign run python3 - "$VICTIM" "$ADDR" <<'END'
import os, sys, time
import run

class Suite:
    unprivileged = False
    seconds = 60

def kill_broker(process, end, deadline):
    while run.ONBOARD["worker"] not in run.read(folder + "/.log"):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()

folder = os.environ["FOREIGN_OUT"]
control = folder + "/.control"
run.wait_for_end = kill_broker
run.run_once(Suite, [sys.argv[1], "accept", sys.argv[2]], folder, "worker")
print("left", run.find_processes(control))
END
    echo "$output"
    [[ $status == 0 ]]
    [[ $output == "left []" ]]
    rm -f "$TMP"/.[a-z]*
}
