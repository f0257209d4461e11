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
