#!/usr/bin/env bats
# What signals to the broker do, and with which dispositions the copies start.
load helpers

# with_ignored SIGNAL...: what is started by $SSHIM from here on was started with these ignored.
with_ignored() {
    printf '#!/bin/sh\ntrap "" %s\nexec "%s" "$@"\n' "$*" "$SSHIM" >"$TMP/sshim"
    chmod 755 "$TMP/sshim"
    SSHIM=$TMP/sshim
}

worker_pid() {
    pgrep -P "$BROKER" -f "^$VICTIM"
}

ignored_by() { # PID: a set in hexadecimal
    sed -n 's/^SigIgn:[[:space:]]*//p' "/proc/$1/status"
}

@test "QUIT stops everything, exit code 0" {
    start_broker -w 2 -- "$VICTIM" accept "$ADDR"
    kill -QUIT "$BROKER"
    wait_for_broker
    [[ $STATUS == 0 ]]
}

@test "USR1 without a log file does nothing, with a line" {
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    kill -USR1 "$BROKER"
    wait_until log_has "no log file to reopen"
    stop_broker
    [[ $STATUS == 0 ]]
}

@test "TTIN is a worker more, TTOU one less, but never none" {
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    kill -TTIN "$BROKER"
    wait_until log_has "2 of 2 workers are ready, 1 more"
    kill -TTOU "$BROKER"
    wait_until log_has "1 of 1 workers are ready, 1 fewer"
    kill -TTOU "$BROKER"
    wait_until log_has "the number of workers can be 1 to 4096"
    [[ $(cut -d' ' -f3 "/proc/$BROKER/stat") != T ]]
    workers_ready 1
    stop_broker
    [[ $STATUS == 0 ]]
}

@test "started with SIGCHLD ignored a dead copy is noticed and replaced" {
    with_ignored CHLD
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    local old
    old=$(worker_pid)
    kill -KILL "$old"
    another_worker() { [[ -n $(worker_pid) && $(worker_pid) != "$old" ]]; }
    wait_until another_worker
    stop_broker
    [[ $STATUS == 0 ]]
}

