# What each copy is started with: {id}, environment, folder, umask, niceness, limits, cores, files of pids. It holds over a crash,
# a restart and an upgrade, and if it cannot be applied the option and the reason are told.
load helpers

# A server that first notes in $TMP/seen.SLOT what it was started with.
recorder() {
    cat >"$TMP/recorder" <<'EOF'
#!/bin/bash
to=$1/seen.$SSHIM_WORKER_ID
{
    echo "args=$2 A=$A B=$B home=${HOME-none} notify=${NOTIFY_SOCKET-none}"
    echo "pwd=$PWD umask=$(umask) nice=$(nice) files=$(ulimit -Sn):$(ulimit -Hn) core=$(ulimit -c)"
    echo "cpus=$(sed -n 's/^Cpus_allowed_list:\t//p' /proc/self/status)"
} >"$to.new"
mv "$to.new" "$to"
shift 2
exec "$@"
EOF
    chmod 755 "$TMP/recorder"
}

saw() { # SLOT TEXT
    cat "$TMP/seen.$1"
    grep -qF -- "$2" "$TMP/seen.$1"
}

pid_in() { # FILE
    cat "$TMP/pids/$1.pid"
}

pids_are_right() {
    [[ $(pid_in web) == "$(status_of .pid)" && $(pid_in web-0) == "$(worker_pid 0)" && $(pid_in web-1) == "$(worker_pid 1)" ]]
}

@test "each copy gets its arguments, environment, folder, umask, niceness and limits, also after a crash, a restart and an upgrade" {
    recorder
    mkdir "$TMP"/{d0,d1,pids}
    HOME=/nowhere start_broker --name web -w 2 --env 'A=a{id}-{id}' --env 'B=x=y z' --chdir "$TMP/d{id}" --umask 027 --nice 5 --rlimit nofile=300:400 \
        --rlimit core=0 --pidfile-dir "$TMP/pids" -- "$TMP/recorder" "$TMP" 'n{id}' "$VICTIM" epoll "$ADDR"
    check() {
        saw 0 "args=n0 A=a0-0 B=x=y z home=/nowhere notify=none"
        saw 0 "pwd=$TMP/d0 umask=0027 nice=5 files=300:400 core=0"
        saw 1 "args=n1 A=a1-1"
        saw 1 "pwd=$TMP/d1"
        wait_until pids_are_right
        rm "$TMP"/seen.*
    }
    check
    kill -KILL "$(worker_pid 0)" "$(worker_pid 1)"
    wait_until test -e "$TMP/seen.0"
    wait_until test -e "$TMP/seen.1"
    wait_until workers_ready 2
    check
    kill -KILL "$BROKER"
    wait_until status_is '.state == "ready"'
    timeout 60 "$SSHIM" upgrade --control "$CONTROL"
    timeout 60 "$SSHIM" restart --control "$CONTROL"
    check
    [[ $(find "$TMP/pids" -type f | wc -l) == 3 ]]
    timeout 60 "$SSHIM" stop --control "$CONTROL"
    wait_for_broker
    wait_until rmdir "$TMP/pids" # they are gone
}

@test "--clean-env leaves PATH and what --env says; --cpus gives each copy a core of the usable ones" {
    recorder
    local first
    first=$(taskset -cp $$ | sed -E 's/.*: ([0-9]+).*/\1/')
    SECRET=1 HOME=/nowhere start_broker -w 2 --clean-env --env A=1 --cpus spread -- "$TMP/recorder" "$TMP" x "$VICTIM" accept "$ADDR"
    saw 0 "A=1 B= home=none"
    saw 0 "cpus=$first"
    (($(nproc) == 1)) || [[ $(grep cpus "$TMP/seen.0") != $(grep cpus "$TMP/seen.1") ]]
    ! tr '\0' '\n' <"/proc/$(worker_pid 0)/environ" | grep -q '^SECRET=' || false
    all_answer 2
    stop_broker
    start_broker -w 1 --cpus "$first" -- "$TMP/recorder" "$TMP" x "$VICTIM" accept "$ADDR"
    saw 0 "cpus=$first"
    stop_broker
}

