# What is said: the forms of the log, its file, and that nobody waits for its reader.
load helpers
load terminal
bats_require_minimum_version 1.5.0

log_is_json() { # FILE
    jq -e -s 'length > 0 and all(.schema_version == 1 and .time and .level and .event and .instance and .msg)' "$1" >/dev/null
}

# What a command writes to a terminal.
on_terminal() {
    script -qec "$*" /dev/null </dev/null
}

@test "the events of the source are those of sshim(1)" {
    sed -n '/^#define LOG_EVENTS(X)/,/[^\\]$/p' "$ROOT/broker/base/log/record.h" | sed -nE 's/.*X\([A-Z_]+, "([a-z_]+)"\).*/\1/p' | sort >"$TMP/source"
    sed -n '/^\.Sh LOG/,/^\.Sh DEATH/p' "$ROOT/man/sshim.1" | sed -nE 's/^\.It ([a-z_]+)$/\1/p' | sort >"$TMP/man"
    (($(wc -l <"$TMP/source") > 10))
    diff "$TMP/source" "$TMP/man"
}

@test "--log-format json: one document a line, with the facts of each event" {
    start_broker -v -w 2 --log-format json -- "$VICTIM" accept "$ADDR"
    log_is_json "$TMP/log"
    jq -e -s 'map(select(.event == "worker_ready")) | length == 2 and (map(.worker) | sort) == [0, 1] and all(.pid > 0 and .level == "debug")' "$TMP/log"
    jq -e -s 'map(select(.event == "ready")) | .[0].workers == 2' "$TMP/log"
    "$SSHIM" restart 1 --control "$CONTROL"
    jq -e -s 'any(.event == "command" and (.command | startswith("restart 1")) and .peer_uid == '"$(id -u)"')' "$TMP/log"
    jq -e -s 'any(.event == "restart_done" and .replaced == 1 and .wanted == 1)' "$TMP/log"
    stop_broker
    jq -e -s 'any(.event == "stop" and .exit_code == 0)' "$TMP/log"
}

@test "--log-format logfmt: level, event and facts" {
    start_broker -w 1 --log-format logfmt -- "$VICTIM" accept "$ADDR"
    grep -qE '^time=[0-9TZ:.-]+ level=info event=ready instance=victim workers=1 msg="1 of 1 workers are ready' "$TMP/log"
    stop_broker
    ! grep -qv '^time=' "$TMP/log" || false
}

@test "a pipe and a file get lines for people; the journal gets levels" {
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    grep -q '^sshim: 1 of 1 workers are ready' "$TMP/log"
    stop_broker
    : >"$TMP/log"
    JOURNAL_STREAM=$(stat -c %d:%i "$TMP/log") start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    grep -q '^<6>1 of 1 workers are ready' "$TMP/log"
    stop_broker
    JOURNAL_STREAM=1:1 start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    grep -q '^sshim: 1 of 1 workers are ready' "$TMP/log"
    stop_broker
}

@test "a terminal gets colours, unless NO_COLOR" {
    local run="$SSHIM run -w 1 --control $CONTROL -- /nonexistent"
    TERM=xterm on_terminal "$run" >"$TMP/out" || true
    grep -q $'^\033\[1;31msshim: .*nonexistent.*\033\[0m' "$TMP/out"
    NO_COLOR=1 TERM=xterm on_terminal "$run" >"$TMP/out" || true
    grep -q '^sshim: .*nonexistent' "$TMP/out"
    TERM=dumb on_terminal "$run" >"$TMP/out" || true
    grep -q '^sshim: .*nonexistent' "$TMP/out"
}

