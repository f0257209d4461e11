# The file of options again: what changes, what cannot, and that a broken file changes nothing.
load helpers

# conf LINE...: the file, beside what it always has.
conf() {
    printf '%s\n' "control = $CONTROL" "command = $VICTIM accept $ADDR" "$@" >"$TMP/web.conf"
}

restart() { # leaves $status and $output
    run timeout 60 "$SSHIM" restart "$@" --control "$CONTROL" 3>&-
    echo "exit code $status, said: $output"
}

launch_by_file() { # OPTIONS
    "$SSHIM" run --config "$TMP/web.conf" "$@" 3>&- </dev/null >>"$TMP/out" 2>>"$TMP/log" &
    BROKER=$!
    wait_until status_is '.state == "ready"'
}

variable() { # SLOT NAME: of a worker
    tr '\0' '\n' <"/proc/$(worker_pid "$1")/environ" | sed -n "s/^$2=//p"
}

@test "restart reads the file again: workers, their environment and the command change; what cannot is named" {
    conf 'workers = 1' 'settle = 0' 'env = A=1'
    SSHIM_ENV=B=0 launch_by_file --stop-timeout 3
    restart
    [[ $status == 0 && $output == "read $TMP/web.conf again: nothing has changed"$'\n'"1 of 1 worker was replaced" ]]
    conf 'workers = 2' 'settle = 0' 'stop-timeout = 9' 'env = A=2' 'handoff = direct' 'name = other' 'max-age = 1h'
    sed -i 's/ accept / epoll /' "$TMP/web.conf"
    restart
    [[ $status == 0 && $output == *"cannot change while the broker runs: name stays web, handoff stays auto; stop this instance and start it again"* ]]
    [[ $output == *"read $TMP/web.conf again: changed: workers, max-age, command"* && $output == *"2 of 2 workers were replaced" ]]
    log_has "changed: workers, max-age, command"
    [[ $(variable 0 B) == 0 && -z $(variable 0 A) ]] # the environment still wins, for all values
    [[ $(tr '\0' ' ' <"/proc/$(worker_pid 0)/cmdline") == *" epoll "* ]]
    all_answer 2
    stop_broker
}

@test "times and limits of connections, readiness and the hook change at once" {
    local begun
    conf 'workers = 2' 'settle = 0' 'hold = line' 'hold-timeout = 60' 'hold-max = 9' 'ready-min = 2' "on-event = echo old >>$TMP/events"
    launch_by_file
    conf 'workers = 2' 'settle = 0' 'hold = line' 'hold-timeout = 2' 'hold-max = 1' 'hold-close = rst' 'ready-min = 1' 'lame-duck = 2' \
        "on-event = echo new >>$TMP/events"
    restart
    [[ $status == 0 && $output == *"changed: hold-timeout, hold-max, hold-close, ready-min, lame-duck, on-event"* ]]
    exec 7<>"/dev/tcp/$HOST/$PORT"
    printf x >&7
    wait_until status_is '.listeners[0].held == 1'
    exec 6<>"/dev/tcp/$HOST/$PORT" # makes the first one give way
    printf x >&6
    wait_until status_is '.listeners[0] | .hold_evicted == 1 and .held == 1'
    wait_until status_is '.listeners[0].hold_timeouts == 1'
    exec 6>&- 7>&-
    kill -STOP "$(worker_pid 1)"
    kill -KILL "$(worker_pid 1)"
    wait_until grep -q new "$TMP/events"
    begun=$SECONDS
    timeout 60 "$SSHIM" stop --control "$CONTROL"
    ((SECONDS - begun >= 1))
    log_has 'connections are taken for 2 s more (--lame-duck)'
}

