# What the broker may do itself: with --user it gives up most capabilities, and --sandbox filters its calls. All goes on.
load helpers

KEPT=0000000000080424 # kill, net_bind_service, sys_ptrace, dac_read_search

of_broker() { # FIELD of /proc/PID/status
    sed -n "s/^$1:[[:space:]]*//p" "/proc/$(status_of .pid)/status"
}

is_confined() {
    [[ $(of_broker CapEff) == "$KEPT" && $(of_broker CapPrm) == "$KEPT" ]]
}

child_named() { # COMMAND
    pgrep -P "$(status_of .pid)" -x "$1"
}

has_restarted() { # COUNT of the first slot
    status_is ".workers[0].restarts >= $1 and .state == \"ready\""
}

# A life with everything in it; of a low port, which takes a right that the broker keeps.
live() { # OPTIONS OF run
    [[ $(id -u) == 0 ]] || skip "only root has capabilities to give up"
    share_build
    ADDR=$HOST:85
    start_broker -w 2 --user nobody "$@" -- "$VICTIM" accept "$ADDR"
    is_confined
    probe 5
    kill -KILL "$(worker_pid 0)"
    wait_until has_restarted 1
    timeout "$DEADLINE_S" "$SSHIM" restart --control "$CONTROL"
    timeout "$DEADLINE_S" "$SSHIM" scale 3 --control "$CONTROL"
    probe 5
}

is_another_than() { # PID
    local pid
    pid=$(status_of .pid) && [[ $pid && $pid != "$1" ]]
}

# The keeper goes on as a broker that is as confined, and can start workers as well.
survive() {
    local before
    before=$(status_of .pid)
    kill -KILL "$1"
    wait_until is_another_than "$before"
    wait_until is_confined
    kill -KILL "$(worker_pid 0)"
    wait_until status_is '.state == "ready"'
    probe 5
}

has_deputy_other_than() { # PID
    local pid
    pid=$(child_named sshim-deputy) && [[ $pid != "$1" ]]
}

@test "with --user the broker keeps four capabilities, and goes on through all that it does" {
    live
    local deputy
    deputy=$(child_named sshim-deputy)
    timeout "$DEADLINE_S" "$SSHIM" upgrade --control "$CONTROL"
    is_confined
    has_deputy_other_than "$deputy"
    is_gone "$deputy"
    [[ $(of_broker NoNewPrivs) == 0 ]]
    kill -KILL "$(child_named sshim-keeper || pgrep -P "$(child_named sshim-deputy)" -x sshim-keeper)"
    wait_until pgrep -P "$(child_named sshim-deputy)" -x sshim-keeper
    survive "$BROKER"
    survive "$(child_named sshim-deputy)"
    timeout "$DEADLINE_S" "$SSHIM" stop --control "$CONTROL"
    wait_for_broker
    [[ ! -e $CONTROL ]]
}

@test "--sandbox filters the broker's calls and not the workers', and all goes on" {
    export ASAN_OPTIONS=detect_leaks=0 # that looks by ptrace(2)
    live --sandbox
    [[ $(of_broker Seccomp) == 2 && $(of_broker NoNewPrivs) == 1 ]]
    [[ $(sed -n 's/^Seccomp:[[:space:]]*//p' "/proc/$(worker_pid 0)/status") == 0 ]]
    [[ $(sed -n 's/^NoNewPrivs:[[:space:]]*//p' "/proc/$(worker_pid 0)/status") == 0 ]]
    run "$SSHIM" upgrade --control "$CONTROL"
    [[ $status == 1 && $output == *"--sandbox permits no execution in place"* ]]
    survive "$BROKER"
    [[ $(of_broker Seccomp) == 2 ]]
    survive "$(child_named sshim-deputy)"
    timeout "$DEADLINE_S" "$SSHIM" stop --control "$CONTROL"
    wait_for_broker
    [[ ! -e $CONTROL ]]
}

@test "a broker without --user keeps what it has, and starts no deputy" {
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    [[ $(of_broker CapPrm) == "$(sed -n 's/^CapPrm:[[:space:]]*//p' /proc/self/status)" ]]
    [[ -z $(child_named sshim-deputy) ]]
    stop_broker
}