@test "--log: a file that is moved away is opened anew by reopen, USR1, an upgrade and after a crash" {
    local how
    opened_anew() { [[ -s $TMP/own.log ]]; }
    start_broker -w 1 --log "$TMP/own.log" -- "$VICTIM" accept "$ADDR"
    grep -q ' event=ready ' "$TMP/own.log"
    [[ $(stat -c %a "$TMP/own.log") == 640 ]]
    [[ ! -s $TMP/log ]]
    for how in reopen USR1 upgrade crash; do
        echo "$how"
        mv "$TMP/own.log" "$TMP/own.log.1"
        case $how in
        reopen) [[ $("$SSHIM" reopen --control "$CONTROL") == "$TMP/own.log is open anew" ]] ;;
        USR1) kill -USR1 "$BROKER" ;;
        upgrade) "$SSHIM" upgrade --control "$CONTROL" ;;
        crash) kill -KILL "$BROKER" ;;
        esac
        wait_until opened_anew
    done
    grep -q 'after a crash of the broker' "$TMP/own.log"
    wait_for_broker
    probe 3
    mv "$TMP/own.log" "$TMP/own.log.1"
    mkdir "$TMP/own.log"
    run "$SSHIM" reopen --control "$CONTROL"
    echo "$output"
    [[ $status == 1 && $output == *"cannot open $TMP/own.log: Is a directory; going on with the old file"* ]]
    timeout 60 "$SSHIM" stop --control "$CONTROL"
    grep -q 'event=log_reopen .*level=error\|level=error event=log_reopen' "$TMP/own.log.1"
}

@test "--log: a file that cannot be opened is an error at the start" {
    run timeout 60 "$SSHIM" run -w 1 --control "$CONTROL" --log "$TMP/none/log" -- "$VICTIM" accept "$ADDR"
    [[ $status == 2 && $output == *"cannot open $TMP/none/log for --log: No such file or directory"* ]]
    run -127 timeout 60 "$SSHIM" run -w 1 --control "$CONTROL" --log "$TMP/own.log" -- /nonexistent
    [[ $output == *"nonexistent"* ]]
    grep -q 'level=error' "$TMP/own.log"
}

@test "a pipe that nobody reads costs lines, not time, and stays blocking for others" {
    local line
    mkfifo "$TMP/pipe"
    exec 7<>"$TMP/pipe"
    "$SSHIM" run -w 1 --control "$CONTROL" -- "$VICTIM" accept "$ADDR" </dev/null >>"$TMP/out" 2>&7 3>&- 7>&- &
    BROKER=$!
    timeout 60 "$SSHIM" status --wait ready --control "$CONTROL" >/dev/null
    # No other process finds O_NONBLOCK on the open file that it shares with the broker.
    (($(sed -n 's/^flags:[[:space:]]*//p' "/proc/$BASHPID/fdinfo/7") & 04000)) && false
    dd if=/dev/zero of="$TMP/pipe" bs=4096 count=1000 oflag=nonblock 2>/dev/null || true
    for _ in 1 2 3; do "$SSHIM" resume 0 --control "$CONTROL"; done
    [[ $(status_of .log_dropped) == 3 ]]
    dd if="$TMP/pipe" bs=65536 iflag=nonblock of="$TMP/read" 2>/dev/null || true
    [[ $(tr -d '\0' <"$TMP/read" | grep -c ready) == 1 ]]
    "$SSHIM" resume 0 --control "$CONTROL"
    IFS= read -r -t 30 -u 7 line
    [[ $line == *"sshim: (3 lines lost) command 'resume 0'"* ]]
    exec 7>&-
    probe 3
    stop_broker
}

# --- worker_exit

exits() { # how many of them there are in $TMP/log
    jq -s 'map(select(.event == "worker_exit")) | length' "$TMP/log"
}

# exit_is CONDITION: of the last worker_exit.
exit_is() {
    jq -s 'map(select(.event == "worker_exit")) | last' "$TMP/log"
    jq -e -s "map(select(.event == \"worker_exit\")) | last | $1" "$TMP/log" >/dev/null
}

# end_worker COMMAND...: and waits until its end is told and the next one serves.
end_worker() {
    local before
    before=$(exits)
    "$@"
    told() { (($(exits) > before)); }
    wait_until told
    wait_until workers_ready 1
}

