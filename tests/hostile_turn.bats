# No worker and no stranger stops the broker's loop: no turn of it sleeps for long, whatever they do.
load helpers

HOSTILE=$BUILD/tests/hostile

attack_is_under_way() {
    grep -q attacks "$TMP/out"
}

# start_attacked ATTACKER [ARGUMENTS]: two victims of another user, beside one of which the attacker runs from when all listen.
start_attacked() {
    [[ $(id -u) == 0 ]] || skip "only root can start workers of another user"
    share_build
    cp "$HOSTILE/$1" "$TMP/build"
    cat >"$TMP/build/server" <<END
[ "\$SSHIM_WORKER_ID" = 1 ] || (until [ -e "$TMP/build/go" ]; do sleep 0.1; done; exec "$TMP/build/$1" ${*:2}) &
exec "$VICTIM" accept $ADDR
END
    chmod -R a+rX "$TMP/build"
    start_broker -w 2 --user nobody -- sh "$TMP/build/server"
    touch "$TMP/build/go"
    wait_until attack_is_under_way
}

@test "a worker of another user that clears O_NONBLOCK on its socket does not stop the loop" {
    start_attacked worker_sleeps_in_accept
    wait_until log_has "has cleared O_NONBLOCK"
    local round
    for round in 1 2 3 4 5; do
        probe 20
    done
    turns_are_short
    stop_broker
    [[ $STATUS == 0 ]]
}

broker_ticks() {
    awk '{ print $14 + $15 }' "/proc/$BROKER/stat"
}

# In 8 s the broker works for so long at first, and for so many of the twenty parts of the time.
assert_broker_uses_less_than() { # FIRST_MS PARTS
    local before begin
    before=$(broker_ticks)
    begin=${EPOCHREALTIME/./}
    sleep 8
    local used_ms=$((($(broker_ticks) - before) * 1000 / $(getconf CLK_TCK)))
    local passed_ms=$(((${EPOCHREALTIME/./} - begin) / 1000))
    echo "$used_ms ms of the broker's time in $passed_ms ms"
    ((used_ms < $1 + passed_ms / 20 * $2))
}

# It has 500 ms at first, and two of the twenty parts of the time are for what its share does not see.
assert_floods_in_its_share() { # KIND
    start_attacked worker_floods "$1"
    assert_broker_uses_less_than 500 3
    probe 20
    turns_are_short
    stop_broker
    [[ $STATUS == 0 ]]
}

@test "a worker that claims without end has its share of the broker's time" { assert_floods_in_its_share links; }
@test "a worker that claims and leaves without end has its share of the broker's time" { assert_floods_in_its_share leaves; }
@test "a worker that makes noise without end has its share of the broker's time" { assert_floods_in_its_share channel; }

# It has 200 ms at first. Who comes to that socket is not known before, so workers wait there as well.
@test "strangers who come and leave without end have a share of the broker's time, and workers still bind" {
    needs_root
    start_broker -w 2 --user nobody -- "$VICTIM" accept "$ADDR"
    SSHIM_RENDEZVOUS=$(rendezvous) start_other "$HOSTILE/stranger_knocks"
    SSHIM_RENDEZVOUS=$(rendezvous) start_other "$HOSTILE/stranger_knocks" nowait
    assert_broker_uses_less_than 200 2
    kill -KILL "$(worker_pid 0)"
    wait_until status_is '.workers[0].restarts == 1 and .workers[0].state == "ready"'
    all_answer 2
    turns_are_short
    stop_broker
}

@test "processes of a worker beyond its share that bind, serve one and leave lose no connection" {
    needs_root
    share_build
    cp "$HOSTILE/worker_floods" "$ROOT/tests/hostile/brief_server.py" "$TMP/build"
    chmod -R a+rX "$TMP/build"
    cat >"$TMP/build/server" <<END
[ "\$SSHIM_WORKER_ID" = 1 ] && exec "$VICTIM" accept $ADDR
"$TMP/build/worker_floods" channel &
exec python3 "$TMP/build/brief_server.py" $HOST $PORT serve
END
    start_broker -w 2 --user nobody -- sh "$TMP/build/server"
    start_other python3 "$ROOT/tests/hostile/brief_server.py" "$HOST" "$PORT" "$TMP/over"
    wait_until eval '(($(broker_ticks) * 1000 / $(getconf CLK_TCK) > 700))' # more than it has at first
    local before
    before=$(grep -c served "$TMP/out")
    wait_until eval '(($(grep -c served "$TMP/out") >= '"$before"' + 30))'
    touch "$TMP/over"
    wait "$OTHER"
    cat "$TMP/out.other"
    status_is '([.workers[].restarts] | add) == 0'
    stop_broker
}

