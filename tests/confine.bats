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
    survive "$BROKER"
    [[ $(of_broker Seccomp) == 2 ]]
    survive "$(child_named sshim-deputy)"
    timeout "$DEADLINE_S" "$SSHIM" stop --control "$CONTROL"
    wait_for_broker
    [[ ! -e $CONTROL ]]
}

is_sandboxed() {
    [[ $(of_broker Seccomp) == 2 && $(of_broker NoNewPrivs) == 1 ]] && is_confined
}

@test "--sandbox: an upgrade is executed by the keeper, is confined as well, and can be taken back" {
    export ASAN_OPTIONS=detect_leaks=0
    live --sandbox
    local before keeper pids
    before=$(status_of .pid)
    keeper=$(child_named sshim-keeper)
    pids=$(status_of '[.workers[].pid] | sort')
    run timeout "$DEADLINE_S" "$SSHIM" upgrade --control "$CONTROL"
    [[ $status == 0 && $output == "upgraded to $SSHIM" ]]
    status_is ".pid == $keeper"
    wait_until is_gone "$before"
    is_sandboxed
    [[ $(status_of '[.workers[].pid] | sort') == "$pids" ]]
    probe 5
    survive "$(status_of .pid)" # the new program has a keeper
    wait_until is_sandboxed

    pids=$(status_of '[.workers[].pid] | sort')
    mv "$SSHIM" "$TMP/build/true-sshim"
    printf '#!/bin/sh\n[ "$1" = rehearse ] && echo "sshim can go on from here" && exit 0\nexit 3\n' >"$SSHIM"
    chmod 755 "$SSHIM"
    run timeout "$DEADLINE_S" "$TMP/build/true-sshim" upgrade --control "$CONTROL"
    [[ $status == 1 && $output == "sshim: cannot upgrade to $SSHIM: "*"before it served"* ]]
    SSHIM=$TMP/build/true-sshim
    wait_until is_sandboxed
    [[ $(status_of '[.workers[].pid] | sort') == "$pids" ]]
    survive "$(status_of .pid)"
    timeout "$DEADLINE_S" "$SSHIM" stop --control "$CONTROL"
    wait_for_broker
    no_process_is_left
}

@test "--sandbox: as pid 1 of a container the broker refuses an upgrade, and goes on" {
    [[ $(id -u) == 0 ]] || skip "only root makes a namespace of pids"
    export ASAN_OPTIONS=detect_leaks=0
    printf '#!/bin/sh\nexec unshare --pid --fork --kill-child --mount-proc %s "$@"\n' "$SSHIM" >"$TMP/container"
    chmod 755 "$TMP/container"
    local sshim=$SSHIM
    SSHIM=$TMP/container
    start_broker -w 2 --sandbox -- "$VICTIM" accept "$ADDR"
    SSHIM=$sshim
    run timeout "$DEADLINE_S" "$SSHIM" upgrade --control "$CONTROL"
    [[ $status == 1 && $output == "sshim: cannot upgrade to $SSHIM: "*"pid 1"* ]]
    status_is '.pid == 1 and .ready == 2'
    probe 3
    stop_broker
}

@test "a broker without --user keeps what it has; its deputy starts the workers alone" {
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    [[ $(of_broker CapPrm) == "$(sed -n 's/^CapPrm:[[:space:]]*//p' /proc/self/status)" ]]
    kill -KILL "$(child_named sshim-keeper)"
    wait_until child_named sshim-keeper
    [[ -n $(child_named sshim-deputy) && -z $(pgrep -P "$(child_named sshim-deputy)") ]]
    stop_broker
}

hooked() { # TEXT
    grep -q -- "$1" "$TMP/hooked"
}

runs_as() { # USER COLOUR
    local pid
    pid=$(worker_pid 0) && [[ $(stat -c %U "/proc/$pid") == "$1" ]] && tr '\0' '\n' <"/proc/$pid/environ" | grep -qx "COLOUR=$2"
}

@test "the operator's files and command have the first rights also in the sandbox: --log, --pidfile-dir, --on-event, --config" {
    [[ $(id -u) == 0 ]] || skip "only root has capabilities to give up"
    share_build
    install -d -o nobody -m 700 "$TMP/theirs" # into which root writes by CAP_DAC_OVERRIDE alone
    printf 'user = nobody\nenv = COLOUR=red\n' >"$TMP/options.conf"
    export ASAN_OPTIONS=detect_leaks=0
    start_broker -w 1 --sandbox --config "$TMP/options.conf" --log "$TMP/theirs/log" --pidfile-dir "$TMP/theirs" \
        --on-event "echo \$SSHIM_EVENT \$(sed -n 's/^CapEff:[[:space:]]*//p;s/^NoNewPrivs:[[:space:]]*//p' /proc/self/status) >>$TMP/hooked" \
        -- "$VICTIM" accept "$ADDR"
    runs_as nobody red
    wait_until hooked "^ready .*$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status)"
    grep "^ready" "$TMP/hooked" | tr " " "\n" | grep -qx 0
    mv "$TMP/theirs/log" "$TMP/theirs/log.1"
    "$SSHIM" reopen --control "$CONTROL"
    printf 'user = daemon\nenv = COLOUR=blue\n' >"$TMP/options.conf"
    timeout "$DEADLINE_S" "$SSHIM" restart --control "$CONTROL"
    runs_as daemon blue
    [[ -s $TMP/theirs/log && $(<"$TMP/theirs/options-0.pid") == "$(worker_pid 0)" ]]
    "$SSHIM" stop --control "$CONTROL"
    wait_for_broker
    [[ ! -e $TMP/theirs/options.pid ]]
}