@test "a shorter time and more room hold for connections that are held or wait already" {
    conf 'workers = 1' 'settle = 0' 'hold = line' 'hold-timeout = 3600' 'hold-max = 1'
    launch_by_file
    exec 7<>"/dev/tcp/$HOST/$PORT"
    wait_until status_is '.listeners[0].held == 1'
    kill -STOP "$(worker_pid 0)" # else the first one gives way for the second
    wait_until status_is '.workers[0].state == "stuck"'
    exec 6<>"/dev/tcp/$HOST/$PORT"
    wait_until status_is '.listeners[0] | .held == 1 and .queued == 1'
    conf 'workers = 1' 'settle = 0' 'hold = line' 'hold-timeout = 3600' 'hold-max = 2' 'stop-timeout = 0'
    "$SSHIM" restart --no-wait --control "$CONTROL"
    wait_until status_is '.listeners[0] | .held == 2 and .queued == 0 and .hold_evicted == 0'
    conf 'workers = 1' 'settle = 0' 'hold = line' 'hold-timeout = 1' 'hold-max = 2' 'stop-timeout = 0'
    "$SSHIM" restart --no-wait --control "$CONTROL"
    wait_until status_is '.listeners[0] | .held == 0 and .hold_timeouts == 2'
    exec 6>&- 7>&-
}

@test "max-conns-per-worker changes at once, both ways" {
    conf 'workers = 1' 'settle = 0'
    sed -i 's/ accept / epoll --hold /' "$TMP/web.conf"
    launch_by_file
    conf 'workers = 1' 'settle = 0' 'max-conns-per-worker = 1'
    sed -i 's/ accept / epoll --hold /' "$TMP/web.conf"
    restart
    [[ $status == 0 && $output == *"changed: max-conns-per-worker"* ]]
    exec 6<>"/dev/tcp/$HOST/$PORT" 7<>"/dev/tcp/$HOST/$PORT"
    wait_until status_is '.workers[0].active == 1 and (.listeners[0] | .held + .queued) == 1'
    exec 5<>"/dev/tcp/$HOST/$PORT" # comes behind the one that waits
    wait_until status_is '.workers[0].active == 1 and (.listeners[0] | .held + .queued) == 2'
    conf 'workers = 1' 'settle = 0'
    sed -i 's/ accept / epoll --hold /' "$TMP/web.conf"
    restart --no-wait
    wait_until status_is '[.workers[].active] | add == 3'
    exec 5>&- 6>&- 7>&-
    stop_broker
}

@test "what the environment says no to stays no, after an upgrade and a crash as well" {
    conf 'workers = 1' 'settle = 0' 'verbose = yes'
    SSHIM_VERBOSE=no launch_by_file
    timeout 60 "$SSHIM" upgrade --control "$CONTROL"
    restart
    [[ $status == 0 && $output == *"nothing has changed"* ]]
    kill -KILL "$BROKER"
    wait_for_broker
    wait_until status_is '.state == "ready"'
    restart
    [[ $status == 0 && $output == *"nothing has changed"* ]]
    ! log_has 'worker 0 (pid' || false # which a broker says with -v
    conf 'workers = 1' 'settle = 0' 'log-prefix = yes'
    restart
    [[ $output == *"changed: log-prefix"* ]]
    timeout 60 "$SSHIM" stop --control "$CONTROL"
}

@test "the file is read again after a crash and an upgrade too, and what was changed outlives them" {
    conf 'workers = 1' 'settle = 0' 'env = A=1'
    launch_by_file --start-timeout 30
    conf 'workers = 2' 'settle = 0' 'env = A=2'
    restart
    [[ $status == 0 && $(variable 0 A) == 2 ]]
    conf 'workers = 5' 'frobnicate = 7' # is not read by these:
    kill -KILL "$BROKER"
    wait_for_broker
    wait_until status_is '.state == "ready" and .wanted == 2'
    timeout 60 "$SSHIM" upgrade --control "$CONTROL"
    timeout 60 "$SSHIM" kill 0 KILL --control "$CONTROL"
    wait_until status_is '.state == "ready" and .wanted == 2 and .workers[0].restarts == 2'
    [[ $(variable 0 A) == 2 ]]
    conf 'workers = 3' 'settle = 0' 'env = A=3' 'start-timeout = 7'
    sed -i 's/ accept / epoll /' "$TMP/web.conf"
    restart
    [[ $status == 0 && $output == *"changed: workers, env, command"* && $output == *"3 of 3 workers were replaced"* ]]
    [[ $(variable 2 A) == 3 ]]
    timeout 60 "$SSHIM" stop --control "$CONTROL"
}

