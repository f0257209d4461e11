# What a service manager hears (sd_notify) and gives (LISTEN_FDS), without one: by a receiver of datagrams and systemd-socket-activate.
load helpers

# A manager that writes each datagram as one line into $TMP/told.
start_manager() { # [NAME of the socket]
    : >"$TMP/told"
    start_other python3 -uc 'import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("\0" + sys.argv[1][1:] if sys.argv[1][0] == "@" else sys.argv[1])
print("manages", flush=True)
with open(sys.argv[2], "a", buffering=1) as told:
    while True:
        told.write(s.recv(4096).decode().replace("\n", " | ") + "\n")' "${1:-$TMP/notify}" "$TMP/told"
    wait_until grep -q manages "$TMP/out.other"
    export NOTIFY_SOCKET=${1:-$TMP/notify}
}

eval "$(declare -f teardown | sed '1s/teardown/teardown_all/')"
teardown() {
    rm -f "$TMP/notify"
    teardown_all
}

told() { # REGEX of a whole line
    grep -qxE "$1" "$TMP/told"
}

count_told() { # REGEX
    grep -cxE "$1" "$TMP/told"
}

STATUS_LINE='STATUS=ready: 2 of 2 workers serve, [0-9]+ connections, [0-9]+ in the queue'

@test "READY is told when all workers are ready, once, with what is going on" {
    local where
    for where in "$TMP/notify" "@sshim-test-$BASHPID"; do
        start_manager "$where"
        start_broker -w 2 -- "$VICTIM" accept "$ADDR"
        wait_until told "READY=1 \| $STATUS_LINE"
        [[ $(head -n 1 "$TMP/told") == "STATUS=starting: 0 of 2 "* ]]
        [[ $(count_told '.*READY=1.*') == 1 ]]
        stop_broker
        wait_until told 'STOPPING=1 \| EXTEND_TIMEOUT_USEC=35000000 \| STATUS=stopping: .*'
        kill "$OTHER"
        rm -f "$TMP/notify" "$TMP/out.other"
    done
}

@test "workers do not see what the manager gave the broker" {
    start_manager
    # shellcheck disable=SC2016
    WATCHDOG_USEC=60000000 WATCHDOG_PID=1 LISTEN_FDS=0 LISTEN_PID=1 LISTEN_FDNAMES=x start_broker -w 1 -- \
        sh -c 'env >"$0"; exec "$1" accept "$2"' "$TMP/env" "$VICTIM" "$ADDR"
    run grep -E '^(NOTIFY_SOCKET|WATCHDOG_|LISTEN_)' "$TMP/env"
    [[ $status == 1 ]]
    rm "$TMP/env"
    "$SSHIM" upgrade --control "$CONTROL"
    "$SSHIM" restart --control "$CONTROL"
    run grep -E '^(NOTIFY_SOCKET|WATCHDOG_|LISTEN_)' "$TMP/env"
    [[ $status == 1 ]]
    stop_broker
}

@test "a restart is a reload: RELOADING with the time, and READY at its end, also when it is given up" {
    start_manager
    start_broker -w 2 --settle 0 -- "$VICTIM" accept "$ADDR"
    wait_until told "READY=1 \| $STATUS_LINE"
    local before after reload
    before=$(cut -d. -f1 /proc/uptime)
    kill -HUP "$BROKER"
    wait_until told 'RELOADING=1 \| MONOTONIC_USEC=[0-9]+ \| EXTEND_TIMEOUT_USEC=30000000 \| STATUS=restarting: .*'
    after=$(cut -d. -f1 /proc/uptime)
    reload=$(sed -nE 's/.*MONOTONIC_USEC=([0-9]+).*/\1/p' "$TMP/told")
    ((reload / 1000000 >= before && reload / 1000000 <= after + 1))
    ready_twice() { [[ $(count_told '.*READY=1.*') == 2 ]]; }
    wait_until ready_twice
    stop_broker
}

@test "--ready-min: READY is told when so many are ready" {
    start_manager
    mkfifo "$TMP/gate"
    # shellcheck disable=SC2016
    start_broker -w 3 --ready-min 2 -- sh -c 'test "$SSHIM_WORKER_ID" != 2 || read -r _ <"$0"; exec "$1" accept "$2"' "$TMP/gate" "$VICTIM" "$ADDR"
    log_has "2 of 3 workers are ready"
    wait_until told "READY=1 \| STATUS=starting: 2 of 3 workers serve, .*"
    echo go >"$TMP/gate"
    wait_until workers_ready 3
    wait_until told "STATUS=ready: 3 of 3 .*"
    [[ $(count_told '.*READY=1.*') == 1 ]]
    stop_broker
}

