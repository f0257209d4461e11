#!/usr/bin/env bats
# --conn-log: a line for each connection that a worker got, once it is over.
# shellcheck disable=SC2030,SC2031 # each test is a subshell, and so are all that follow

load helpers

start_noted() { # OPTIONS... -- COMMAND
    start_broker --conn-log "$TMP/conns" --log-format json "$@"
}

# lines_are COUNT [CONDITION]: so many have been written, and each of them is so.
lines_are() {
    jq -e -s "length == $1 and all(.event == \"connection\" and .msg == null and (${2:-true}))" "$TMP/conns" >/dev/null
}

await_lines() { # COUNT [CONDITION]
    wait_until lines_are "$@" || { cat "$TMP/conns"; return 1; }
}

@test "each connection has one line, which says whose it was, where, and how long" {
    start_noted -w 2 -- "$VICTIM" accept "$ADDR"
    all_answer 2
    await_lines "$(wc -l <"$TMP/answers.all")" ".listener == \"$ADDR\" and .wait_ms >= 0 and .open_ms >= 0 and .open_ms < 10000 and .instance == \"victim\""
    # as the worker saw the same client
    sed -nE 's/.*slot=([0-9]+) peer=([^ ]+) .*/\2 \1/p' "$TMP/answers.all" | sort >"$TMP/seen"
    jq -r '"\(.client) \(.worker)"' "$TMP/conns" | sort >"$TMP/told"
    [[ -s $TMP/seen ]]
    diff "$TMP/seen" "$TMP/told"
    stop_broker
}

@test "open_ms is the time until the last process has closed it, wait_ms that before a worker had it" {
    start_noted -w 1 -- python3 "$ROOT/tests/progs/forker.py" "$ADDR"
    exec 7<>"/dev/tcp/$HOST/$PORT"
    wait_until status_is '.listeners[0].handed == 1'
    sleep 1.2
    [[ ! -s $TMP/conns ]] # its child has the connection, the server itself has closed it
    exec 7>&-
    await_lines 1 '.open_ms > 1100 and .open_ms < 6000'
    stop_broker
}

@test "the end of a short connection is noticed soon, also while an old one is open" {
    local i
    start_noted -w 1 -- python3 "$ROOT/tests/progs/forker.py" "$ADDR"
    exec 7<>"/dev/tcp/$HOST/$PORT"
    sleep 6 # it is looked at every 640 ms by then
    for i in {1..11}; do
        exec 6<>"/dev/tcp/$HOST/$PORT"
        head -n 1 <&6
        exec 6>&-
        sleep 0.1
    done
    await_lines 11
    jq -s 'map(.open_ms) | sort' "$TMP/conns"
    [[ $(jq -s 'map(.open_ms) | sort | .[5]' "$TMP/conns") -lt 200 ]]
    exec 7>&-
    stop_broker
}

fds_are_few() { # of a worker
    (($(find "/proc/$1/fd" -type l | wc -l) < 30))
}

# many_end [OPTIONS of strace]: 900 connections end while the broker is stopped, 5 stay open. Its calls from then on are in $TMP/calls.
many_end() {
    local few many worker before
    start_noted -w 1 -- "$VICTIM" epoll --hold "$ADDR"
    "$PROBE" -n 5 --hold "$ADDR" >"$TMP/few" & few=$!
    "$PROBE" -n 900 --hold "$ADDR" >"$TMP/many" & many=$!
    STARTED+=("$few" "$many")
    wait_until grep -q held "$TMP/few"
    wait_until grep -q held "$TMP/many"
    worker=$(worker_pid 0)
    strace -qq -o "$TMP/trace" -e trace=sendto "$@" -p "$BROKER" 3>&- 2>/dev/null &
    STARTED+=($!)
    wait_until grep -q '^TracerPid:.*[1-9]' "/proc/$BROKER/status"
    kill -STOP "$BROKER"
    kill "$many"
    wait_until fds_are_few "$worker"
    sleep 1 # each of them is due by then
    before=$(wc -l <"$TMP/trace")
    kill -CONT "$BROKER"
    await_lines 900 '.open_ms >= 0'
    kill "${STARTED[-1]}"
    tail -n +$((before + 1)) "$TMP/trace" >"$TMP/calls"
    kill "$few"
    await_lines 905 '.open_ms >= 0'
    stop_broker
}