@test "a file with a fault changes nothing: restart and HUP tell the line" {
    conf 'workers = 1' 'env = A=1'
    launch_by_file
    local first
    first=$(worker_pid 0)
    conf 'workers = 2' 'setle = 0'
    restart
    [[ $status == 2 && $output == "sshim: $TMP/web.conf:4: unknown name 'setle'; sshim --help tells the options of run" ]]
    kill -HUP "$BROKER"
    wait_until log_has "$TMP/web.conf:4: unknown name 'setle'; sshim --help tells the options of run; the options stay as they were, and no worker is replaced"
    rm "$TMP/web.conf"
    restart
    [[ $status == 2 && $output == "sshim: cannot read $TMP/web.conf: No such file or directory; name a file that is there and that this user may read" ]]
    printf 'control = %s\n' "$CONTROL" >"$TMP/web.conf"
    restart
    [[ $status == 2 && $output == "sshim: the options cannot be used together; the log says why" ]]
    log_has "there is no command to run"
    status_is '.wanted == 1 and .state == "ready"'
    [[ $(worker_pid 0) == "$first" ]]
    conf 'workers = 2' 'settle = 0'
    kill -HUP "$BROKER"
    wait_until workers_ready 2
    wait_until log_has "2 of 2 workers were replaced"
    all_answer 2
    stop_broker
}

@test "restart --stop-timeout: how long the old workers keep their connections, also over a crash of the broker" {
    start_broker -w 1 --settle 0 -- "$VICTIM" accept --delay 60000 "$ADDR"
    exec 5<>"/dev/tcp/$HOST/$PORT"
    wait_until status_is '.workers[0].active == 1'
    restart --stop-timeout 0
    [[ $status == 0 && $output == "1 of 1 worker was replaced"$'\n'"connections of the old workers that were cut: 1" ]]
    exec 5<&- 5<>"/dev/tcp/$HOST/$PORT"
    wait_until status_is '.workers[0].active == 1'
    local old
    old=$(worker_pid 0)
    restart --stop-timeout 2 --no-wait
    [[ $status == 0 ]]
    kill -KILL "$BROKER"
    wait_for_broker
    wait_until status_is '.workers | length >= 1'
    wait_until is_gone "$old"
    exec 5<&-
    timeout 60 "$SSHIM" stop --now --control "$CONTROL"
}

answers_http() { # ADDRESS
    curl -sf --max-time 5 "http://$1/healthz" >/dev/null
}

@test "logs, pid files, metrics and prefixes go elsewhere at once" {
    local a=$HOST:$((PORT + 1)) b=$HOST:$((PORT + 2))
    mkdir "$TMP/p1" "$TMP/p2"
    conf 'workers = 1' 'settle = 0' 'name = web' "pidfile-dir = $TMP/p1" "log = $TMP/log1" "metrics = $a"
    launch_by_file
    wait_until answers_http "$a"
    conf 'workers = 1' 'settle = 0' 'name = web' "pidfile-dir = $TMP/p2" "log = $TMP/log2" 'log-format = json' "metrics = $b" 'log-prefix = yes'
    restart
    [[ $status == 0 && $output == *"changed: pidfile-dir, metrics, log, log-format, log-prefix"* ]]
    wait_until answers_http "$b"
    ! answers_http "$a" || false
    [[ -z $(ls "$TMP/p1") && $(<"$TMP/p2/web.pid") == "$BROKER" && -e $TMP/p2/web-0.pid ]]
    jq -es 'length > 0' "$TMP/log2"
    wait_until grep -q '^\[0\] listening' "$TMP/out"
    conf 'workers = 1' 'settle = 0' 'name = web'
    restart
    [[ $status == 0 && -z $(ls "$TMP/p2") ]]
    wait_until refuses_http "$b"
    conf 'workers = 1' 'settle = 0' 'name = web' "log = $TMP/absent/log" 'metrics = 192.0.2.1:9'
    restart
    log_has "cannot open $TMP/absent/log for --log: No such file or directory; messages go where they went"
    log_has 'cannot listen on 192.0.2.1:9 for --metrics'
    stop_broker
}

