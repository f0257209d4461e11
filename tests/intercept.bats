# Programs that the library cannot be preloaded into are served by seccomp notification: copies share one socket, and are
# supervised as all others.
load helpers
load go

UNLOADED=$BUILD/tests/unloaded
STATIC=$UNLOADED/victim

all_go_by() { # preload|seccomp
    status_is "[.workers[].via] | unique == [\"$1\"]"
}

# What each of N clients hears that only listen: "pid=PID".
hear() { # N
    local i line
    for ((i = 0; i < $1; i++)); do
        exec 7<>"/dev/tcp/127.0.0.1/$PORT" || return 1
        read -r -t 10 line <&7
        exec 7<&- 7>&-
        echo "$line"
    done
}

all_heard() { # N: until so many copies have answered
    [[ $(hear 8 | sort -u | wc -l) == "$1" ]]
}

@test "four copies of a static server share one port, and status says how" {
    start_broker -w 4 -- "$STATIC" accept "$ADDR"
    all_answer 4
    all_go_by seccomp
    "$SSHIM" status --control "$CONTROL" | grep -c ' seccomp$' | grep -qx 4
    [[ $(grep -c 'by --intercept seccomp: it is linked statically' "$TMP/log") == 1 ]]
    stop_broker
}

@test "what can be preloaded is, without a word, unless the other way is asked for" {
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    all_go_by preload
    run log_has seccomp
    ((status != 0))
    [[ $(grep Seccomp: "/proc/$(worker_pid 0)/status") == *0 ]]
    stop_broker
    start_broker -w 2 --intercept seccomp -- "$VICTIM" accept "$ADDR"
    all_go_by seccomp
    all_answer 2
    run grep -q libsshim "/proc/$(worker_pid 0)/maps"
    ((status == 1))
    stop_broker
}

@test "--intercept preload runs nothing of it: no filter, no descriptor, and a static program is refused" {
    start_broker -w 2 --intercept preload -- "$VICTIM" accept "$ADDR"
    all_answer 2
    grep -q $'^Seccomp:\t0' "/proc/$(worker_pid 0)/status"
    run ls -l "/proc/$BROKER/fd"
    [[ $status == 0 && $output == *sshim-journal* && $output != *sshim-notices* && $output != *seccomp* ]]
    stop_broker
    run "$SSHIM" run --control "$CONTROL" --intercept preload -- "$STATIC" accept "$ADDR"
    [[ $status == 126 && $output == *"cannot preload libsshim.so into '$STATIC': it is linked statically"* ]]
}

@test "each way to wait, and servers with threads and children" {
    local mode
    for mode in accept-first select poll epoll epoll-edge epoll-oneshot threads thread-per fork-per prefork; do
        echo "mode $mode"
        start_broker -w 2 -- "$STATIC" "$mode" "$ADDR"
        all_answer 2
        stop_broker
    done
}

@test "IPv6, IPv6 only beside IPv4, an abstract name: several listeners of one copy" {
    start_broker -w 2 -- "$STATIC" epoll "v6only:[::]:$PORT" "0.0.0.0:$PORT" "@$TMP.name"
    all_answer 2 "[::1]:$PORT"
    all_answer 2 "127.0.0.1:$PORT"
    all_answer 2 "@$TMP.name"
    status_is '.listeners | length == 3'
    stop_broker
}

@test "a static program of musl" {
    start_broker -w 3 -- "$UNLOADED/victim-musl" epoll "$ADDR"
    all_answer 3
    stop_broker
}

@test "a 32-bit program, by its own calls and by socketcall" {
    runs_32bit || skip "this kernel executes no 32-bit program"
    local way
    for way in "" old; do
        # shellcheck disable=SC2086 # none or one
        start_broker -w 3 -- "$UNLOADED/narrow" "$PORT" $way
        wait_until all_heard 3
        all_go_by seccomp
        stop_broker
    done
}

@test "a setuid server keeps its rights, where the broker is root" {
    [[ $(id -u) == 0 ]] || skip "only root can make it"
    cp "$VICTIM" "$TMP/server"
    chown 65534 "$TMP/server"
    chmod 4755 "$TMP/server"
    start_broker -w 2 -- "$TMP/server" accept "$ADDR"
    log_has "it is setuid to uid 65534"
    all_answer 2
    grep -q $'^Uid:\t0\t65534' "/proc/$(worker_pid 0)/status"
    grep -q $'^NoNewPrivs:\t0' "/proc/$(worker_pid 0)/status"
    stop_broker
}