@test "--lame-duck: TERM is told at once, and connections are taken until that time is over" {
    start_manager
    start_broker -w 1 --lame-duck 3600 -- "$VICTIM" accept "$ADDR"
    kill -TERM "$BROKER"
    wait_until told 'STOPPING=1 \| EXTEND_TIMEOUT_USEC=3635000000 \| STATUS=stopping: 1 of 1 .*'
    status_is '.state == "stopping" and (.serving | not)'
    probe 3
    kill -TERM "$BROKER"
    wait_for_broker
    [[ $STATUS == 0 ]]
    # stop waits for it; --now does not; the next broker does not forget it
    start_broker -w 1 --lame-duck 1 -- "$VICTIM" accept "$ADDR"
    "$SSHIM" stop --control "$CONTROL"
    wait_for_broker
    start_broker -w 1 --lame-duck 3600 -- "$VICTIM" accept "$ADDR"
    "$SSHIM" stop --now --control "$CONTROL"
    wait_for_broker
    start_broker -w 1 --lame-duck 3600 -- "$VICTIM" accept "$ADDR"
    kill -TERM "$BROKER"
    wait_until status_is '.state == "stopping"'
    kill -KILL "$BROKER"
    wait_for_broker
    wait_until no_process_is_left_but "$OTHER"
}

no_process_is_left_but() { # PID
    [[ $(pids_with "SSHIM_TEST=$TMP") == "$1" ]]
}

@test "the watchdog is told three times in its time, and not while the broker is stopped" {
    start_manager
    WATCHDOG_USEC=600000 start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    many() { (($(count_told WATCHDOG=1) >= $1)); }
    wait_until many 5
    kill -STOP "$BROKER"
    local before
    before=$(count_told WATCHDOG=1)
    sleep 1
    (($(count_told WATCHDOG=1) <= before + 1))
    kill -CONT "$BROKER"
    wait_until many $((before + 4))
    stop_broker
}

@test "a watchdog of another process is left alone" {
    start_manager
    WATCHDOG_USEC=100000 WATCHDOG_PID=1 start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    wait_until told "READY=1.*"
    sleep 0.5
    [[ $(count_told WATCHDOG=1) == 0 ]]
    stop_broker
}

@test "after a crash of the broker the next one tells its pid" {
    start_manager
    start_broker -w 2 -- "$VICTIM" accept "$ADDR"
    wait_until told "READY=1 \| $STATUS_LINE"
    kill -KILL "$BROKER"
    wait_until log_has "after a crash of the broker"
    local pid
    pid=$(status_of .pid)
    wait_until told "MAINPID=$pid \| .*"
    "$SSHIM" stop --control "$CONTROL"
    wait_for_broker
}

# The keeper: of the deputy, if there is one.
keeper_pid() {
    local broker
    broker=$(status_of .pid)
    pgrep -P "$broker" -x sshim-keeper || pgrep -P "$(pgrep -P "$broker" -x sshim-deputy)" -x sshim-keeper
}

@test "an upgrade with --sandbox names the next main process before this one ends" {
    export ASAN_OPTIONS=detect_leaks=0
    start_manager
    start_broker -w 2 --sandbox -- "$VICTIM" accept "$ADDR"
    local keeper
    keeper=$(keeper_pid)
    [[ $keeper ]]
    "$SSHIM" upgrade --control "$CONTROL"
    status_is ".pid == $keeper"
    told "MAINPID=$keeper" # of the old broker: without the state
    wait_until told "MAINPID=$keeper \| .*"
    probe 3
    "$SSHIM" stop --control "$CONTROL"
    wait_for_broker
}

takes_nothing() { # the manager: its queue is full
    log_has "the service manager does not take 'WATCHDOG=1'"
}