refuses_http() { # ADDRESS
    ! answers_http "$1"
}

@test "allow, deny and the limits of clients change at once, and what a command has said stays" {
    conf 'workers = 1' 'settle = 0' 'deny = 127.0.0.0/8'
    launch_by_file
    ! probe 1 || false
    timeout 60 "$SSHIM" allow 127.0.0.1 --control "$CONTROL"
    conf 'workers = 1' 'settle = 0' 'deny = 127.0.0.0/8' 'deny = 192.0.2.0/24'
    restart
    [[ $status == 0 && $output == *"changed: deny"* ]]
    probe 1 # by the command
    timeout 60 "$SSHIM" deny 127.0.0.1 --control "$CONTROL"
    conf 'workers = 1' 'settle = 0' 'allow = 127.0.0.0/8'
    restart
    ! probe 1 || false
    timeout 60 "$SSHIM" allow 127.0.0.1 --control "$CONTROL"
    probe 1
    conf 'workers = 1' 'settle = 0' 'allow = 127.0.0.0/8' 'max-rate-per-source = 1/3600'
    restart
    [[ $status == 0 && $output == *"changed: max-rate-per-source"* ]]
    probe 1
    ! probe 1 || false
    conf 'workers = 1' 'settle = 0'
    restart
    probe 3
    stop_broker
}

lines_of() { # FILE COUNT [CONDITION]
    jq -es "length == $2 and all(${3:-.open_ms >= 0})" "$1" >/dev/null
}

@test "--conn-log begins, goes elsewhere and ends while the broker runs" {
    local i pids=()
    conf 'workers = 2' 'settle = 0' 'log-format = json'
    launch_by_file
    probe 3
    conf 'workers = 2' 'settle = 0' 'log-format = json' "conn-log = $TMP/c1"
    restart
    [[ $status == 0 && $output == *"changed: conn-log"* ]]
    for i in 1 2 3 4 5 6; do "$PROBE" -n 100 "$ADDR" >"$TMP/answers.$i" & pids+=($!); done
    wait "${pids[@]}"
    wait_until lines_of "$TMP/c1" 600
    timeout 60 "$SSHIM" upgrade --control "$CONTROL"
    conf 'workers = 2' 'settle = 0' 'log-format = json' "conn-log = $TMP/c2"
    restart
    probe 4
    wait_until lines_of "$TMP/c2" 4
    lines_of "$TMP/c1" 600
    conf 'workers = 2' 'settle = 0' 'log-format = json' "conn-log = $TMP/absent/c"
    restart
    log_has "cannot open $TMP/absent/c for --conn-log: No such file or directory; lines go where they went"
    probe 1
    wait_until lines_of "$TMP/c2" 5
    conf 'workers = 2' 'settle = 0' 'log-format = json' "conn-log = $TMP/c2"
    sed -i 's/ accept / epoll --hold /' "$TMP/web.conf"
    restart
    exec 7<>"/dev/tcp/$HOST/$PORT"
    wait_until status_is '[.workers[].active] | add > 0'
    conf 'workers = 2' 'settle = 0' 'log-format = json'
    restart --stop-timeout 0 # the line comes before that
    exec 7>&-
    lines_of "$TMP/c2" 6 true
    [[ $(jq -s '.[5].open_ms' "$TMP/c2") == null ]]
    probe 3
    ! readlink "/proc/$BROKER/fd/"* | grep -e sshim-connections -e /c2 || false
    conf 'workers = 2' 'settle = 0' 'log-format = json' "conn-log = $TMP/c3"
    restart
    kill -KILL "$BROKER"
    wait_until status_is ".pid != $BROKER"
    probe 5
    wait_until lines_of "$TMP/c3" 5
    lines_of "$TMP/c2" 6 true
    timeout 60 "$SSHIM" stop --control "$CONTROL"
}