# Before Linux 6.16 a worker can send descriptors there. The broker does not receive them: it would be the one to close them.
@test "connections whose close sleeps, sent over a channel, are not closed by the broker, on an old kernel" {
    [[ $(id -u) == 0 ]] || skip "only root can start workers of another user"
    share_build
    cp "$ROOT/tests/hostile/worker_lingers.py" "$HOSTILE/old_kernel.so" "$TMP/build"
    chmod -R a+rX "$TMP/build"
    ASAN_OPTIONS=verify_asan_link_order=0 LD_PRELOAD=$TMP/build/old_kernel.so start_broker -w 1 --user nobody --share all -- sh -c "(sleep 1; exec env -u LD_PRELOAD python3 '$TMP/build/worker_lingers.py' 10) & exec '$VICTIM' accept $ADDR"
    wait_until attack_is_over
    grep -x "attacks done, closed 0" "$TMP/out"
    probe 20
    stop_broker
    [[ $STATUS == 0 ]]
}

@test "a stranger who sends connections whose close sleeps does not stop the loop" {
    [[ $(id -u) == 0 ]] || skip "only root can become another user"
    start_broker -w 2 -- "$VICTIM" accept "$ADDR"
    local before
    before=$(broker_fds)
    SSHIM_RENDEZVOUS=$(rendezvous) start_other "$HOSTILE/stranger_sends_lingering" 100
    wait_until grep -q attacks "$TMP/out.other"
    local rounds=0
    until grep -q "done" "$TMP/out.other"; do
        ((++rounds < 500))
        probe 20
    done
    turns_are_short
    fds_are_back "$before"
    stop_broker
    [[ $STATUS == 0 ]]
}

fds_are_back() { # COUNT and at most the pipe of the helper that closes
    wait_until eval '(($(broker_fds) <= '"$1"' + 2))'
}

@test "a server with SO_LINGER and clients that do not read do not stop the loop" {
    start_broker -w 2 -- python3 "$ROOT/tests/hostile/lingering_server.py" "$HOST" "$PORT"
    start_other python3 "$ROOT/tests/hostile/slow_clients.py" "$HOST" "$PORT" 600
    wait_until grep -q connected "$TMP/out.other"
    wait_until status_is '.listeners[0].taken + .listeners[0].direct >= 300'
    turns_are_short
    stop_broker
}

has_closers() {
    pgrep -P "$BROKER" sshim-closer >"$TMP/closers"
}

written() { # calls of write(2), as to the pipe of the helpers that close
    sed -n 's/^syscw: //p' "/proc/$BROKER/io"
}

# A close seems to sleep as well if others have the processor meanwhile, as under a quota of a cgroup.
@test "what does not linger is not left to helpers" {
    start_broker -w 2 --handoff broker -- python3 "$ROOT/tests/hostile/lingering_server.py" "$HOST" "$PORT"
    local round=0
    until has_closers; do # where a worker closes its copy before the broker
        ((++round <= 20))
        start_other python3 "$ROOT/tests/hostile/slow_clients.py" "$HOST" "$PORT" 100
        wait_until status_is ".listeners[0].taken >= $round * 100"
    done
    kill -USR1 "$(status_of '.workers[0].pid')"
    wait_until log_has "lingers no more"
    local before after
    before=$(written)
    python3 "$ROOT/tests/hostile/read_all.py" "$HOST" "$PORT" 200
    after=$(written)
    ((after - before < 100))
    stop_broker
}