@test "an upgrade with --sandbox fails while the manager takes no message, and the broker goes on" {
    export ASAN_OPTIONS=detect_leaks=0
    start_manager
    WATCHDOG_USEC=6000 start_broker -v -w 1 --sandbox -- "$VICTIM" accept "$ADDR"
    kill -STOP "$OTHER"
    wait_until takes_nothing
    run timeout "$DEADLINE_S" "$SSHIM" upgrade --control "$CONTROL"
    kill -CONT "$OTHER"
    [[ $status == 1 && $output == *"the service manager does not take the message that names the new process" ]]
    status_is ".pid == $BROKER"
    probe 3
    "$SSHIM" upgrade --control "$CONTROL"
    status_is ".pid != $BROKER"
    probe 3
    "$SSHIM" stop --control "$CONTROL"
    wait_for_broker
}

# activate ADDRESS... -- sshim run OPTIONS: by systemd-socket-activate, which executes it at the first connection.
activate() {
    local listen=()
    while [[ $1 != -- ]]; do
        listen+=(--listen="$1")
        shift
    done
    shift
    systemd-socket-activate -E SSHIM_TEST="$TMP" ${FDNAMES:+--fdname=$FDNAMES} "${listen[@]}" "$SSHIM" run --control "$CONTROL" "$@" </dev/null >>"$TMP/out" 2>>"$TMP/log" 3>&- &
    BROKER=$!
    wait_until log_has "Listening on ${listen[-1]#--listen=}"
}

inode_of_listener() { # PORT of HOST: in the kernel's table
    local bytes
    IFS=. read -ra bytes <<<"$HOST"
    awk -v name="$(printf '%02X%02X%02X%02X:%04X' "${bytes[@]:3:1}" "${bytes[@]:2:1}" "${bytes[@]:1:1}" "${bytes[@]:0:1}" "$1")" \
        '$4 == "0A" && $2 == name { print $10 }' /proc/net/tcp
}

nobody_listens() { # PORT of HOST
    [[ -z $(inode_of_listener "$1") ]]
}

@test "a socket of LISTEN_FDS is the canonical socket of its address, and who came first is served" {
    activate "$ADDR" -- -w 2 -- "$VICTIM" accept "$ADDR"
    local inode
    inode=$(inode_of_listener "$PORT")
    [[ -n $inode ]]
    probe 20
    [[ $(inode_of_listener "$PORT") == "$inode" ]]
    wait_until workers_ready 2
    all_answer 2
    "$SSHIM" restart --control "$CONTROL"
    all_answer 2
    "$SSHIM" upgrade --control "$CONTROL"
    "$SSHIM" scale 1 --control "$CONTROL"
    all_answer 1
    [[ $(inode_of_listener "$PORT") == "$inode" ]]
    stop_broker
    [[ $STATUS == 0 ]]
}

@test "an inherited socket outlives the broker: clients that come meanwhile wait for the next one" {
    python3 -c 'import os, socket, sys
s = socket.socket(); s.bind((sys.argv[1], int(sys.argv[2]))); s.listen(64)
print(s.fileno()); sys.stdout.flush()
os.dup2(s.fileno(), 3); os.set_inheritable(3, True)
def run():
    pid = os.fork()
    if pid == 0:
        os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
        os.execv(sys.argv[3], sys.argv[3:])
    return pid
for i in range(2):
    os.waitpid(run(), 0)
' "$HOST" "$PORT" "$SSHIM" run --control "$CONTROL" -w 1 -- "$VICTIM" accept "$ADDR" </dev/null >>"$TMP/out" 2>>"$TMP/log" 3>&- &
    local manager=$! client
    wait_until log_has "1 of 1 workers are ready"
    probe 3
    "$SSHIM" stop --control "$CONTROL"
    timeout 60 "$PROBE" -n 2 "$ADDR" >"$TMP/answers" 2>&1 3>&- &
    client=$!
    wait "$client"
    wait_until workers_ready 1
    "$SSHIM" stop --control "$CONTROL"
    wait "$manager"
}

@test "a socket file of LISTEN_FDS stays, whatever the server removes" {
    activate "$TMP/server.sock" -- -w 2 -- python3 "$ROOT/tests/progs/deploy.py" "$TMP/conf"
    echo "name=unix $TMP/server.sock" >"$TMP/conf"
    local inode
    inode=$(stat -c %i "$TMP/server.sock")
    [[ $(socat -t 30 - "UNIX-CONNECT:$TMP/server.sock" </dev/null) == unix* ]]
    wait_until workers_ready 2
    "$SSHIM" restart --control "$CONTROL"
    [[ $(stat -c %i "$TMP/server.sock") == "$inode" ]]
    [[ $(socat -t 30 - "UNIX-CONNECT:$TMP/server.sock" </dev/null) == unix* ]]
    stop_broker
    [[ $(stat -c %i "$TMP/server.sock") == "$inode" ]]
    rm "$TMP/server.sock"
}

