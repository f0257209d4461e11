# Broker and keeper are killed together: the workers serve by themselves, the next run takes them in.
load helpers

orphan_them() {
    PIDS=$(status_of '[.workers[].pid] | sort | tostring')
    kill_broker_and_keeper
}

# Same processes; each asks for a channel when it comes to accept.
are_adopted() { # COUNT
    [[ $(status_of '[.workers[].pid] | sort | tostring') == "$PIDS" ]]
    all_channels_are_back "$1"
}

all_channels_are_back() { # COUNT
    wait_until asked_again "$1"
}

asked_again() {
    probe 5 "${TO:-$ADDR}"
    [[ $(status_of '[.listeners[].connections] | add') -ge "$1" ]]
}

@test "workers without a broker are taken in by the next run and go on with the same pids" {
    start_broker -w 3 -- "$VICTIM" epoll "$ADDR"
    probe 10
    orphan_them
    probe 10
    start_broker -w 3 -- "$VICTIM" epoll "$ADDR"
    are_adopted 10
    all_answer 3
    status_is '[.workers[].state] == ["ready", "ready", "ready"]'
    timeout 60 "$SSHIM" restart --control "$CONTROL"
    all_answer 3
    stop_broker
    [[ $STATUS == 0 ]]
}

@test "one that ended meanwhile is started again, and the address is shared as before" {
    start_broker -w 3 -- "$VICTIM" accept "$ADDR"
    local lost
    lost=$(worker_pid 1)
    orphan_them
    kill -KILL "$lost"
    wait_until is_gone "$lost"
    start_broker -w 3 -- "$VICTIM" accept "$ADDR"
    wait_until workers_ready 3
    all_answer 3
    stop_broker
}

@test "children of a worker that accept by themselves share its channel again" {
    start_broker -w 2 -- "$VICTIM" prefork "$ADDR"
    orphan_them
    start_broker -w 2 -- "$VICTIM" prefork "$ADDR"
    are_adopted 20
    all_answer 2
    # signalfd, epoll, sockets, journal and pidfds apart: three for each worker's one channel
    (($(find "/proc/$BROKER/fd" -lname '*sshim-board*' | wc -l) == 2))
    stop_broker
}

# Their threads may sit in a call on the old board, or on the canonical socket.
is_taken_in_as() { # MODE
    start_broker -w 2 -- "$VICTIM" "$1" "$ADDR"
    probe 20
    orphan_them
    probe 20
    start_broker -w 2 -- "$VICTIM" "$1" "$ADDR"
    are_adopted 20
    all_answer 2
    status_is '[.workers[].state] == ["ready", "ready"]'
    # idle again, and seen so: neither more nor fewer wait than there are
    wait_until all_idle
    stop_broker
}

all_idle() {
    probe 10
    status_is '[.workers[].active] == [0, 0] and [.listeners[].untaken] == [0]'
}

@test "threads that block in accept are taken in" { is_taken_in_as threads; }
@test "a thread that polls apart from the one that accepts is taken in" { is_taken_in_as poll-apart; }
@test "threads on one edge-triggered epoll are taken in" { is_taken_in_as epoll-edge; }
@test "one-shot events are taken in" { is_taken_in_as epoll-oneshot; }
@test "a server that waits in select is taken in" { is_taken_in_as select; }
@test "a server that forks per connection is taken in" { is_taken_in_as fork-per; }

# Ticks of a 100th of a second that these processes have run.
ticks_of() { # PID...
    local pid
    for pid in "$@"; do awk '{ print $14 + $15 }' "/proc/$pid/stat"; done | awk '{ sum += $1 } END { print sum }'
}

@test "threads that block in accept sleep while there is no broker" {
    start_broker -w 2 -- "$VICTIM" threads "$ADDR"
    local pids before
    pids=$(status_of '.workers[].pid')
    orphan_them
    probe 40
    # shellcheck disable=SC2086
    before=$(ticks_of $pids)
    sleep 1 # that is what is measured
    # shellcheck disable=SC2086
    echo "ticks: $(($(ticks_of $pids) - before))"
    # shellcheck disable=SC2086
    (($(ticks_of $pids) - before < 20))
    start_broker -w 2 -- "$VICTIM" threads "$ADDR"
    all_answer 2
    stop_broker
}

channels_are_back() { # COUNT
    (($(find "/proc/$BROKER/fd" -lname '*sshim-board*' | wc -l) == $1))
}

@test "who blocks in accept is taken in though nobody connects" {
    start_broker -w 2 -- "$VICTIM" threads "$ADDR"
    orphan_them
    start_broker -w 2 -- "$VICTIM" threads "$ADDR"
    wait_until channels_are_back 2
    all_answer 2
    stop_broker
}

@test "a socket file stays, and is gone with all that belongs to it when the new broker stops" {
    TO=$TMP/server.sock
    start_broker -w 2 -- "$VICTIM" accept "$TO"
    orphan_them
    probe 4 "$TO"
    start_broker -w 2 -- "$VICTIM" accept "$TO"
    are_adopted 10
    stop_broker
    [[ $STATUS == 0 ]]
    [[ -z $(find "$TMP" -name '.sshim-*') ]]
}

@test "servers that had joined are taken in" {
    start_broker -w 0
    LD_PRELOAD=$LIB SSHIM_BROKER=$CONTROL start_other "$VICTIM" accept "$ADDR"
    wait_until workers_ready 1
    kill_broker_and_keeper
    start_broker -w 0
    PIDS="[$OTHER]"
    all_channels_are_back 5
    status_is ".workers[0].pid == $OTHER"
    stop_broker
}