lists() {
    grep -c NLM_F_DUMP "$TMP/calls" || true
}

questions() {
    grep SOCK_DIAG_BY_FAMILY "$TMP/calls" | grep -cv NLM_F_DUMP || true
}

@test "many that end are told after a list of the kernel and another one, or a question for each where lists are slow" {
    many_end
    echo "$(lists) lists, $(questions) questions"
    (($(lists) >= 2 && $(questions) < 100)) || (($(lists) <= 1 && $(questions) >= 890 && $(questions) < 1000))
}

@test "a list that took long is not asked for again soon" {
    DEADLINE_S=90 many_end -e inject=sendto:delay_enter=2000 # as 1,000 questions
    echo "$(lists) lists, $(questions) questions"
    (($(lists) <= 1 && $(questions) >= 890))
}

@test "a connection is open until it is closed, also if its client is told by another address than the kernel knows" {
    start_noted -w 1 --unmap -- "$VICTIM" epoll --hold "[::ffff:$HOST]:$PORT"
    "$PROBE" -n 1 --hold "$ADDR" >"$TMP/held" & local held=$!
    STARTED+=("$held")
    wait_until grep -q held "$TMP/held"
    sleep 1.2
    kill "$held"
    await_lines 1 '.open_ms > 1100 and (.client | startswith("127."))'
    stop_broker
}

@test "the time in the kernel's queue counts as a wait" {
    start_noted -w 1 -- "$VICTIM" accept "$ADDR"
    kill -STOP "$(worker_pid 0)"
    wait_until status_is '.workers[0].state == "stuck"'
    "$PROBE" -n 1 "$ADDR" >"$TMP/answers" & pid=$!
    wait_until status_is '.listeners[0].queued == 1'
    sleep 1
    kill -CONT "$(worker_pid 0)"
    wait "$pid"
    await_lines 1 '.wait_ms >= 900 and .wait_ms < 15000 and .open_ms < .wait_ms'
    stop_broker
}

# load_pool: 2,400 connections while all workers are busy.
load_pool() {
    local i pid pids=()
    for i in 1 2 3 4 5 6; do "$PROBE" -n 400 "$ADDR" >>"$TMP/answers.$i" & pids+=($!); done
    for pid in "${pids[@]}"; do wait "$pid"; done
}

# all_told COUNT: each connection has a line, or is counted: on a busy machine a worker may find its notes full.
all_told() {
    (($(wc -l <"$TMP/conns") + $(status_of .conn_log_dropped) == $1))
}

# told_as_seen: each answered connection has one line, of the worker that answered.
told_as_seen() {
    sed -nE 's/.*slot=([0-9]+) peer=([^ ]+) .*/\2 \1/p' "$TMP"/answers.* | sort >"$TMP/seen"
    jq -r '"\(.client) \(.worker)"' "$TMP/conns" | sort >"$TMP/told"
    diff "$TMP/seen" "$TMP/told"
}

@test "connections that workers take past the broker have their lines, without a question for each" {
    start_noted -w 2 -- "$VICTIM" accept "$ADDR"
    local count=0
    until status_is '.listeners[0].direct > 100'; do # until the pool was saturated for a while
        ((count < 24000))
        load_pool
        ((count += 2400))
        await_lines "$count" ".listener == \"$ADDR\" and .wait_ms >= 0 and .open_ms >= 0 and .open_ms < 10000"
        told_as_seen
    done
    status_is ".listeners[0].connections == $count"
    strace -qq -o "$TMP/trace" -e trace=sendto,getsockopt -p "$BROKER" 3>&- 2>/dev/null & local tracer=$!
    STARTED+=("$tracer")
    wait_until grep -q '^TracerPid:.*[1-9]' "/proc/$BROKER/status"
    local before; before=$(status_of '.listeners[0].direct')
    load_pool
    await_lines $((count + 2400))
    kill "$tracer"
    local direct=$(($(status_of '.listeners[0].direct') - before)) calls
    calls=$(grep -c . "$TMP/trace")
    echo "$direct direct, $calls calls"
    ((calls < (2400 - direct) * 7 + direct / 4))
    stop_broker
    lines_are $((count + 2400))
}