@test "an address that nobody asks for is told, and what is no listening socket as well" {
    second_port=$("$PROBE" --free-port)
    activate "$HOST:$second_port" "$ADDR" -- -w 1 -- "$VICTIM" accept "$ADDR"
    probe 1
    wait_until log_has "no worker listens on $HOST:$second_port, which the service manager gave"
    [[ $(grep -c "no worker listens on" "$TMP/log") == 1 ]]
    stop_broker
    # shellcheck disable=SC2016
    bash -c 'exec 3</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@"' "$SSHIM" run --control "$CONTROL" -w 1 -- "$VICTIM" accept "$ADDR" \
        </dev/null >>"$TMP/out" 2>>"$TMP/log" &
    BROKER=$!
    wait_until log_has "cannot use descriptor 3 of LISTEN_FDS"
    wait_until workers_ready 1
    stop_broker
}

@test "a LISTEN_FDS that says too many does not make the broker's own sockets listeners" {
    # shellcheck disable=SC2016
    bash -c 'LISTEN_FDS=40 LISTEN_PID=$$ exec "$0" "$@"' "$SSHIM" run --control "$CONTROL" -w 1 -- "$VICTIM" accept "$ADDR" \
        </dev/null >>"$TMP/out" 2>>"$TMP/log" 3>&- &
    BROKER=$!
    wait_until workers_ready 1
    status_is '.listeners | length == 1'
    log_has "LISTEN_FDS says 40 descriptors, but 0 are open from 3 on; using no others"
    stop_broker
}

@test "descriptors for another process are left alone" {
    LISTEN_FDS=1 LISTEN_PID=1 start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    run log_has LISTEN_FDS
    [[ $status == 1 ]]
    probe 2
    stop_broker
}

# --- names, and sockets that the manager keeps

listener_names() {
    status_of '[.listeners[] | .name] | sort | join(",")'
}

@test "LISTEN_FDNAMES: status shows the names, also after an upgrade" {
    local FDNAMES=web:admin second_port
    second_port=$("$PROBE" --free-port)
    activate "$ADDR" "$HOST:$second_port" -- -w 1 -- "$VICTIM" epoll "$ADDR" "$HOST:$second_port"
    probe 1 # the first connection starts the broker
    wait_until workers_ready 1
    status_is ".listeners | map({(.address): .name}) | add | .[\"$ADDR\"] == \"web\" and .[\"$HOST:$second_port\"] == \"admin\""
    "$SSHIM" upgrade --control "$CONTROL"
    [[ $(listener_names) == admin,web ]]
    "$SSHIM" status --control "$CONTROL" | grep -qE "^$ADDR \(web\) +[0-9]+ +0 "
    stop_broker
}

@test "a name of LISTEN_FDNAMES that is a port: the server asks for that one" {
    local FDNAMES
    FDNAMES=$("$PROBE" --free-port)
    activate "$ADDR" -- -w 2 -- "$VICTIM" accept "$HOST:$FDNAMES"
    probe 2
    wait_until workers_ready 2
    all_answer 2
    status_is "(.listeners | length) == 1 and .listeners[0].address == \"$ADDR\" and .listeners[0].name == \"$FDNAMES\""
    [[ -z $(inode_of_listener "$FDNAMES") ]]
    "$SSHIM" upgrade --control "$CONTROL"
    "$SSHIM" restart --control "$CONTROL"
    all_answer 2
    [[ -z $(inode_of_listener "$FDNAMES") ]]
    stop_broker
}

@test "LISTEN_FDNAMES: of two sockets that are named after one port the second is refused, in one line" {
    local FDNAMES port second_port
    port=$("$PROBE" --free-port)
    second_port=$("$PROBE" --free-port)
    FDNAMES=$port:$port
    activate "$ADDR" "$HOST:$second_port" -- -w 1 -- "$VICTIM" accept "$HOST:$port"
    probe 2
    wait_until workers_ready 1
    [[ $(grep -c "cannot use $HOST:$second_port of LISTEN_FDS: .* by the name $port; give each" "$TMP/log") == 1 ]]
    status_is "(.listeners | length) == 1 and .listeners[0].address == \"$ADDR\""
    stop_broker
}

