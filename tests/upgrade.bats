# An upgrade of the broker ends with the new program serving, or with the old one serving on; whoever asked is told which.
load helpers

# Two folders of programs, and a link to the first one, by which the broker is started.
two_versions() {
    mkdir "$TMP/v1" "$TMP/v2"
    cp "$SSHIM" "$LIB" "$TMP/v1"
    cp "$LIB" "$TMP/v2"
    ln -s v1 "$TMP/current"
}

# The second one becomes the current one.
install_program() { # FILE
    cp "$1" "$TMP/v2/sshim"
    chmod +x "$TMP/v2/sshim"
    ln -sfn v2 "$TMP/current"
}

install_script() { # TEXT
    printf '%s\n' "$1" >"$TMP/script"
    install_program "$TMP/script"
}

# A program that says that it could go on, and does something else.
liar() { # LINE
    install_script "#!/bin/sh
[ \"\$1\" = rehearse ] && echo 'sshim can go on from here' && exit 0
$1"
}

serve() { # OPTIONS of run
    SSHIM=$TMP/current/sshim start_broker "$@" -- "$VICTIM" accept "$ADDR"
    PIDS=$(status_of '.workers | sort_by(.slot)[].pid')
}

upgrade() { # leaves $status and $output
    run timeout 60 "$SSHIM" upgrade --control "$CONTROL" 3>&-
    echo "$output"
}

same_workers() {
    [[ $(status_of '.workers | sort_by(.slot)[].pid') == "$PIDS" ]]
}

runs() { # FOLDER: the broker's program is that one
    [[ $(readlink "/proc/$(status_of .pid)/exe") == "$TMP/$1/sshim"* ]]
}

has_keeper() {
    pgrep -P "$(status_of .pid)" -x sshim-keeper
}

# A client that is being served while the broker is upgraded hears its answer.
connect_slowly() {
    exec 7<>"/dev/tcp/$HOST/$PORT"
}

is_answered() {
    local answer
    read -r answer <&7
    exec 7<&- 7>&-
    [[ $answer == *slot=* ]]
}

@test "an upgrade is answered when the new program serves: same pid, same workers" {
    two_versions
    serve -w 2
    install_program "$SSHIM"
    upgrade
    [[ $status == 0 && $output == "upgraded to $TMP/current/sshim" ]]
    runs v2
    status_is ".pid == $BROKER"
    same_workers
    has_keeper
    probe 10
    stop_broker
}

@test "an upgrade goes through the link that the broker was started by, also after a crash and another upgrade" {
    two_versions
    serve -w 1
    kill -KILL "$BROKER"
    wait_for_broker
    wait_until status_is true
    install_program "$SSHIM"
    upgrade
    [[ $status == 0 ]]
    runs v2
    ln -sfn v1 "$TMP/current"
    upgrade
    [[ $status == 0 ]]
    runs v1
    same_workers
    "$SSHIM" stop --control "$CONTROL"
}

# refuses REASON: the broker goes on in the same process
refuses() {
    upgrade
    [[ $status == 1 && $output == "sshim: cannot upgrade to $TMP/current/sshim: "*"$1"* ]]
    log_has "the running version goes on"
    status_is ".pid == $BROKER"
    same_workers
    has_keeper
    probe 5
}

@test "a program that could not go on is refused before it is executed, with the reason" {
    two_versions
    serve -w 2
    install_program /bin/true
    refuses "it is no sshim: it exits with status 0 and says nothing"
    install_script '#!/bin/sh
[ "$1" = version ] && echo "sshim 9.9.9" && exit 0
echo "sshim: a library is missing" >&2
exit 1'
    refuses "it says: a library is missing"
    install_script "no program at all"
    refuses "Exec format error"
    install_script "#!/bin/sh
kill -SEGV \$\$"
    refuses "it was ended by signal 11"
    rm "$TMP/v2/sshim"
    refuses "No such file or directory"
    stop_broker
}

@test "a program that does not say whether it could go on is ended and refused" {
    two_versions
    serve -w 1
    install_script "#!/bin/sh
exec sleep 1000"
    refuses "it did not say within 5 s"
    stop_broker
}

@test "a program that reads another version of the journal, older or newer, is refused with the reason and the way that is left" {
    two_versions
    serve -w 2
    local other
    for other in SSJ3 SSJ9; do
        LC_ALL=C sed "s/SSJ4/$other/g" "$SSHIM" >"$TMP/other"
        run cmp "$SSHIM" "$TMP/other"
        ((status == 1)) # it has the number in it, as bytes
        install_program "$TMP/other"
        refuses "this version does not read the journal of the running one; stop that one and start this one"
    done
    stop_broker
}

@test "options that the new program does not know are found out before" {
    two_versions
    serve -w 1
    LC_ALL=C sed 's/control/cantrol/g' "$SSHIM" >"$TMP/other"
    install_program "$TMP/other"
    refuses "--control"
    stop_broker
}

# takes_back: the old program goes on in another process
takes_back() {
    [[ $status == 1 && $output == "sshim: cannot upgrade to $TMP/current/sshim: "*"before it served"* ]]
    wait_for_broker
    log_has "the version before goes on"
    runs v1
    same_workers
    wait_until has_keeper
    probe 10
    is_answered
}

@test "a program that fails when it goes on is taken back: same workers, no client lost" {
    two_versions
    SSHIM=$TMP/current/sshim start_broker -w 2 -- "$VICTIM" accept --until "$TMP/go" "$ADDR"
    PIDS=$(status_of '.workers | sort_by(.slot)[].pid')
    connect_slowly
    wait_until status_is '[.workers[].active] | add == 1'
    liar "echo 'I fail' >&2; exit 3"
    upgrade
    touch "$TMP/go"
    takes_back
    install_program "$SSHIM"
    upgrade
    [[ $status == 0 ]]
    runs v2
    "$SSHIM" stop --control "$CONTROL"
}

@test "a program that is killed before it serves is tried again, and whoever asked hears of its success" {
    two_versions
    serve -w 2
    connect_slowly
    cp "$SSHIM" "$TMP/v2/real"
    liar "[ -e '$TMP/killed' ] && exec '$TMP/v2/real' \"\$@\"
touch '$TMP/killed'
kill -KILL \$\$"
    upgrade
    [[ $status == 0 && $output == "upgraded to $TMP/current/sshim" ]]
    log_has "ended before it served; trying the upgrade again"
    [[ $(readlink "/proc/$(status_of .pid)/exe") == "$TMP/v2/real" ]]
    same_workers
    wait_until has_keeper
    is_answered
    probe 5
    "$SSHIM" stop --control "$CONTROL"
}

@test "a program that stands still when it goes on is ended and taken back" {
    two_versions
    serve -w 2
    connect_slowly
    liar "exec sleep 1000"
    upgrade
    takes_back
    "$SSHIM" stop --control "$CONTROL"
}

@test "kill -9 of the broker in the middle of an upgrade: the old program takes back" {
    two_versions
    serve -w 2 --on-broker-death exit
    connect_slowly
    liar "touch '$TMP/executed'; exec sleep 1000"
    timeout 60 "$SSHIM" upgrade --control "$CONTROL" >"$TMP/answer" 2>&1 3>&- &
    local asker=$!
    wait_until test -e "$TMP/executed"
    kill -KILL "$BROKER"
    status=0
    wait "$asker" || status=$?
    output=$(cat "$TMP/answer")
    takes_back
    "$SSHIM" stop --control "$CONTROL"
}

@test "a worker that is stopped when the broker is killed in the middle of an upgrade survives and serves again" {
    local worker
    two_versions
    serve -w 2
    worker=$(worker_pid 0)
    liar "touch '$TMP/executed'; exec sleep 1000"
    kill -USR2 "$BROKER"
    wait_until test -e "$TMP/executed"
    kill -STOP "$worker"
    kill -KILL "$BROKER"
    wait_for_broker
    wait_until status_is true
    is_stopped() { [[ $(cut -d' ' -f3 "/proc/$worker/stat") == T ]]; }
    wait_until is_stopped
    kill -CONT "$worker"
    all_answer 2
    runs v1
    same_workers
    "$SSHIM" stop --control "$CONTROL"
}

@test "kill -9 of the broker at any moment of an upgrade leaves a broker, the workers and every client" {
    local round broker
    two_versions
    serve -w 2
    install_program "$SSHIM"
    for round in 1 2 3 4 5 6; do
        broker=$(status_of .pid)
        connect_slowly
        # by one process: the time in between is that of no fork
        python3 -c 'import os, signal, sys, time
broker, pause = int(sys.argv[1]), float(sys.argv[2])
os.kill(broker, signal.SIGUSR2)
time.sleep(pause)
os.kill(broker, signal.SIGKILL)' "$broker" "0.00$round"
        wait_until is_gone "$broker"
        wait_until status_is ".pid != $broker"
        same_workers
        is_answered
        probe 5
    done
    wait_for_broker
    "$SSHIM" stop --control "$CONTROL"
}

@test "a program that is to go on from what it cannot read says so and ends" {
    run timeout 10 env SSHIM_RESUME="7 upgrade 0 1024" "$SSHIM" run --control "$CONTROL" -w 1 -- "$VICTIM" accept "$ADDR"
    [[ $status == 2 && $output == *"cannot go on from the broker before"* ]]
}

# end_keeper_until COMMAND: one that has lived for a second does not count, so end another one then
end_keeper_until() {
    pkill -KILL -P "$BROKER" -x sshim-keeper || true
    "$@"
}

@test "a keeper that cannot live is tried again at growing intervals, which is told once" {
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    wait_until end_keeper_until log_has "the keeper ends as soon as it is started"
    [[ $(grep -c "the keeper ends as soon" "$TMP/log") == 1 ]]
    wait_until has_keeper
    kill -KILL "$BROKER"
    wait_for_broker
    wait_until workers_ready 1
    probe 5
    "$SSHIM" stop --control "$CONTROL"
}