@test "copies ignore what the broker was started to ignore, also after an upgrade and a crash" {
    local new wanted
    with_ignored PIPE USR1 TTIN
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    wanted=$(ignored_by "$(worker_pid)")
    (((16#$wanted & (1 << 12 | 1 << 9 | 1 << 20)) == (1 << 12 | 1 << 9 | 1 << 20)))
    "$SSHIM" upgrade --control "$CONTROL"
    "$SSHIM" restart --control "$CONTROL"
    [[ $(ignored_by "$(worker_pid)") == "$wanted" ]]
    kill -KILL "$BROKER"
    wait_until log_has "after a crash of the broker"
    "$SSHIM" restart --control "$CONTROL"
    new=$("$SSHIM" status --json --control "$CONTROL" | grep -o '"slot":0,"pid":[0-9]*' | grep -o '[0-9]*$')
    [[ $(ignored_by "$new") == "$wanted" ]]
    stop_broker || true
}

@test "copies do not ignore what the broker was not started to ignore" {
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    (((16#$(ignored_by "$(worker_pid)") & 1 << 12) == 0))
}

@test "copies get the mask that the broker was started with, and SIGCHLD ignored where it was" {
    printf '#!/usr/bin/python3\nimport os, signal, sys\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2, signal.SIGWINCH])\n' >"$TMP/sshim"
    printf 'signal.signal(signal.SIGCHLD, signal.SIG_IGN)\nos.execv("%s", ["%s"] + sys.argv[1:])\n' "$SSHIM" "$SSHIM" >>"$TMP/sshim"
    chmod 755 "$TMP/sshim"
    SSHIM=$TMP/sshim start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    local blocked
    blocked=$(sed -n 's/^SigBlk:[[:space:]]*//p' "/proc/$(worker_pid)/status")
    (((16#$blocked & (1 << 11 | 1 << 27)) == (1 << 11 | 1 << 27)))
    (((16#$(ignored_by "$(worker_pid)") & 1 << 16) != 0))
    stop_broker
    [[ $STATUS == 0 ]]
}

# in_terminal COMMAND...: in a session and on a terminal of its own, which closes when $TMP/close is there.
in_terminal() {
    python3 -c '
import os, pty, sys, time
pid, terminal = pty.fork()
if pid == 0:
    os.chdir(os.environ["SSHIM_TEST"]) # nohup(1) leaves a file
    os.execvp("sh", ["sh", "-c", "\"$@\" & wait"] + ["sh"] + sys.argv[2:])
while not os.path.exists(sys.argv[1]):
    time.sleep(0.02)
os.close(terminal)
os.waitpid(pid, 0)
' "$TMP/close" "$@" </dev/null >"$TMP/terminal" 2>&1 3>&- &
    TERMINAL=$!
}

@test "a terminal that is closed stops the broker, and under nohup it does not" {
    local how
    for how in env nohup; do
        rm -f "$TMP/close"
        : >"$TMP/log"
        in_terminal "$how" sh -c "exec '$SSHIM' run -v --control '$CONTROL' -w 1 -- '$VICTIM' accept '$ADDR' 2>>'$TMP/log' >>'$TMP/out'"
        wait_until log_has "1 of 1 workers are ready"
        BROKER=$(pgrep -f "^$SSHIM run -v --control $CONTROL" | head -n 1)
        touch "$TMP/close"
        wait "$TERMINAL" || true
        if [[ $how == env ]]; then
            wait_until is_gone "$BROKER"
            log_has "the terminal was closed"
        else
            "$SSHIM" status --control "$CONTROL"
            [[ $(grep -c "replacing" "$TMP/log") == 0 ]]
            "$SSHIM" stop --control "$CONTROL"
            wait_until is_gone "$BROKER"
        fi
        BROKER=
    done
}

# A shell with job control on a terminal of its own: what is written to descriptor 6 is typed there.
in_shell() {
    mkfifo "$TMP/keys"
    exec 6<>"$TMP/keys"
    python3 -c '
import os, pty, select, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
keys = os.open(sys.argv[1], os.O_RDONLY)
try:
    while True:
        ready = select.select([keys, terminal], [], [])[0]
        if terminal in ready:
            os.write(1, os.read(terminal, 4096))
        if keys in ready:
            os.write(terminal, os.read(keys, 4096))
except OSError:
    os.waitpid(pid, 0) # EIO: the shell has ended
' "$TMP/keys" </dev/null >"$TMP/terminal" 2>&1 3>&- 6>&- &
    TERMINAL=$!
}

type_keys() { # FORMAT of printf, of the command that runs the broker, or of keys
    # shellcheck disable=SC2059
    printf "$1" >&6
}

run_in_shell() {
    : >"$TMP/log"
    type_keys "'$SSHIM' run -v --control '$CONTROL' -w 2 -- '$VICTIM' accept '$ADDR' 2>>'$TMP/log' >>'$TMP/out'\n"
    wait_until log_has "2 of 2 workers are ready"
    BROKER=$(status_of .pid)
}

# Of the broker, as ps(1) names it.
is_in_state() { # PATTERN
    # shellcheck disable=SC2053
    [[ $(ps -o stat= -p "$BROKER") == $1* ]]
}

ends_with_0() {
    wait_until is_gone "$BROKER"
    type_keys 'echo "code=$?" >>"$SSHIM_TEST/codes"\n'
    wait_until grep -qsx code=0 "$TMP/codes"
    rm "$TMP/codes"
}

@test "keys in a terminal: Ctrl-C and Ctrl-\\ stop, also after Ctrl-Z, bg and fg; the copies hear none of them" {
    local key worker
    in_shell
    for key in '\003' '\034'; do
        run_in_shell
        type_keys "$key"
        ends_with_0
        log_has "came from the terminal"
    done
    run_in_shell
    worker=$(status_of '.workers[0].pid')
    type_keys '\032'
    wait_until is_in_state T
    [[ $(ps -o stat= -p "$worker") != T* ]]
    type_keys 'bg\n'
    wait_until is_in_state S
    all_answer 2
    type_keys 'fg\n'
    wait_until is_in_state 'S*+' # in front
    type_keys '\003'
    ends_with_0
    type_keys 'exit\n'
    wait "$TERMINAL"
    exec 6>&-
    BROKER=
}
