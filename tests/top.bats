# sshim top, in a terminal of tmux: the screen, the keys, and the terminal afterwards.
load helpers
load terminal

setup_file() {
    [[ -x ${BUILD:-build}/sshim-top ]] || skip "sshim-top is not built: install libncurses-dev and libjansson-dev"
}

screen_lacks() {
    ! screen_has "$1"
}

# Leaves in $TMP/before and $TMP/after how the terminal was.
open_top() { # [COLUMNS ROWS]
    cat >"$TMP/session" <<END
stty -g >"$TMP/before"
"$SSHIM" top --control "$CONTROL"
echo "top ended with \$?"
stty -g >"$TMP/after"
exec cat
END
    terminal new-session -d -x "${1:-80}" -y "${2:-24}" "sh $TMP/session" 3>&- 8>&-
    wait_until screen_has '^ SLOT +PID STATE'
    wait_until screen_has '^>? +0 '
}

terminal_is_as_before() { # EXIT CODE
    wait_until screen_has "^top ended with $1$"
    wait_until test -s "$TMP/after"
    diff "$TMP/before" "$TMP/after"
    screen_lacks '^ SLOT'
}

@test "the screen: head, listeners, a row for each worker, keys; at 80 by 24 no line is cut" {
    start_broker -w 3 --name web -- "$VICTIM" accept "$ADDR"
    open_top
    probe 6
    wait_until screen_has '^web \(pid [0-9]+\) is ready: 3 of 3 workers, up [0-9]+m[0-9]+s$'
    screen | sed -E "s/^$ADDR/ADDRESS/" | sed -E 's/[0-9]+m[0-9]+s/TIME/; s/ +[0-9]+\.[0-9][KMG]/ MEM/; s/[0-9]+(\.[0-9])?%?/N/g; s/(ready|busy)/STATE/; s/ +/ /g' >"$TMP/screen"
    cat >"$TMP/expected" <<'END'
web (pid N) is STATE: N of N workers, up TIME
N connections/s, N open by slot
LISTENER RATE/S QUEUED OF ALL-BUSY RECALLED LOST
ADDRESS N N N N N N
 SLOT PID STATE RATE/S OPEN CPU% MEMORY BUSY RESTARTS UPTIME
> N N STATE N N N MEM N N TIME
 N N STATE N N N MEM N N TIME
 N N STATE N N N MEM N N TIME
END
    diff "$TMP/expected" <(head -n 8 "$TMP/screen")
    [[ $(screen | tail -n 1) == "q quit  s sort "*"R restart all"* ]]
    # no colour, and nothing is sent while nothing changes but the time
    run grep -P '\x1b\[[0-9;]*3[0-7]' <(terminal capture-pane -pe)
    [[ $status == 1 ]]
    terminal send-keys q
    terminal_is_as_before 0
    stop_broker
}

@test "what the broker holds and has closed is told" {
    start_broker -w 1 --hold line --hold-timeout 300 -- "$VICTIM" accept "$ADDR"
    open_top
    screen_lacks 'the broker holds'
    exec 6<>"/dev/tcp/$HOST/$PORT" 7<>"/dev/tcp/$HOST/$PORT"
    wait_until screen_has '0 open; the broker holds 2, has closed 0 '
    exec 7>&-
    wait_until screen_has '0 open; the broker holds 1, has closed 1 '
    exec 6>&-
    terminal send-keys q
    terminal_is_as_before 0
    stop_broker
}

@test "keys: sort, choose, drain, resume, and a restart after a question" {
    start_broker -w 2 --settle 0 -- "$VICTIM" accept "$ADDR"
    open_top
    local pid
    pid=$(worker_pid 1)
    terminal send-keys s
    wait_until screen_has 'by rate$'
    terminal send-keys s s s s
    wait_until screen_has 'by slot$'
    terminal send-keys Down
    wait_until screen_has '^> +1 '
    terminal send-keys d
    wait_until screen_has '^> +1 +[0-9]+ drained'
    status_is '.drained == 1'
    terminal send-keys d
    wait_until status_is '.drained == 0'
    terminal send-keys r
    wait_until screen_has '^restart 1\? y: yes'
    terminal send-keys d # any other key: no, and no command
    wait_until screen_lacks '^restart 1'
    [[ $(worker_pid 1) == "$pid" ]]
    status_is '.drained == 0'
    terminal send-keys r
    wait_until screen_has '^restart 1\? y: yes'
    terminal send-keys y
    wait_until screen_has '^1 of 1 worker was replaced'
    [[ $(worker_pid 1) != "$pid" ]]
    terminal send-keys R
    wait_until screen_has '^restart\? y: yes'
    terminal send-keys y
    wait_until screen_has '^2 of 2 workers were replaced'
    stop_broker
    wait_until screen_has '^the broker does not answer'
    terminal send-keys q
    terminal_is_as_before 0
}

@test "a small terminal, one that changes its size, and a signal" {
    start_broker -w 12 -- "$VICTIM" accept "$ADDR"
    open_top 40 12
    terminal send-keys k j j j j j j j j j j j
    wait_until screen_has '^> +11 '
    terminal resize-window -x 100 -y 30
    wait_until screen_has '^ +0 .*[0-9]+m[0-9]+s$'
    screen_has '^> +11 '
    local signal=143 pid
    pid=$(pgrep -f "^sshim-top $CONTROL\$")
    kill -TERM "$pid"
    terminal_is_as_before $signal
    stop_broker
}

@test "without a terminal, without an instance, and where it was not built, top says so" {
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    run timeout 30 "$SSHIM" top --control "$CONTROL" </dev/null
    [[ $status == 2 && $output == "sshim: top needs a terminal; for other programs there is 'sshim status --json'" ]]
    run timeout 30 env TERM=no-such script -qec "$SSHIM top --control $CONTROL" /dev/null </dev/null
    [[ $output == *"top does not know the terminal TERM=no-such"* ]]
    stop_broker
    run timeout 30 "$SSHIM" top --name "none-$PORT"
    [[ $status == 3 && ${#lines[@]} == 1 ]]
    share_build # without sshim-top
    run timeout 30 "$SSHIM" top
    [[ $status == 3 && $output == *"install libncurses-dev and libjansson-dev"* ]]
}

# on_slow_line hears|deaf: what slow_terminal.py prints about top, with clients, in $TMP/line; NUMBER NAME of it
on_slow_line() {
    start_broker -w 12 -- "$VICTIM" accept "$ADDR"
    start_other bash -c 'while :; do "$1" -n 20 "$2" >/dev/null; sleep 0.1; done' bash "$PROBE" "$ADDR"
    timeout 120 python3 "$ROOT/tests/progs/slow_terminal.py" "$1" "$SSHIM" top --control "$CONTROL" | tee "$TMP/line"
    kill "$OTHER"
    wait_until is_gone "$OTHER"
    stop_broker
}

line_says() { # NAME
    awk -v name="$1" '$1 == name { print $2 }' "$TMP/line"
}

@test "on a slow line no picture waits for another one, and the terminal is as before" {
    on_slow_line hears
    (($(line_says stood) < 1000)) # ten pictures are more than 2,000
    (($(line_says went) >= 2))
    [[ $(line_says code) == 0 && $(line_says same) == True && $(line_says unread) == 0 ]]
}

@test "a terminal that gives no answers is not waited for" {
    on_slow_line deaf
    (($(line_says stood) > 1000))
    (($(line_says went) >= 2))
    [[ $(line_says code) == 0 && $(line_says same) == True && $(line_says unread) == 0 ]]
}