@test "without root: a static server is served, a setuid one refused with the reason" {
    [[ $(id -u) == 0 ]] || skip "only root can become nobody"
    become_nobody
    cp "$STATIC" "$TMP/build/static"
    start_broker -w 2 -- "$TMP/build/static" accept "$ADDR"
    all_answer 2
    grep -q $'^NoNewPrivs:\t1' "/proc/$(worker_pid 0)/status"
    stop_broker
    chmod 4755 "$TMP/build/static"
    local status=0
    output=$("$SSHIM" run --control "$CONTROL" -- "$TMP/build/static" accept "$ADDR" 2>&1 3>&-) || status=$?
    echo "$output"
    [[ $status == 126 && $output == *"takes its setuid bit or file capabilities away"*"run sshim as root" ]]
}

@test "workers of another user get a low port" {
    [[ $(id -u) == 0 ]] || skip "only root can start workers of another user"
    share_build
    cp "$STATIC" "$TMP/build/static"
    local low=$HOST:$((700 + RANDOM % 200))
    start_broker -w 2 --user nobody -- "$TMP/build/static" accept "$low"
    all_answer 2 "$low"
    stop_broker
}

@test "env -i in front of a server of either kind" {
    local server
    for server in "$STATIC" "$VICTIM"; do
        start_broker -w 2 -- env -i "$server" accept "$ADDR"
        ANSWER_BY=pid all_answer 2
        all_go_by seccomp
        stop_broker
    done
}

@test "a launcher that ends in a static program, and one that clears the environment: found, and started again" {
    start_broker -w 3 -- sh -c "exec '$STATIC' accept '$ADDR'"
    log_has "/victim) listens on $ADDR without the library: it is linked statically, so no loader runs that could preload anything; starting all again by --intercept seccomp"
    all_answer 3
    all_go_by seccomp
    stop_broker
    rm "$TMP/log"
    start_broker -w 2 -- sh -c "exec env -i '$VICTIM' accept '$ADDR'"
    log_has "its environment was cleared"
    ANSWER_BY=pid all_answer 2
    stop_broker
}

@test "a copy that is just being started when all are started again is one of them" {
    # Copy 1 ends while copy 0 listens past the library. What finds that comes before copy 1, started anew, leads a process group.
    strace -qq -f -o /dev/null -e trace=setsid,setpgid -e inject=setsid,setpgid:delay_enter=400000 \
        "$SSHIM" run --control "$CONTROL" -w 2 -- sh -c "[ \$SSHIM_WORKER_ID = 0 ] || [ -e '$TMP/again' ] || {
            sleep 0.3; touch '$TMP/again'; exit 1; }
            exec '$STATIC' accept '$ADDR'" 2>"$TMP/log" 3>&- &
    wait_until workers_ready 2
    log_has "starting all again by --intercept seccomp"
    all_go_by seccomp
    all_answer 2
    "$SSHIM" stop --control "$CONTROL"
    wait
}

@test "errors are the kernel's: an address of another machine, one that an outsider has" {
    local status=0
    timeout 30 "$SSHIM" run --control "$CONTROL" -w 2 -- "$STATIC" accept "192.0.2.1:$PORT" 2>"$TMP/log" 3>&- || status=$?
    [[ $status == 4 ]]
    log_has "cannot bind 192.0.2.1:$PORT: Cannot assign requested address"
    start_other "$VICTIM" accept "$ADDR"
    wait_until "$PROBE" -n 1 "$ADDR"
    status=0
    timeout 30 "$SSHIM" run --control "$CONTROL" -w 2 -- "$STATIC" accept "$ADDR" 2>"$TMP/log" 3>&- || status=$?
    [[ $status == 4 ]]
    log_has "cannot bind $ADDR: Address already in use, by "
}