@test "the same with event loops, while connections come fast" {
    start_noted -w 2 -- "$VICTIM" epoll "$ADDR"
    load_pool
    wait_until all_told 2400
    jq -es 'all(.wait_ms >= 0 and .open_ms >= 0 and .open_ms < 10000)' "$TMP/conns" >/dev/null
    [[ $(status_of .conn_log_dropped) != 0 ]] || told_as_seen
    stop_broker
}

@test "of a socket file the broker sees each connection, also when all workers are busy" {
    ADDR=$TMP/path
    start_noted -w 2 -- "$VICTIM" accept "$TMP/path"
    load_pool
    status_is '.listeners[0] | .direct == 0 and .connections == 2400'
    stop_broker
    # one more for each that was taken back
    jq -e -s 'length >= 2400 and all((.client | startswith("unix:@probe-")) and .open_ms == null)' "$TMP/conns" >/dev/null
}

@test "what workers note is there after the broker was killed, and after an upgrade" {
    local how load lines dropped
    start_noted -w 2 -- "$VICTIM" accept "$ADDR"
    for how in crash upgrade; do
        load_pool & load=$!
        wait_until status_is '.listeners[0].direct > 100'
        case $how in
        crash)
            kill -KILL "$BROKER"
            wait_until status_is ".pid != $BROKER"
            wait_for_broker
            ;;
        upgrade) "$SSHIM" upgrade --control "$CONTROL" ;;
        esac
        wait "$load"
    done
    accounted() { # what a killed broker had in hand is missing: the lines of one write
        lines=$(wc -l <"$TMP/conns") dropped=$(status_of .conn_log_dropped)
        ((lines + dropped >= 4800 - 40))
    }
    wait_until accounted
    sleep 1
    accounted
    echo "$lines lines, $dropped dropped"
    ((lines + dropped <= 4800))
    timeout 60 "$SSHIM" stop --control "$CONTROL"
}

@test "what workers note while nobody reads it is counted once it is too much" {
    local i pids=()
    start_noted -w 2 -- "$VICTIM" accept "$ADDR"
    load_pool
    await_lines 2400
    for i in 1 2 3 4 5 6; do "$PROBE" -n 2000 "$ADDR" >"$TMP/more.$i" & pids+=($!); done
    wait_until status_is '.listeners[0].direct > 3000'
    kill -STOP "$BROKER"
    sleep 4
    kill -CONT "$BROKER"
    wait "${pids[@]}"
    all_accounted() { (($(wc -l <"$TMP/conns") + $(status_of .conn_log_dropped) == 14400)); }
    wait_until all_accounted
    status_of .conn_log_dropped
    stop_broker
}

start_passer() { # HOW
    start_noted -w 1 -- python3 "$ROOT/tests/progs/passer.py" "$1" "$ADDR"
}

@test "a connection that another process has is open, however it came there" {
    local how
    for how in fork dup spawn popen send; do
        echo "$how"
        start_passer "$how"
        for _ in {1..6}; do
            exec 7<>"/dev/tcp/$HOST/$PORT"
            head -n 1 <&7
            sleep 0.7
            exec 7>&-
        done
        await_lines 6 '.open_ms > 600 and .open_ms < 6000'
        stop_broker
        rm "$TMP/conns"
    done
}

@test "a connection that is taken back has one line, of the worker that got it" {
    local i pids=() first
    start_noted -w 2 -- "$VICTIM" accept --delay 500 "$ADDR"
    first=$(worker_pid 0)
    for i in 1 2 3 4; do "$PROBE" -n 1 "$ADDR" >"$TMP/answers.$i" & pids+=($!); done
    wait_until status_is '.listeners[0].untaken > 0' # sent to a worker that is busy
    kill -STOP "$first" # what it has not accepted goes to the other one
    wait_until status_is '.listeners[0].recalled > 0'
    wait_until status_is '.listeners[0].untaken == 0 and .listeners[0].queued == 0'
    kill -CONT "$first"
    wait "${pids[@]}"
    await_lines 4
    sed -nE 's/.*slot=([0-9]+) peer=([^ ]+) .*/\2 \1/p' "$TMP"/answers.* | sort >"$TMP/seen"
    jq -r '"\(.client) \(.worker)"' "$TMP/conns" | sort >"$TMP/told"
    diff "$TMP/seen" "$TMP/told"
    stop_broker
    lines_are 4
}