@test "worker_exit: signal or code, the cause, and the connections that were lost" {
    start_broker -v -w 1 --log-format json -- "$VICTIM" epoll --hold "$ADDR"
    exec 7<>"/dev/tcp/$HOST/$PORT"
    is_open() { status_is '.workers[0].active == 1'; }
    wait_until is_open
    end_worker kill -KILL "$(worker_pid 0)"
    exit_is '.worker == 0 and .signal == "KILL" and .cause == "signal" and .connections == 1 and .code == null and .pid > 0 and .level == "info"
        and .msg == "worker 0 was ended by signal 9 (Killed), with 1 open connection; starting it again"'
    exec 7>&-
    end_worker kill -SEGV "$(worker_pid 0)"
    exit_is '.signal == "SEGV" and .cause == "crash" and .connections == 0'
    end_worker "$SSHIM" kill 0 TERM --control "$CONTROL"
    exit_is '.cause == "operator"'
    end_worker "$SSHIM" restart --control "$CONTROL"
    exit_is '.cause == "operator" and .level == "debug" and (.code == 0 or .signal == "TERM")'
    stop_broker
    exit_is '.cause == "operator"'
    : >"$TMP/log"
    launch_broker -v -w 1 --log-format json -- sh -c 'exit 7'
    wait_for_broker
    exit_is '.code == 7 and .cause == "crash" and .signal == null'
    jq -e -s 'any(.event == "crash_loop" and .worker == 0 and .failures > 0)' "$TMP/log"
}

@test "worker_exit: want of memory is the cause where the cgroup has counted it, and not for the next KILL" {
    ((EUID == 0)) || skip "needs root"
    mkdir "$TMP/cgroup"
    printf '#!/bin/sh\nexec unshare -m sh -c "mount --bind %s /sys/fs/cgroup && exec %s \\"\\$@\\"" sh "$@"\n' "$TMP/cgroup" "$SSHIM" >"$TMP/counted"
    chmod 755 "$TMP/counted"
    counts() { # NUMBER
        local folder
        folder=$TMP/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)
        mkdir -p "$folder"
        printf 'oom 0\noom_kill %s\n' "$1" >"$folder/memory.events"
    }
    counts 3
    SSHIM=$TMP/counted start_broker -v -w 1 --log-format json -- "$VICTIM" accept "$ADDR"
    end_worker kill -KILL "$(worker_pid 0)"
    exit_is '.cause == "signal"'
    counts 4
    end_worker kill -KILL "$(worker_pid 0)"
    exit_is '.cause == "oom" and .signal == "KILL" and .msg == "worker 0 was killed by the kernel for want of memory; starting it again"'
    end_worker kill -KILL "$(worker_pid 0)"
    exit_is '.cause == "signal"'
    stop_broker
}

# --- progress

# One that listens when the file is there.
SLOW='import os, socket, sys, time
while not os.path.exists(sys.argv[3]): time.sleep(0.02)
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((sys.argv[1], int(sys.argv[2]))); s.listen(64)
while True: s.accept()[0].close()'

# run_in_terminal OPTIONS...: copy N waits for $TMP/go.N
run_in_terminal() {
    printf '%s\n' "$SLOW" >"$TMP/slow"
    printf '%q ' "$SSHIM" run --control "$CONTROL" "$@" -- python3 "$TMP/slow" "$HOST" "$PORT" "$TMP/go.{id}" >"$TMP/session"
    printf '\necho "it ended with $?"\nexec cat\n' >>"$TMP/session"
    terminal new-session -d -x 80 -y 12 "sh $TMP/session" 3>&- 8>&-
}

@test "on a terminal a line says how many are ready, other lines come above it, and it leaves nothing" {
    run_in_terminal -w 2 -v
    wait_until screen_has '^sshim: starting: 0 of 2 workers are ready \([0-9]+ s\)$'
    screen_has '^sshim: worker 1 \(pid [0-9]+\) starts$'
    touch "$TMP/go.0"
    wait_until screen_has '^sshim: starting: 1 of 2 workers are ready \([0-9]+ s\)$'
    screen_has '^sshim: worker 0 \(pid [0-9]+\) is ready$'
    [[ $(terminal capture-pane -p | grep -c starting:) == 1 ]]
    wait_until screen_has '\([2-9] s\)$' # time goes on
    touch "$TMP/go.1"
    wait_until screen_has '^sshim: 2 of 2 workers are ready on '
    ! screen_has 'starting:' || false
    "$SSHIM" stop --control "$CONTROL"
    wait_until screen_has '^it ended with 0$'
    ! screen_has 'starting:' || false
}

