#!/usr/bin/env bats
# What can happen to a call of accept().

load victims.bash

setup() { victims_setup; }
teardown() { victims_teardown; }

@test "threads cancelled in accept leave the listener as it was" { victim victim_accept cancelled; }
@test "accept left by siglongjmp leaves the listener as it was" { victim victim_accept jumped; }
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