@test "client is the one of the PROXY header, sender the balancer" {
    start_noted -w 1 --accept-proxy any --proxy-from 127.0.0.0/8 -- python3 "$ROOT/tests/progs/proxied.py" "$HOST" "$PORT"
    timeout 60 python3 "$ROOT/tests/progs/proxied.py" send "$HOST" "$PORT" 'PROXY TCP4 192.0.2.7 198.51.100.1 4711 80\r\nhello'
    await_lines 1 '.client == "192.0.2.7:4711" and (.sender | startswith("127."))'
    stop_broker
}

@test "IPv6 is told as such, and the end of a connection of a path is not known" {
    start_noted -w 1 -- "$VICTIM" epoll "[::1]:$PORT" "$TMP/path"
    probe 1 "[::1]:$PORT"
    await_lines 1 ".listener == \"[::1]:$PORT\" and (.client | startswith(\"[::1]:\")) and .open_ms >= 0"
    probe 1 "$TMP/path"
    await_lines 2 ".open_ms >= 0 or (.listener == \"unix:$TMP/path\" and (.client | startswith(\"unix:@probe-\")) and .wait_ms == null and .open_ms == null)"
    stop_broker
}

@test "a connection that the kernel did not take from the broker at first has one line" {
    start_noted -w 1 -- "$VICTIM" epoll "$TMP/path"
    strace -qq -o "$TMP/trace" -e trace=sendmsg -e inject=sendmsg:error=ENOBUFS:when=1 -p "$BROKER" 3>&- 2>/dev/null &
    STARTED+=($!)
    wait_until grep -q '^TracerPid:.*[1-9]' "/proc/$BROKER/status"
    probe 2 "$TMP/path"
    grep -q 'ENOBUFS.*INJECTED' "$TMP/trace"
    await_lines 2
    kill "${STARTED[-1]}"
    stop_broker
    lines_are 2
}

@test "what is open at an upgrade, at a crash and at the end has its line" {
    local how
    start_noted -w 2 -- "$VICTIM" epoll --hold "$ADDR"
    for how in upgrade crash; do
        exec 7<>"/dev/tcp/$HOST/$PORT"
        wait_until status_is '[.workers[].active] | add == 1'
        case $how in
        upgrade) "$SSHIM" upgrade --control "$CONTROL" ;;
        crash)
            kill -KILL "$BROKER"
            wait_until status_is ".pid != $BROKER"
            wait_for_broker
            ;;
        esac
        [[ ! -s $TMP/conns ]]
        exec 7>&-
        await_lines 1 '.open_ms > 0 and .wait_ms >= 0'
        : >"$TMP/conns"
        wait_until status_is '[.workers[].active] | add == 0'
    done
    exec 7<>"/dev/tcp/$HOST/$PORT"
    wait_until status_is '[.workers[].active] | add == 1'
    "$SSHIM" stop --now --control "$CONTROL"
    lines_are 1 '.open_ms >= 0'
    exec 7>&-
}

clients_wait() { # in the kernel's queue
    (($(ss -Htln "sport = :$PORT" | awk '{ print $2 }') > 0))
}

@test "what came while no broker was there has its line" {
    start_noted -w 2 -- "$VICTIM" epoll "$ADDR"
    kill -STOP "$BROKER"
    probe 20 &
    wait_until clients_wait
    kill -KILL "$BROKER"
    wait $!
    wait_until status_is ".pid != $BROKER"
    await_lines 20 '.wait_ms >= 0'
    timeout 60 "$SSHIM" stop --control "$CONTROL"
}

has_table() { # of the broker that serves
    readlink "/proc/$(status_of .pid)/fd/"* | grep -q /memfd:sshim-connections
}