@test "--unshared leaves an address to each copy, --share all shares port 0" {
    start_broker -w 1 --unshared "$PORT" --start-timeout 1 -- "$STATIC" accept "$ADDR"
    log_has "only on $ADDR, which is private to it; see --share"
    status_is '.listeners | length == 0'
    probe 3
    stop_broker
    start_broker -w 3 --share all --intercept seccomp -- "$STATIC" accept "$HOST:0"
    status_is '.listeners | length == 1'
    all_answer 3 "$(status_of '.listeners[0].address')"
    stop_broker
}

@test "a worker that is killed is replaced at once, and again" {
    start_broker -w 2 -- "$STATIC" accept "$ADDR"
    local round pid
    for round in 1 2 3 4; do
        pid=$(worker_pid 0)
        kill -KILL "$pid"
        wait_until status_is ".workers[] | select(.slot == 0) | .state == \"ready\" and .pid != $pid"
    done
    all_answer 2
    status_is '.workers[0].restarts == 4'
    stop_broker
}

@test "a rolling restart: the new copy listens before the old one is told to end" {
    printf '%s\n' name=old "$ADDR" >"$TMP/conf"
    start_broker -w 3 --intercept seccomp -- python3 "$ROOT/tests/progs/deploy.py" "$TMP/conf"
    printf '%s\n' name=new "$ADDR" >"$TMP/conf"
    run timeout 60 "$SSHIM" restart --control "$CONTROL" 3>&-
    [[ $status == 0 && $output == "3 of 3 workers were replaced" ]]
    printf '%s\n' name=bad "$HOST:1$PORT" >"$TMP/conf"
    run timeout 60 "$SSHIM" restart --control "$CONTROL" 3>&-
    [[ $status == 1 ]]
    wait_until workers_ready 3
    exec 7<>"/dev/tcp/$HOST/$PORT"
    local line
    read -r -t 10 line <&7
    exec 7<&- 7>&-
    echo "$line"
    [[ $line == new* ]]
    stop_broker
}

@test "the broker is killed, upgraded and taken over: workers serve on, and new ones bind" {
    start_broker -w 2 -- "$STATIC" accept "$ADDR"
    local old
    old=$(worker_pid 1)
    kill -KILL "$BROKER"
    wait_for_broker
    wait_until "$SSHIM" status --control "$CONTROL"
    all_answer 2
    kill -KILL "$(worker_pid 0)"
    wait_until workers_ready 2
    all_answer 2
    "$SSHIM" upgrade --control "$CONTROL"
    "$SSHIM" restart --control "$CONTROL"
    all_answer 2
    all_go_by seccomp
    kill -KILL "$(status_of .pid)"
    wait_until "$SSHIM" status --control "$CONTROL"
    start_broker -w 2 -- "$STATIC" accept "$ADDR"
    log_has "going on with 2 workers of the broker before"
    kill -KILL "$(worker_pid 0)"
    wait_until workers_ready 2
    all_answer 2
    all_go_by seccomp
    is_gone "$old"
    stop_broker
}

@test "a bind that nobody has received when the broker is killed is answered by the next one" {
    launch_broker --intercept seccomp -w 1 -- sh -c "until [ -e '$TMP/go' ]; do sleep 0.05; done; exec '$STATIC' accept '$ADDR'"
    wait_until worker_pid 0
    local pid
    pid=$(worker_pid 0)
    wait_until grep -q $'^Seccomp:\t2' "/proc/$pid/status"
    wait_until status_is '.workers[0].uptime_s >= 1' # and the descriptor of its filter has come
    kill -STOP "$BROKER"
    touch "$TMP/go"
    wait_until grep -q seccomp "/proc/$pid/wchan"
    kill -KILL "$BROKER"
    wait_for_broker
    wait_until workers_ready 1
    [[ $(worker_pid 0) == "$pid" ]]
    probe 3
    "$SSHIM" stop --control "$CONTROL"
}

@test "broker and keeper are killed: workers serve on, and the next run names them" {
    start_broker -w 2 -- "$STATIC" accept "$ADDR"
    local pids
    pids=$(status_of '.workers[].pid')
    kill_broker_and_keeper
    all_answer 2
    local status=0
    output=$("$SSHIM" run --control "$CONTROL" -w 2 -- "$STATIC" accept "$ADDR" 2>&1 3>&-) || status=$?
    echo "$output"
    [[ $status == 4 && $output == *"still serve"* ]]
    # shellcheck disable=SC2086 # a list
    kill $pids
    wait_until no_process_is_left
    rm -f "$CONTROL" "$CONTROL.link"
}