@test "a launcher whose program bypasses the library: rules that are read before it starts that hold, or it is not served" {
    local static=$BUILD/tests/unloaded/victim
    slow() { # LINE...: the file; the server begins with the file go
        printf '%s\n' "control = $CONTROL" 'workers = 1' 'settle = 0' "command = sh -c 'until [ -e $TMP/go ]; do sleep 0.05; done; exec $static accept $ADDR'" "$@" >"$TMP/web.conf"
    }
    begin_slowly() {
        rm -f "$TMP/go"
        "$SSHIM" run --config "$TMP/web.conf" 3>&- </dev/null >>"$TMP/out" 2>>"$TMP/log" &
        BROKER=$!
        wait_until status_is '.workers | length == 1'
    }
    slow
    begin_slowly
    slow "deny = $HOST"
    kill -HUP "$BROKER"
    wait_until log_has 'changed: deny'
    touch "$TMP/go"
    wait_for_broker
    [[ $STATUS == 3 ]]
    log_has 'or leave --deny out, which needs the library'
    # and the other way round
    : >"$TMP/log"
    begin_slowly
    slow
    kill -HUP "$BROKER"
    wait_until log_has 'changed: deny'
    touch "$TMP/go"
    wait_until status_is '.state == "ready" and .workers[0].via == "seccomp"'
    probe 3
    # the restart that HUP began is over too
    restart
    [[ $status == 0 && $output == *"1 of 1 worker was replaced" ]]
    stop_broker
}

@test "each option is changed by the file that is read again, or named as one that stays: all of them at once" {
    cat >"$TMP/values" <<END
workers = 2
scale-after = 100
scale-idle = 5
max-conns = 1000
max-age = 1h
max-rss = 900M
name = other
control = $TMP/other
intercept = seccomp
control-ro = $TMP/ro
handoff = broker
balance = first
share = all
unshared = 9
leader = 9
port = 8=9
hold = data
hold-timeout = 3
hold-max = 7
hold-close = rst
when-full = close
full-after = 2
skip-dead = yes
accept-proxy = v1
proxy-from = 127.0.0.1
proxy-optional = yes
allow = 127.0.0.0/8
deny = 10.0.0.0/8
max-conns-per-worker = 9
max-conns-per-source = 90
max-rate-per-source = 1000/1
source-prefix = 24,56
penalty = 3
unmap = yes
stop-timeout = 7
start-timeout = 90
settle = 1
once = yes
accept-timeout = 300
backlog = 64
stuck-warn = 30
stuck-kill = 60
user = $(id -un)
group = $(id -gn)
sandbox = yes
env = A=1
clean-env = yes
chdir = $TMP
umask = 077
nice = 3
rlimit = nofile=500
cpus = spread
pidfile-dir = $TMP
on-broker-death = exit
ready = accept
ready-min = 1
lame-duck = 1
metrics = $HOST:$((PORT + 1))
ready-fd = 9
log = $TMP/log2
log-format = json
conn-log = $TMP/conns
log-prefix = yes
on-event = true
quiet = yes
verbose = yes
END
    # all but those that say where to read: a new one needs a line above
    "$SSHIM" --help | sed -n '/^options of run:/,/^$/p' | sed -nE 's/^ +(-., )?--([a-z-]+).*/\2/p' | grep -vxE 'config|dry-run|help' | sort >"$TMP/all"
    sed 's/ = .*//' "$TMP/values" | sort | diff "$TMP/all" -
    conf 'workers = 1' 'settle = 0'
    launch_by_file
    { echo "command = $VICTIM accept $ADDR"; cat "$TMP/values"; } >"$TMP/web.conf"
    restart
    [[ $status == 0 ]]
    printf '%s\n' "$output" | sed -nE 's/.*(cannot change while the broker runs|changed): //p' | sed -E 's/; stop this.*//; s/ stays [^,]*//g; s/, /\n/g' | sort >"$TMP/told"
    diff "$TMP/all" "$TMP/told"
    probe 20
    stop_broker
    [[ $STATUS == 0 ]]
}