@test "a broker without it that takes the place of one with it keeps nothing of that one's" {
    start_noted -w 1 -- "$VICTIM" accept "$ADDR"
    has_table
    kill -KILL "$BROKER"
    wait_until status_is ".pid != $BROKER"
    wait_for_broker
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    wait_until status_is ".pid == $BROKER"
    ! has_table || false
    probe 3
    # no number in the journal names another descriptor, which a resume would pass on
    "$SSHIM" upgrade --control "$CONTROL"
    ! has_table || false
    probe 3
    stop_broker
}

@test "lines that a full pipe does not take are counted and told, and nobody waits" {
    local line
    mkfifo "$TMP/pipe"
    exec 7<>"$TMP/pipe"
    "$SSHIM" run -w 1 --control "$CONTROL" --conn-log - -- "$VICTIM" accept "$ADDR" </dev/null 2>>"$TMP/log" 1>&7 3>&- 7>&- &
    BROKER=$!
    timeout 60 "$SSHIM" status --wait ready --control "$CONTROL" >/dev/null
    dd if=/dev/zero of="$TMP/pipe" bs=4096 count=1000 oflag=nonblock 2>/dev/null || true
    probe 20
    wait_until status_is '.conn_log_dropped == 20'
    dd if="$TMP/pipe" bs=65536 iflag=nonblock of=/dev/null 2>/dev/null || true
    probe 1
    IFS= read -r -t 30 -u 7 line
    [[ $line == *" event=connection instance=victim client=127.0.0.1:"*" dropped=20" ]]
    exec 7>&-
    probe 3
    stop_broker
}

@test "reopen and USR1 open the file anew; --log-format human is for people" {
    start_broker -w 1 --conn-log "$TMP/conns" --log "$TMP/own.log" --log-format human -- "$VICTIM" accept "$ADDR"
    [[ $(stat -c %a "$TMP/conns") == 640 ]]
    probe 1
    wait_until grep -qE "^[0-9TZ:.-]+ sshim: connection of 127.0.0.1:[0-9]+ to $ADDR: worker 0, waited [0-9]+ ms, open for [0-9]+ ms$" "$TMP/conns"
    mv "$TMP/conns" "$TMP/conns.1"
    [[ $("$SSHIM" reopen --control "$CONTROL") == "$TMP/own.log is open anew; $TMP/conns is open anew" ]]
    probe 1
    wait_until test -s "$TMP/conns"
    mv "$TMP/conns" "$TMP/conns.2"
    kill -USR1 "$BROKER"
    wait_until test -e "$TMP/conns"
    rm "$TMP/conns"
    mkdir "$TMP/conns"
    run "$SSHIM" reopen --control "$CONTROL"
    [[ $status == 1 && $output == *"cannot open $TMP/conns: Is a directory; going on with the old file"* ]]
    stop_broker
}

@test "a file that cannot be opened, and ways past the broker, are errors at the start" {
    run timeout 60 "$SSHIM" run -w 1 --control "$CONTROL" --conn-log "$TMP/none/conns" -- "$VICTIM" accept "$ADDR"
    [[ $status == 2 && $output == *"cannot open $TMP/none/conns for --conn-log: No such file or directory"* ]]
    run timeout 60 "$SSHIM" run -w 1 --control "$CONTROL" --handoff direct --conn-log - -- "$VICTIM" accept "$ADDR"
    [[ $status == 2 && $output == *"with --handoff direct no connection passes the broker, so there is no --conn-log"* ]]
    run timeout 60 "$SSHIM" run -w 1 --control "$CONTROL" --intercept seccomp --conn-log - -- "$VICTIM" accept "$ADDR"
    [[ $status != 0 && $output == *"--conn-log"* ]]
}

@test "--sandbox permits it" {
    start_noted -w 1 --sandbox -- "$VICTIM" accept "$ADDR"
    probe 5
    await_lines 5 '.open_ms >= 0'
    rm "$TMP/conns"
    "$SSHIM" reopen --control "$CONTROL"
    probe 2
    await_lines 2
    stop_broker
}