# A new worker, of the broker that goes on.
starts_as() { # USER COLOUR
    local before
    before=$(worker_pid 0)
    kill -KILL "$before"
    wait_until status_is ".workers[0].pid != $before and .state == \"ready\""
    runs_as "$1" "$2"
}

@test "what a reload has changed stays after an upgrade and after a crash: --user, --sandbox" {
    [[ $(id -u) == 0 ]] || skip "only root has capabilities to give up"
    share_build
    export ASAN_OPTIONS=detect_leaks=0
    local sandbox before
    for sandbox in "" --sandbox; do
        printf 'user = nobody\nenv = COLOUR=red\n' >"$TMP/options.conf"
        # shellcheck disable=SC2086
        start_broker -w 1 $sandbox --config "$TMP/options.conf" -- "$VICTIM" accept "$ADDR"
        runs_as nobody red
        printf 'user = daemon\nenv = COLOUR=green\nenv = SHAPE=round\n' >"$TMP/options.conf"
        timeout "$DEADLINE_S" "$SSHIM" restart --control "$CONTROL"
        runs_as daemon green
        timeout "$DEADLINE_S" "$SSHIM" upgrade --control "$CONTROL"
        starts_as daemon green
        printf 'user = nobody\nenv = COLOUR=blue\n' >"$TMP/options.conf"
        timeout "$DEADLINE_S" "$SSHIM" restart --control "$CONTROL"
        runs_as nobody blue
        before=$(status_of .pid)
        kill -KILL "$before"
        wait_until is_another_than "$before"
        starts_as nobody blue
        # and the file can be read again
        printf 'user = daemon\nenv = COLOUR=white\n' >"$TMP/options.conf"
        timeout "$DEADLINE_S" "$SSHIM" restart --control "$CONTROL"
        runs_as daemon white
        stop_broker
        no_process_is_left
    done
}

@test "the processes that read NOTIFY_SOCKETs and the workers' output have the broker's few rights and its filter" {
    [[ $(id -u) == 0 ]] || skip "only root has capabilities to give up"
    share_build
    start_broker -w 2 --user nobody --sandbox --log-prefix --ready notify -- sh -c 'systemd-notify --ready && exec "$0" "$@"' "$VICTIM" accept "$ADDR"
    wait_until status_is '.state == "ready"'
    local name
    for name in sshim-receiver sshim-lines; do
        grep -qx "CapEff:[[:space:]]*$KEPT" "/proc/$(child_named "$name")/status"
        grep -qx "Seccomp:[[:space:]]*2" "/proc/$(child_named "$name")/status"
    done
    probe 5
    stop_broker
}

field_of() { # PID FIELD of /proc/PID/status
    sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status"
}

@test "workers have the rights of their user and no others" {
    [[ $(id -u) == 0 ]] || skip "only root has capabilities to give up"
    share_build
    local pid options
    # an ambient capability of the broker's is none of a worker's
    printf '#!/bin/sh\nexec capsh --keep=1 --inh=cap_net_raw --addamb=cap_net_raw -- -c '\''exec "$0" "$@"'\'' "%s" "$@"\n' "$SSHIM" >"$TMP/build/ambient"
    chmod 755 "$TMP/build/ambient"
    SSHIM=$TMP/build/ambient
    for options in "--user nobody" "--group nogroup"; do
        # shellcheck disable=SC2086 # two words
        start_broker -w 1 $options -- "$VICTIM" accept "$ADDR"
        pid=$(worker_pid 0)
        grep -qx "CapAmb:[[:space:]]*0*" "/proc/$pid/status"
        [[ $(ps -o pgid= -p "$pid" | tr -d ' ') == "$pid" ]]
        if [[ $options == --user* ]]; then
            [[ $(field_of "$pid" Uid | cut -f1) == 65534 && $(field_of "$pid" CapEff) =~ ^0+$ && $(field_of "$pid" CapPrm) =~ ^0+$ ]]
            [[ $(field_of "$pid" Groups | xargs) == "$(id -G nobody)" ]]
        else
            [[ $(field_of "$pid" Gid | cut -f1) == 65534 && -z $(field_of "$pid" Groups | xargs) ]]
        fi
        stop_broker
    done
}