# As start_other; it reads what is written to descriptor 7.
start_managed() {
    "$@" 3>&- 8>&- 7>&- <"$TMP/orders" >>"$TMP/out.other" 2>>"$TMP/log" &
    OTHER=$!
    STARTED+=("$OTHER")
}

kept_are() { # COUNT
    [[ -e $TMP/kept && $(wc -l <"$TMP/kept") == "$1" ]]
}

a_client_waits() { # in the kernel's queue
    [[ $(ss -ltnH "sport = :$PORT" | awk '{ print $2 }') == 1 ]]
}

@test "FDSTORE: clients wait while the unit is restarted, and the same socket serves them" {
    local inode client
    mkfifo "$TMP/orders"
    exec 7<>"$TMP/orders"
    start_managed python3 "$ROOT/tests/progs/manager.py" "$TMP/notify" "$TMP/kept" "$SSHIM" run -v --control "$CONTROL" -w 2 -- \
        "$VICTIM" epoll "$ADDR" "$TMP/path"
    wait_until kept_are 1 # the file is not kept
    grep -qE '^sshim-listener-[0-9]+$' "$TMP/kept"
    inode=$(inode_of_listener "$PORT")
    probe 4
    "$SSHIM" restart --control "$CONTROL"
    "$SSHIM" upgrade --control "$CONTROL"
    kept_are 1
    "$SSHIM" stop --control "$CONTROL"
    wait_until grep -q '^ended 0' "$TMP/out.other"
    [[ $(inode_of_listener "$PORT") == "$inode" ]]
    timeout 60 "$PROBE" -n 1 "$ADDR" >"$TMP/answers" 2>&1 3>&- &
    client=$!
    wait_until a_client_waits
    ! grep -q . "$TMP/answers" || false
    echo again >&7
    wait "$client"
    [[ $(inode_of_listener "$PORT") == "$inode" ]]
    wait_until status_is '.ready == 2 and (.listeners | length) == 2'
    kept_are 1
    probe 4
    "$SSHIM" stop --control "$CONTROL"
    exec 7>&-
    kill "$OTHER"
    rm -f "$TMP/notify"
}

@test "FDSTORE: a listener that ends, or that the next start does not ask for, is forgotten" {
    local conf=$TMP/conf other_port
    other_port=$("$PROBE" --free-port)
    mkfifo "$TMP/orders"
    exec 7<>"$TMP/orders"
    # shellcheck disable=SC2016
    start_managed python3 "$ROOT/tests/progs/manager.py" "$TMP/notify" "$TMP/kept" "$SSHIM" run --control "$CONTROL" -w 1 -- \
        sh -c 'exec "$0" accept $(cat "$1")' "$VICTIM" "$conf"
    echo "$ADDR" >"$conf"
    wait_until kept_are 1
    # its copies listen elsewhere from now on
    echo "$HOST:$other_port" >"$conf"
    cp "$TMP/kept" "$TMP/kept.before"
    "$SSHIM" restart --control "$CONTROL"
    only_the_new_one() { kept_are 1 && ! cmp -s "$TMP/kept" "$TMP/kept.before"; }
    wait_until only_the_new_one
    wait_until nobody_listens "$PORT"
    probe 1 "$HOST:$other_port"
    # and while it does not run
    "$SSHIM" stop --control "$CONTROL"
    wait_until grep -q '^ended 0' "$TMP/out.other"
    echo "$ADDR" >"$conf"
    cp "$TMP/kept" "$TMP/kept.before"
    echo again >&7
    wait_until only_the_new_one
    wait_until nobody_listens "$other_port"
    probe 1
    "$SSHIM" stop --control "$CONTROL"
    exec 7>&-
    kill "$OTHER"
    rm -f "$TMP/notify"
}

@test "a manager that keeps nothing is given nothing" {
    start_manager
    FDSTORE=0 start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    wait_until told 'READY=1.*'
    stop_broker
    ! grep -q FDSTORE "$TMP/told" || false
}