@test "what a worker writes shares no line with the progress, whatever it writes and however long" {
    local n
    cat >"$TMP/chatty" <<'END'
import os, sys, time
for n in range(30):
    print("line", n, "of", os.environ["SSHIM_WORKER_ID"], flush=True)
    time.sleep(0.05)
sys.stdout.write("no end of line"); sys.stdout.flush()
time.sleep(60)
END
    printf '%q ' "$SSHIM" run --control "$CONTROL" -w 1 -- python3 "$TMP/chatty" >"$TMP/session"
    printf '\necho "it ended with $?"\nexec cat\n' >>"$TMP/session"
    terminal new-session -d -x 80 -y 12 "sh $TMP/session" 3>&- 8>&-
    wait_until screen_has '^no end of line$'
    screen
    screen_has '^sshim: starting: 0 of 1 workers are ready \([0-9]+ s\)$'
    for n in 25 26 27 28 29; do screen_has "^line $n of 0\$"; done
    terminal resize-window -x 80 -y 9
    wait_until screen_has '\(([3-9]|[1-9][0-9]+) s\)$'
    [[ $(screen | grep -c starting:) == 1 ]]
    "$SSHIM" stop --now --control "$CONTROL"
    wait_until screen_has 'it ended with 0$'
    ! screen_has 'starting:' || false
    terminal send-keys x Enter y Enter z Enter # the whole screen scrolls again
    wait_until screen_has '^z$'
    [[ $(screen | grep -c '^[xyz]$') -ge 3 ]]
}

@test "a start that is stopped or fails leaves no progress, and what is no terminal for people has none" {
    local pid
    run_in_terminal -w 2
    wait_until screen_has 'starting: 0 of 2'
    "$SSHIM" stop --now --control "$CONTROL"
    wait_until screen_has '^it ended with 0$'
    ! screen_has 'starting:' || false
    printf '%q ' "$SSHIM" run -w 1 --control "$CONTROL" -- false >"$TMP/session"
    printf '\necho "it ended with $?"\nexec cat\n' >>"$TMP/session"
    terminal respawn-pane -k "sh $TMP/session" 3>&- 8>&-
    wait_until screen_has 'exited with status 1; starting it again'
    wait_until screen_has '^it ended with 3$'
    ! screen_has 'starting:' || false
    touch "$TMP/go.0"
    printf '%s\n' "$SLOW" >"$TMP/slow"
    for how in --log-format=json -q; do
        script -qec "$SSHIM run -w 1 $how --control $CONTROL -- python3 $TMP/slow $HOST $PORT $TMP/go.0" "$TMP/typescript" </dev/null >/dev/null 3>&- &
        pid=$!
        wait_until "$SSHIM" status --control "$CONTROL" --wait ready
        "$SSHIM" stop --control "$CONTROL"
        wait "$pid"
        ! grep -q starting: "$TMP/typescript" || false
    done
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    ! grep -q 'starting:\|\[K' "$TMP/log" || false
    stop_broker
}

# on_keys COMMAND: on a terminal with keys from file descriptor 7
on_keys() {
    mkfifo "$TMP/keys"
    exec 7<>"$TMP/keys"
    script -qec "$1" /dev/null <&7 >"$TMP/screen" 3>&- 7>&- &
    SCRIPT=$!
    timeout 60 "$SSHIM" status --wait ready --control "$CONTROL" >/dev/null
}

press_ctrl_c() { # and wait for the end
    printf '\003' >&7
    wait "$SCRIPT"
    exec 7>&-
}

@test "Ctrl-C is not said to come from pid 0" {
    on_keys "$SSHIM run -w 1 --control $CONTROL -- $VICTIM accept $ADDR"
    press_ctrl_c
    grep -q 'stopping: SIGINT came from the terminal; a second one kills the workers at once' "$TMP/screen"
    ! grep -q 'pid 0' "$TMP/screen" || false
}