@test "an option that cannot be applied is named with the reason" {
    refused() { # TEXT OPTIONS
        local text=$1
        shift
        run timeout 30 "$SSHIM" run --control "$CONTROL" -w 1 "$@" -- "$VICTIM" accept "$ADDR" 3>&- </dev/null
        echo "exit code $status, said: $output"
        [[ $status == 2 && $output == "sshim: $text" ]]
    }
    refused "cannot start worker 0: --chdir $TMP/no/0: No such file or directory; make that folder" --chdir "$TMP/no/{id}"
    refused "cannot start worker 0: --cpus 1023: Invalid argument; give cores that this process may use; 'taskset -cp \$\$' shows them" --cpus 1023
    refused "cannot write into the folder of --pidfile-dir $TMP/no: No such file or directory; make it, and let this user write there" \
        --pidfile-dir "$TMP/no"
    become_nobody
    refused "cannot start worker 0: --nice -5: Permission denied; only root may lower it, or whom RLIMIT_NICE permits it" --nice -5
    refused "cannot start worker 0: --rlimit core=unlimited: Operation not permitted; only root may raise a hard limit: give a lower one" \
        --rlimit core=0 --rlimit core=unlimited
}

@test "a copy whose folder is not there is tried again, and the log says why" {
    mkdir "$TMP/d0"
    start_broker -w 1 --chdir "$TMP/d{id}" -- "$VICTIM" accept "$ADDR"
    run timeout 60 "$SSHIM" scale 2 --control "$CONTROL" --no-wait 3>&-
    wait_until log_has "worker 1 could not be started: --chdir $TMP/d1: No such file or directory; starting it again"
    mkdir "$TMP/d1"
    wait_until workers_ready 2
    all_answer 2
    stop_broker
}

@test "a command with a slash is looked for in the folder of --chdir, as the workers' user" {
    share_build
    cp "$VICTIM" "$TMP/build/server"
    start_broker -w 1 --chdir "$TMP/build" -- ./server accept "$ADDR"
    all_answer 1
    stop_broker
    if ((EUID == 0)); then
        mkdir -m 700 "$TMP/closed"
        run timeout 30 "$SSHIM" run --control "$CONTROL" -w 1 --user nobody --chdir "$TMP/closed" -- "$VICTIM" accept "$ADDR" 3>&- </dev/null
        echo "$output"
        [[ $status == 2 && $output == *"--chdir $TMP/closed: Permission denied; let the workers' user enter that folder" ]]
    fi
}

# Each answer comes from that slot.
only_slot() { # SLOT ADDRESS
    probe 5 "$2"
    [[ $(grep -o 'slot=[0-9]*' "$TMP/answers" | sort -u) == "slot=$1" ]]
}

@test "--unshared PORT+{id}: each slot has a port of its own, which stays over a restart, a crash and an upgrade" {
    local own=$((PORT + 1))
    start_broker -w 2 --settle 0 --unshared "$HOST:$own+{id}" -- "$VICTIM" poll "$ADDR" "$HOST:$own"
    victims_listen 2
    each_has_its_own() {
        only_slot 0 "$HOST:$own"
        only_slot 1 "$HOST:$((own + 1))"
        all_answer "$1"
    }
    each_has_its_own 2
    timeout 60 "$SSHIM" restart --control "$CONTROL"
    each_has_its_own 2
    kill -KILL "$(worker_pid 1)"
    each_has_its_own 2
    kill -KILL "$BROKER"
    wait_for_broker
    wait_until status_is '.state == "ready"'
    timeout 60 "$SSHIM" upgrade --control "$CONTROL"
    timeout 60 "$SSHIM" scale 3 --control "$CONTROL"
    each_has_its_own 3
    only_slot 2 "$HOST:$((own + 2))"
    status_is "[.listeners[].address] | sort == ([\"$ADDR\", \"$HOST:$own\", \"$HOST:$((own + 1))\", \"$HOST:$((own + 2))\"] | sort)"
    timeout 60 "$SSHIM" stop --control "$CONTROL"
}

@test "--unshared PORT+{id} by --intercept seccomp and --handoff direct" {
    local own=$((PORT + 1)) way
    for way in "--intercept seccomp" "--handoff direct"; do
        # shellcheck disable=SC2086 # two words
        start_broker -w 2 $way --unshared "$own+{id}" -- "$VICTIM" poll "$ADDR" "$HOST:$own"
        wait_until victims_listen 2
        only_slot 0 "$HOST:$own"
        only_slot 1 "$HOST:$((own + 1))"
        stop_broker
        : >"$TMP/out"
    done
}