@test "senseless arguments get the errors that they get natively" {
    "$UNLOADED/notified" errors >"$TMP/natively"
    start_broker -w 1 --start-timeout 1 --intercept seccomp -- sh -c "'$UNLOADED/notified' errors >'$TMP/notified'; exec sleep 1000"
    [[ $(wc -l <"$TMP/natively") -gt 30 ]]
    diff "$TMP/natively" "$TMP/notified"
    stop_broker
}

@test "processes and threads that end, execute and fork in the middle of bind harm nobody" {
    start_broker -w 2 --intercept seccomp -- sh -c "'$UNLOADED/notified' storm 3 & exec '$VICTIM' accept '$ADDR'"
    local round
    for round in 1 2 3 4 5 6; do
        all_answer 2
        sleep 0.5
    done
    turns_are_short 1000
    stop_broker
}

broker_fds_at_most() { # N
    (($(find "/proc/$BROKER/fd" -mindepth 1 | wc -l) <= $1))
}

@test "calls with arguments at random harm nobody, and leave no descriptor in the broker" {
    start_broker -w 2 --intercept seccomp -- sh -c "[ \$SSHIM_WORKER_ID = 1 ] && [ ! -e '$TMP/once' ] && {
            touch '$TMP/once'; mkdir '$TMP/wild'; cd '$TMP/wild'; sleep 1; '$UNLOADED/notified' wild 4; } & exec '$VICTIM' accept '$ADDR'"
    all_answer 2
    local fds round
    fds=$(find "/proc/$BROKER/fd" -mindepth 1 | wc -l)
    for round in 1 2 3 4 5 6; do
        all_answer 2
        sleep 0.5
    done
    wait_until grep -E '^[0-9]{3,} calls$' "$TMP/out"
    turns_are_short 1000
    echo "$(status_of '.listeners | length') listeners"
    kill -KILL "$(worker_pid 1)" # what it has bound and closed ends with it
    wait_until broker_fds_at_most $((fds + 3)) # helpers that close have theirs
    wait_until workers_ready 2
    all_answer 2
    stop_broker
    rm -r "$TMP/wild" # with the files that it has bound
}

@test "io_uring is not there for such a worker, so that it does without" {
    start_broker -w 1 --start-timeout 1 --intercept seccomp -- python3 -c "
import ctypes, time
libc = ctypes.CDLL(None, use_errno=True)
print('io_uring', libc.syscall(425, 1, None), ctypes.get_errno(), flush=True)
time.sleep(1000)"
    wait_until grep -qx 'io_uring -1 38' "$TMP/out"
    stop_broker
}

@test "what only the library can do is refused by name" {
    run "$SSHIM" run --control "$CONTROL" --handoff broker -- "$STATIC" accept "$ADDR"
    [[ $status == 126 && $output == *"nor by --intercept seccomp: --handoff broker needs the library" ]]
    run "$SSHIM" run --control "$CONTROL" --balance source --intercept seccomp -- "$VICTIM" accept "$ADDR"
    [[ $status == 126 && $output == *"cannot serve '$VICTIM' by --intercept seccomp: --balance needs the library" ]]
}

@test "a slot cannot be drained, and the answer says why" {
    start_broker -w 2 -- "$STATIC" accept "$ADDR"
    run "$SSHIM" drain 1 --control "$CONTROL"
    [[ $status == 1 && $output == "sshim: under --intercept seccomp workers take connections by themselves: no slot can be drained; "* ]]
    all_answer 2
    stop_broker
}

@test "inside of another one that watches calls it says so" {
    start_broker -w 1 --start-timeout 1 --intercept seccomp -- sh -c "'$SSHIM' check -- '$STATIC' >'$TMP/check' 2>&1; echo \$? >>'$TMP/check'; exec sleep 1000"
    grep -q "nor by --intercept seccomp: an outer program watches the calls of this one by seccomp already" "$TMP/check"
    [[ $(tail -n 1 "$TMP/check") == 1 ]]
    stop_broker
}