@test "who cannot be found any more is named by the address that it holds" {
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    local worker
    worker=$(worker_pid 0)
    kill_broker_and_keeper
    rm "$CONTROL"
    launch_broker -w 1 -- "$VICTIM" accept "$ADDR"
    wait_for_broker
    [[ $STATUS == 4 ]]
    log_has "cannot bind $ADDR"
    kill -KILL "$worker"
}

@test "a process of another user that looks like a worker is not taken in" {
    [[ $(id -u) == 0 ]] || skip "only root can start a process of another user"
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    local worker
    worker=$(worker_pid 0)
    kill_broker_and_keeper
    kill -KILL "$worker"
    # its own broker at the same path, so that it looks right in every way
    cat >"$TMP/poser.py" <<'END'
import mmap, os, socket, struct, sys
os.setgroups([])
os.setresuid(65534, 65534, 65534)
host, port = sys.argv[1].rsplit(":", 1)
s = socket.create_server((host, int(port)))
fd = os.memfd_create("sshim-board")
os.ftruncate(fd, 4096)
page = mmap.mmap(fd, 4096)
page[0:64] = struct.pack("<4I4Q", 1, 1, 1, 4, 0, 0, 0, 0).ljust(64, b"\0")
page[64:128] = struct.pack("<4I2Q", 0x31425353, 0, 0, 0, 0, os.fstat(s.fileno()).st_ino).ljust(64, b"\0")
print("poses", flush=True)
while True:
    c, _ = s.accept()
    c.close()
END
    SSHIM_BROKER=$CONTROL SSHIM_WORKER_ID=0 SSHIM_TOKEN=00112233445566778899aabbccddeeff \
        start_other python3 "$TMP/poser.py" "$ADDR"
    wait_until grep -q poses "$TMP/out.other"
    launch_broker -w 1 -- "$VICTIM" accept "$ADDR"
    wait_for_broker
    [[ $STATUS == 4 ]]
    ! log_has "going on with"
}

@test "with --handoff direct nobody is taken in, and those who serve go on" {
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    local worker
    worker=$(worker_pid 0)
    orphan_them
    launch_broker -w 1 --handoff direct -- "$VICTIM" accept "$ADDR"
    wait_for_broker
    [[ $STATUS == 4 ]]
    probe 10
    kill -KILL "$worker"
}

# One connection at a time, answered when the client has said something.
patient_server() {
    cat >"$TMP/patient.py" <<'PY'
import socket, sys
host, port = sys.argv[1].rsplit(":", 1)
listener = socket.create_server((host, int(port)))
while True:
    connection, _ = listener.accept()
    print("accepted", flush=True)
    if connection.recv(100):
        connection.sendall(b"served\n")
    connection.close()
PY
    PATIENT=(python3 "$TMP/patient.py" "$ADDR")
}

@test "a worker that was taken in and never asked for a channel is replaced as soon as nothing is open" {
    start_broker -w 2 --grace 600 -- "$VICTIM" epoll "$ADDR"
    probe 10
    orphan_them
    start_broker -w 2 --grace 600 -- "$VICTIM" epoll "$ADDR"
    status_is "[.workers[].pid] | sort | tostring == \"$PIDS\""
    timeout 60 "$SSHIM" restart --control "$CONTROL"
    local pid
    for pid in $(jq -r '.[]' <<<"$PIDS"); do
        wait_until is_gone "$pid"
    done
    all_answer 2
    stop_broker
}

@test "one that serves meanwhile is let finish, also after an upgrade of the new broker" {
    patient_server
    start_broker -w 1 --grace 600 -- "${PATIENT[@]}"
    local worker answer
    worker=$(worker_pid 0)
    orphan_them
    exec 7<>"/dev/tcp/$HOST/$PORT"
    wait_until grep -q accepted "$TMP/out"
    start_broker -w 1 --grace 600 -- "${PATIENT[@]}"
    timeout 60 "$SSHIM" upgrade --control "$CONTROL"
    status_is ".workers[0].pid == $worker"
    timeout 60 "$SSHIM" restart --control "$CONTROL"
    sleep 0.5 # the measured time: it would be ended within 30 ms
    kill -0 "$worker"
    echo go >&7
    read -r -t 20 -u 7 answer
    exec 7>&-
    [[ $answer == served ]]
    wait_until is_gone "$worker"
    stop_broker
}

# Executes itself anew when told by SIGUSR1, with the listener that it has.
executing_server() {
    cat >"$TMP/executing.py" <<'PY'
import os, signal, socket, sys
if len(sys.argv) == 2:
    host, port = sys.argv[1].rsplit(":", 1)
    listener = socket.create_server((host, int(port)))
    os.set_inheritable(listener.fileno(), True)
else:
    listener = socket.socket(fileno=int(sys.argv[2]))
    print("executed", flush=True)
def execute(*_):
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:3], str(listener.fileno())])
signal.signal(signal.SIGUSR1, execute)
while True:
    connection, _ = listener.accept()
    connection.sendall(b"%d\n" % os.getpid())
    connection.close()
PY
}

is_answered_by() { # PID
    local answer=
    exec 7<>"/dev/tcp/$HOST/$PORT"
    read -r -t 10 -u 7 answer || true
    exec 7>&-
    [[ $answer == "$1" ]]
}

@test "a worker that was taken in and executes another program before it asked is served by it" {
    executing_server
    start_broker -w 1 -- python3 "$TMP/executing.py" "$ADDR"
    local worker i
    worker=$(worker_pid 0)
    orphan_them
    is_answered_by "$worker" # so that it has noticed
    start_broker -w 1 -- python3 "$TMP/executing.py" "$ADDR"
    kill -USR1 "$worker"
    wait_until grep -q executed "$TMP/out"
    for i in {1..20}; do
        is_answered_by "$worker"
    done
    status_is '.listeners[0].handed + .listeners[0].direct >= 20 and .listeners[0].untaken == 0'
    stop_broker
}