@test "the keeper replaces a broker whose loop stands still, and nothing is lost" {
    [[ $(id -u) == 0 ]] || skip "only root may write to another process"
    start_broker -w 2 -- "$VICTIM" accept "$ADDR"
    local workers
    workers=$(status_of '[.workers[].pid]')
    python3 "$ROOT/tests/hostile/spin.py" "$SSHIM" "$BROKER"
    probe 4
    log_has "has stood still"
    [[ $(status_of '[.workers[].pid]') == "$workers" ]]
    "$SSHIM" stop --control "$CONTROL"
    wait_for_broker
}

@test "a broker that was stopped by a signal is not replaced" {
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    kill -STOP "$BROKER"
    sleep 7 # longer than the keeper waits: what must not happen has no end to wait for
    kill -CONT "$BROKER"
    probe 2
    run log_has "stood still"
    ((status != 0))
    stop_broker
    [[ $STATUS == 0 ]]
}

# processes_of PROGRAM: how many there are.
processes_of() {
    grep -lzxF -- "SSHIM_TEST=$TMP" /proc/[0-9]*/environ 2>/dev/null | sed 's,environ,comm,' | xargs grep -lxF -- "$1" 2>/dev/null | wc -l
}

attack_is_over() {
    grep -q "done" "$TMP/out"
}

@test "a worker with a wide tree of processes does not make the broker walk it in one turn" {
    start_attacked worker_trees wide 3000
    wait_until attack_is_over
    probe 20
    turns_are_short 1000 # the looks have 10 ms
    stop_broker
    [[ $STATUS == 0 ]]
}

@test "a worker with a deep tree of processes uses up neither the broker's stack nor its descriptors" {
    start_attacked worker_trees deep 3000
    wait_until attack_is_over
    probe 20
    turns_are_short 1000 # the looks have 10 ms
    stop_broker
    [[ $STATUS == 0 ]]
}

all_have_ended() { # PROGRAM
    [[ $(processes_of "$1") == 0 ]]
}

@test "a worker that leaves thousands of processes behind: all are ended, and no turn is long" {
    start_attacked worker_trees orphans 1500
    wait_until attack_is_over
    [[ $(processes_of worker_trees) -gt 1500 ]]
    rm "$TMP/build/go"
    local victim
    victim=$(worker_pid 0)
    kill -KILL "$victim" # and then the attacker itself comes to the broker, too
    wait_until is_gone "$victim" # who is woken to die takes along what has come meanwhile, as natively
    probe 20
    DEADLINE_S=60 wait_until all_have_ended worker_trees
    probe 20
    turns_are_short 1000 # the looks have 10 ms
    stop_broker
    [[ $STATUS == 0 ]]
}

# mount_hung [files|hung]: at $TMP/hung; $SERVER is its server.
mount_hung() {
    [[ $(id -u) == 0 ]] || skip "only root can mount"
    mkdir "$TMP/hung"
    start_other python3 "$ROOT/tests/hostile/hung_mount.py" "$TMP/hung" "$@"
    SERVER=$OTHER
    wait_until grep -q mounted "$TMP/out.other"
}

# Who waits for it cannot be killed before.
unmount_hung() {
    kill -KILL "$SERVER"
    umount -l "$TMP/hung"
}

@test "a worker that sends files of a file system that does not answer does not stop the loop" {
    mount_hung
    share_build
    cp "$ROOT/tests/hostile/worker_hung_file.py" "$TMP/build"
    start_broker -w 1 --user nobody -- sh -c "python3 '$TMP/build/worker_hung_file.py' '$TMP/hung' & exec '$VICTIM' accept $ADDR"
    wait_until attack_is_over || { unmount_hung; return 1; }
    probe 5
    turns_are_short
    stop_broker
    unmount_hung
    [[ $STATUS == 0 ]]
}

@test "workers whose memory is of a file system that does not answer do not stop the loop" {
    mount_hung files
    start_attacked worker_hung_memory "$TMP/hung/file" 40
    wait_until attack_is_over
    rm "$TMP/build/go"
    local victim
    victim=$(worker_pid 0)
    kill -KILL "$victim" # so that the broker looks for what it has left
    wait_until is_gone "$victim"
    wait_until status_is '([.workers[].restarts] | add) == 1 and .state == "ready"'
    probe 20
    turns_are_short 1000
    run log_has "stood still"
    ((status != 0))
    kill -KILL -- "-$victim" # its group: they hide their token, so that nobody else ends them
    stop_broker
    unmount_hung
    [[ $STATUS == 0 ]]
}

