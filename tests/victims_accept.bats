#!/usr/bin/env bats
# What can happen to a call of accept().

load victims.bash

setup() { victims_setup; }
teardown() { victims_teardown; }

# Whoever leaves accept in the moment in which it has a connection loses that, natively too: clients come afterwards.
left() { # MODE
    start 3 --ready delay:1 -- "$PROGS/victim_accept" "$1" "$PORT"
    probe "$PORT" 3
    stop_clean
}

@test "threads cancelled in accept leave the listener as it was" { left cancelled; }
@test "accept left by siglongjmp leaves the listener as it was" { left jumped; }
@test "a signal without SA_RESTART ends accept with EINTR" { victim victim_accept interrupted; }
@test "a signal with SA_RESTART does not end accept" { victim victim_accept restarted; }
@test "at the fd limit accept gives EMFILE and the connection waits" { victim victim_accept full; }
@test "at the fd limit a blocking accept gives EMFILE and the connection waits" { victim victim_accept full blocking; }

@test "a listener closed by another thread under a blocked accept leaves the others and its number alone" {
    victim victim_accept closed-under "$(free_port)"
}

@test "the same when the broker and its keeper die then" {
    start 3 -- "$PROGS/victim_accept" closed-under "$PORT" "$(free_port)"
    probe "$PORT" 3
    kill -STOP "$BROKER" # or it might start another keeper in between
    # shellcheck disable=SC2046 # a list
    kill -KILL $(pgrep -P "$BROKER" -f "^$SSHIM run") "$BROKER"
    wait "$BROKER" || true
    probe "$PORT" 3
    probe "$PORT" 3
    [ ! -s "$T/err" ] || ! grep victim: "$T/err"
}

@test "accept with every shape of address argument does as the kernel" {
    start 3 -- "$PROGS/victim_accept" shapes "$PORT"
    probe "$PORT" 3 60
    stop_clean
}

@test "accept with pointers that are none gives EFAULT and serves on" {
    start 3 -- "$PROGS/victim_accept" bad-pointers "$PORT"
    probe "$PORT" 3 60
    stop_clean
}

# Connects COUNT clients; each of them is answered once others leave. With a pid: its limit falls to 30 descriptors meanwhile.
ask_all() { # PORT COUNT [PID]
    python3 - "$@" <<'PY'
import os, resource, socket, sys, time
def open_fds():
    return len(os.listdir(f"/proc/{sys.argv[3]}/fd"))

clients = []
before = open_fds() if len(sys.argv) > 3 else 0
for i in range(int(sys.argv[2])):
    if i == 35 and len(sys.argv) > 3:
        while open_fds() < before + i: # until those before are accepted
            time.sleep(0.01)
        time.sleep(0.02) # since the last look
        resource.prlimit(int(sys.argv[3]), resource.RLIMIT_NOFILE, (30, 30))
        time.sleep(0.05) # it looks every 10 ms at the most
    client = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20)
    client.sendall(b"ping\n")
    clients.append(client)
answered = 0
for client in clients:
    client.settimeout(20 if answered < 20 else 2)
    try:
        answer = client.recv(100)
    except socket.timeout:
        break # nobody leaves any more: it waits
    assert answer.endswith(b" ok\n"), (answered, answer)
    answered += 1
print(answered, "answered")
assert answered >= len(clients) - 64, answered
PY
}

@test "a table that is full again and again, with holes, loses no connection" {
    start 1 -- "$PROGS/victim_accept" full-with-holes "$PORT"
    ask_all "$PORT" 300
    [ "$("$SSHIM" status --json --control "$CONTROL" | jq '[.listeners[].lost] | add')" = 0 ]
    stop_clean
}

@test "a limit that is lowered from outside below what is open loses no connection" {
    start 1 -- "$PROGS/victim_accept" full-with-holes "$PORT" any-limit
    ask_all "$PORT" 200 "$("$SSHIM" status --json --control "$CONTROL" | jq '.workers[0].pid')"
    [ "$("$SSHIM" status --json --control "$CONTROL" | jq '[.listeners[].lost] | add')" = 0 ]
    stop_clean
}

@test "a table full of connections loses none of them" {
    start 1 -- "$PROGS/victim_accept" full-of-connections "$PORT"
    python3 - "$PORT" <<'PY'
import socket, sys
clients = []
for _ in range(60):
    client = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20)
    client.sendall(b"ping\n")
    clients.append(client)
for client in clients:
    answer = client.recv(100)
    assert answer.endswith(b" ok\n"), answer
PY
    stop_clean
}