@test "where the kernel's filters are forbidden it says so" {
    run python3 "$ROOT/tests/progs/deny.py" errno 317 -- "$SSHIM" check -- "$STATIC"
    [[ $status == 1 && $output == *"nor by --intercept seccomp: seccomp is forbidden here (Operation not permitted); permit it to the container"* ]]
}

# Counts the system calls of a server from its listen on while it answers 40 clients.
count_server_calls() { # FILE
    awk '/ listen\(/ { on = 1; next } on && match($0, /[a-z_0-9]+\(/) { print substr($0, RSTART, RLENGTH - 1) }' "$1" |
        sort | uniq -c
}

@test "a served request costs the system calls that it costs natively" {
    start_other strace -qq -f -o "$TMP/natively" "$STATIC" epoll "$ADDR"
    wait_until "$PROBE" -n 1 "$ADDR"
    probe 39
    kill "$(pgrep -P "$OTHER")"
    start_broker -w 1 --intercept seccomp -- strace -qq -f -o "$TMP/notified" "$STATIC" epoll "$ADDR"
    probe 40
    stop_broker
    count_server_calls "$TMP/natively" >"$TMP/natively.calls"
    count_server_calls "$TMP/notified" >"$TMP/notified.calls"
    cat "$TMP/natively.calls"
    grep -q accept "$TMP/natively.calls"
    diff "$TMP/natively.calls" "$TMP/notified.calls"
}

@test "a Go server: every copy answers, and a rolling restart under load fails no request" {
    graceful_go
    start_broker -w 3 -- "$TMP/server" "$ADDR"
    log_has "it is a Go program"
    local i
    for ((i = 0; i < 400; i++)); do
        curl -s -m 20 "http://$ADDR/" || echo "failed"
    done >"$TMP/heard" &
    local load=$!
    "$SSHIM" restart --control "$CONTROL" 3>&-
    "$SSHIM" restart --control "$CONTROL" --parallel 3 3>&-
    wait "$load"
    sort "$TMP/heard" | uniq -c
    [[ $(wc -l <"$TMP/heard") == 400 ]]
    run grep -q failed "$TMP/heard"
    ((status == 1))
    [[ $(sort -u "$TMP/heard" | wc -l) -ge 3 ]]
    stop_broker
}

@test "a Go server with cgo behind a dynamic launcher" {
    CGO_ENABLED=1 compile_go <<'END'
package main

// #include <stdlib.h>
import "C"
import "net"
import "os"

func main() {
	C.abs(1)
	l, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		panic(err)
	}
	for {
		c, err := l.Accept()
		if err != nil {
			panic(err)
		}
		c.Write([]byte("pid=" + os.Getenv("SSHIM_WORKER_ID") + "\n"))
		c.Close()
	}
}
END
    start_broker -w 2 -- sh -c "exec '$TMP/server' 127.0.0.1:$PORT"
    wait_until all_heard 2
    stop_broker
}

@test "status counts the connections that copies have open" {
    start_broker -w 2 -- "$STATIC" epoll --hold "$ADDR"
    exec 7<>"/dev/tcp/$HOST/$PORT" 6<>"/dev/tcp/$HOST/$PORT"
    wait_until status_is '[.workers[].active] | add == 2'
    exec 7<&- 7>&- 6<&- 6>&-
    wait_until status_is '[.workers[].active] | add == 0'
    stop_broker
}

@test "an address in memory that does not answer stops nobody, and survives the broker that asked for it" {
    [[ $(id -u) == 0 ]] || skip "only root may have memory that does not answer the kernel"
    start_broker -w 2 --intercept seccomp -- sh -c "[ \$SSHIM_WORKER_ID = 1 ] && '$UNLOADED/notified' stuck 5 & exec '$VICTIM' accept '$ADDR'"
    all_answer 2
    wait_until grep -qx begins "$TMP/out"
    sleep 0.2 # while the broker reads
    kill -KILL "$BROKER"
    wait_for_broker
    wait_until "$SSHIM" status --control "$CONTROL"
    kill -KILL "$(worker_pid 0)"
    wait_until workers_ready 2
    all_answer 2
    turns_are_short 250
    wait_until grep -qx 'ends 0' "$TMP/out"
    "$SSHIM" stop --control "$CONTROL"
}
