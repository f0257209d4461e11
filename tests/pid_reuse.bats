# A number is no identity: what has got the pid of a worker while the broker was down is not that worker.
load helpers

# take_pid PID: starts a bystander with that pid; its pid is $BYSTANDER.
take_pid() {
    local tries
    for tries in {1..200}; do
        echo $(($1 - 1)) >/proc/sys/kernel/ns_last_pid
        sleep 60 3>&- 8>&- &
        BYSTANDER=$!
        if [[ $BYSTANDER == "$1" ]]; then
            STARTED+=("$BYSTANDER")
            return 0
        fi
        kill "$BYSTANDER"
        wait "$BYSTANDER" || true
    done
    echo "pid $1 was not to be had"
    return 1
}

@test "after a crash a process with the pid of a worker is neither taken for it nor ended" {
    [[ $(id -u) == 0 && -w /proc/sys/kernel/ns_last_pid ]] || skip "only root can choose the next pid"
    if [[ -z $OWN_PIDS ]]; then # others must not get the numbers that this test gives away
        OWN_PIDS=1 unshare --pid --fork --mount-proc --kill-child bats "$BATS_TEST_FILENAME"
        return
    fi
    start_broker -w 2 -- "$VICTIM" accept "$ADDR"
    local keeper worker
    keeper=$(pgrep -P "$BROKER" -x sshim-keeper)
    worker=$(worker_pid 1)
    kill -STOP "$keeper"
    kill -KILL "$BROKER" "$worker"
    wait_for_broker
    wait_until eval "[[ ! -e /proc/$worker ]]"
    take_pid "$worker"
    kill -CONT "$keeper"
    wait_until workers_ready 2
    [[ $(worker_pid 1) != "$BYSTANDER" ]]
    probe 4
    timeout "$DEADLINE_S" "$SSHIM" stop --control "$CONTROL"
    kill -0 "$BYSTANDER"
}