log_has_not() { # TEXT
    ! log_has "$1"
}

# Linux gives fdinfo of an epoll descriptor only to who gets its mutex.
@test "a worker whose epoll descriptor nobody can look at does not stop the loop" {
    mount_hung files
    [[ $(id -u) == 0 ]] || skip "only root can start workers of another user"
    share_build
    cp "$HOSTILE/worker_hung_epoll" "$TMP/build"
    chmod -R a+rX "$TMP/build"
    cat >"$TMP/build/server" <<END
[ "\$SSHIM_WORKER_ID" = 0 ] && exec "$VICTIM" accept $ADDR
"$TMP/build/worker_hung_epoll" "$TMP/hung/file" &
exec python3 -c 'import socket, time
listener = socket.create_server(("$HOST", $PORT))
time.sleep(1000)'
END
    start_broker -w 2 --verbose --user nobody -- sh "$TMP/build/server"
    wait_until grep -q "waits for a page" "$TMP/out.other"
    wait_until log_has "looked whether worker 1 waits by io_uring" || { unmount_hung; return 1; }
    probe 20
    turns_are_short 1000
    log_has_not "stood still"
    log_has_not "seems to wait for connections by io_uring"
    timeout "$DEADLINE_S" "$SSHIM" stop --now --control "$CONTROL" # no TERM ends it
    wait_for_broker
    unmount_hung
    [[ $STATUS == 0 ]]
}

@test "a worker that no KILL ends does not keep the broker from stopping" {
    mount_hung hung
    start_attacked worker_hung_memory "$TMP/hung/file" 1
    wait_until attack_is_over
    timeout "$DEADLINE_S" "$SSHIM" stop --now --control "$CONTROL"
    log_has "do not end on SIGKILL"
    wait_for_broker
    unmount_hung
}

@test "a worker that sends hundreds of files whose close never ends does not stop the loop" {
    mount_hung hung
    share_build
    cp "$ROOT/tests/hostile/worker_hung_closes.py" "$TMP/build"
    start_broker -w 1 --user nobody -- sh -c "python3 '$TMP/build/worker_hung_closes.py' '$TMP/hung/file' & exec '$VICTIM' accept $ADDR"
    wait_until attack_is_over || { unmount_hung; return 1; }
    probe 5
    turns_are_short
    run log_has "stood still"
    ((status != 0))
    timeout "$DEADLINE_S" "$SSHIM" stop --now --control "$CONTROL" # its file never closes
    wait_for_broker
    unmount_hung
}

# Linux takes a file out of an epoll set when its last descriptor is closed, and waits for the set's mutex.
@test "a worker whose shared sockets are in an epoll set that is never free does not stop the loop" {
    mount_hung files
    start_attacked worker_hung_shares "$TMP/hung/file"
    wait_until attack_is_over || { unmount_hung; return 1; }
    probe 20
    turns_are_short 1000
    wait_until has_closers
    log_has_not "stood still"
    timeout "$DEADLINE_S" "$SSHIM" stop --now --control "$CONTROL" || { unmount_hung; return 1; }
    wait_for_broker
    log_has_not "stood still"
    unmount_hung
}

another_broker_runs() {
    status_is ".pid != $BROKER"
}

@test "a broker that no KILL ends is replaced as well" {
    mount_hung files
    exec 7<"$TMP/hung/file"
    start_broker -w 2 -- "$VICTIM" accept "$ADDR"
    exec 7<&-
    local workers deputy
    workers=$(status_of '[.workers[].pid]')
    deputy=$(pgrep -P "$BROKER" -x sshim-deputy)
    python3 "$ROOT/tests/hostile/spin.py" "$SSHIM" "$BROKER" 7
    probe 4 || { unmount_hung; return 1; }
    log_has "does not end, since a call of the kernel does not return" || { unmount_hung; return 1; }
    another_broker_runs
    [[ $(status_of '[.workers[].pid]') == "$workers" ]]
    wait_until is_gone "$deputy" || { unmount_hung; return 1; }
    probe 20
    "$SSHIM" stop --control "$CONTROL" || { unmount_hung; return 1; }
    unmount_hung
    wait_for_broker
}
