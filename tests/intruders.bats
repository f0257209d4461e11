# Every byte on a socket of ours may be hostile: a bad peer costs itself and nobody else.
load helpers

INTRUDER=(python3 "$ROOT/tests/progs/intruder.py")

fds_are_back() { # COUNT
    [[ $(broker_fds) == "$1" ]]
}

@test "garbage on the control socket and on the workers' socket changes nothing and leaks no fd" {
    start_broker -w 2 -- "$VICTIM" accept "$ADDR"
    probe 4
    local before
    before=$(broker_fds)
    timeout 120 "${INTRUDER[@]}" garbage "$CONTROL" 1
    timeout 120 "${INTRUDER[@]}" garbage "$CONTROL" 2
    wait_until fds_are_back "$before"
    probe 4
    status_is '[.workers[].restarts] == [0, 0] and [.workers[].state] == ["ready", "ready"]'
    stop_broker
    [[ $STATUS == 0 ]]
}

@test "garbage while connections are answered" {
    start_broker -w 2 -- "$VICTIM" epoll "$ADDR"
    start_other "${INTRUDER[@]}" garbage "$CONTROL" 3
    local round
    for round in 1 2 3 4 5; do
        probe 40
    done
    stop_broker
}

@test "hundreds of peers that say nothing do not keep status and stop out" {
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    local before
    before=$(broker_fds)
    # more than the broker looks after at a time: the rest wait until the first are dropped
    start_other "${INTRUDER[@]}" silent "$CONTROL" 700
    wait_until grep -q silent "$TMP/out.other"
    probe 3
    workers_ready 1
    wait_until fds_are_back "$before"
    stop_broker
}

@test "another user who fills the workers' socket keeps out neither workers nor operators" {
    [[ $(id -u) == 0 ]] || skip "only root can become another user"
    start_broker -w 2 -- "$VICTIM" accept "$ADDR"
    INTRUDER_UID=65534 start_other "${INTRUDER[@]}" crowd "$CONTROL" 600
    wait_until grep -q silent "$TMP/out.other"
    local began=$SECONDS
    timeout 6 "$SSHIM" status --control "$CONTROL"
    kill -KILL "$(worker_pid 0)"
    wait_until status_is '.workers[0].restarts == 1 and .workers[0].state == "ready"'
    # less than the ten seconds after which a silent peer is dropped in any case
    ((SECONDS - began < 9))
    probe 4
    stop_broker
}

@test "a worker that claims address after address and channel after channel gets a bounded number" {
    start_broker -w 2 -- "${INTRUDER[@]}" hoard "$CONTROL" "$ADDR"
    wait_until grep -q hoards "$TMP/out"
    local got
    got=$(grep -m 1 -o 'hoards [0-9]*' "$TMP/out" | cut -d' ' -f2)
    ((got > 0 && got <= 512))
    (($(find "/proc/$BROKER/fd" -lname '*sshim-board*' | wc -l) <= 1024))
    all_answer 2
    stop_broker
}

@test "another user is told nothing on the workers' socket, which anybody can reach" {
    needs_root
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    local code
    for code in 1 2 3 4 99; do
        INTRUDER_UID=65534 run timeout 30 "${INTRUDER[@]}" command "$CONTROL" "$code"
        [[ $output == "0 " ]]
    done
    status_is '.state == "ready"'
    stop_broker
}

@test "a claim with a wrong token gets no answer" {
    start_broker -w 1 -- "$VICTIM" accept "$ADDR"
    run timeout 30 "${INTRUDER[@]}" claim "$CONTROL"
    [[ $output == "0 " ]]
    status_is '.listeners | length == 1'
    stop_broker
}

@test "a server that writes garbage to its listener goes on" {
    # write() on a listening socket is ENOTCONN natively; here it reaches the broker, which ignores it
    cat >"$TMP/writer.py" <<'END'
import os, socket, sys
host, port = sys.argv[1].rsplit(":", 1)
s = socket.create_server((host, int(port)))
for size in (1, 8, 100, 4000):
    for _ in range(20):
        try:
            os.write(s.fileno(), os.urandom(size))
        except OSError:
            pass
while True:
    c, peer = s.accept()
    c.sendall(b"slot=%s peer=%s:%d \n" % (os.environ["SSHIM_WORKER_ID"].encode(), peer[0].encode(), peer[1]))
    c.close()
END
    start_broker -w 2 -- python3 "$TMP/writer.py" "$ADDR"
    all_answer 2
    stop_broker
}

answered_by() { # SLOT: one of ten that are all answered
    probe 10 && grep -q "slot=$1" "$TMP/answers"
}

@test "a worker that ruins its scoreboard harms nobody but itself" {
    cat >"$TMP/ruin.py" <<'END'
import os, socket, sys
host, port = sys.argv[1].rsplit(":", 1)
s = socket.create_server((host, int(port)))
if os.environ["SSHIM_WORKER_ID"] == "0":
    for line in open("/proc/self/maps"):
        if "sshim-board" in line:
            start = int(line.split("-")[0], 16)
            with open("/proc/self/mem", "r+b") as memory:
                memory.seek(start)
                memory.write(os.urandom(128))
while True:
    c, peer = s.accept()
    c.sendall(b"slot=%s peer=%s:%d \n" % (os.environ["SSHIM_WORKER_ID"].encode(), peer[0].encode(), peer[1]))
    c.close()
END
    start_broker -w 3 -- python3 "$TMP/ruin.py" "$ADDR"
    wait_until answered_by 1
    wait_until answered_by 2
    "$SSHIM" status --json --control "$CONTROL" | jq -e . >/dev/null
    stop_broker
    [[ $STATUS == 0 ]]
}

@test "a worker that ruins its notes for --conn-log changes no line of another one, and is read with care" {
    cat >"$TMP/ruin.py" <<'END'
import os, random, socket, struct, sys, threading, time
host, port = sys.argv[1].rsplit(":", 1)
s = socket.create_server((host, int(port)))
HEAD, NOTES, MAX, SIZE = 128, 256, 2048, 80
def note(turn):
    kind = random.choice([1, 1, 2, 2, 3, random.getrandbits(32)])
    end = struct.pack("=HH4s20x", 2, 0x5000, bytes([192, 0, 2, 1]))
    return struct.pack("=6I", turn, random.choice([0, 7]), random.getrandbits(32), random.getrandbits(32),
                       random.choice([0, random.randrange(1, 5000)]), kind) + random.choice([end + end, os.urandom(56)])
def ruin():
    start = next(int(line.split("-")[0], 16) for line in open("/proc/self/maps") if "sshim-board" in line)
    with open("/proc/self/mem", "r+b", buffering=0) as memory:
        turn = 1
        while True:
            for _ in range(random.choice([1, 100, 3000])):
                memory.seek(start + NOTES + (turn - 1) % MAX * SIZE)
                memory.write(note(turn))
                turn += 1
            memory.seek(start + HEAD)
            memory.write(struct.pack("=II", random.choice([turn - 1, turn - 1, turn - 1, random.getrandbits(32)]), random.getrandbits(16)))
            time.sleep(0.01)
if os.environ["SSHIM_WORKER_ID"] == "0":
    threading.Thread(target=ruin, daemon=True).start()
while True:
    c, peer = s.accept()
    c.sendall(b"slot=%s peer=%s:%d \n" % (os.environ["SSHIM_WORKER_ID"].encode(), peer[0].encode(), peer[1]))
    c.close()
END
    start_broker -w 3 --conn-log "$TMP/conns" --log-format json -- python3 "$TMP/ruin.py" "$ADDR"
    # the broker looks as long as there are connections: those of others make it read what is forged
    forged() {
        "$PROBE" -n 60 "$ADDR" >>"$TMP/answers" 2>/dev/null || true
        grep -q '"client":"192.0.2.1:' "$TMP/conns"
    }
    wait_until forged
    sleep 2 # the records that it made up are asked for
    turns_are_short 1000
    stop_broker
    [[ $STATUS == 0 ]]
    jq -es 'all(.event == "connection" and (.open_ms == null or .open_ms >= 0) and (.wait_ms == null or .wait_ms >= 0))' "$TMP/conns" >/dev/null
    # those of the others are as their clients saw them
    sed -nE 's/.*slot=([12]) peer=([^ ]+) .*/\2 \1/p' "$TMP/answers" | sort >"$TMP/seen"
    [[ -s $TMP/seen ]]
    jq -r 'select(.worker > 0) | "\(.client) \(.worker)"' "$TMP/conns" | sort >"$TMP/told"
    diff "$TMP/seen" "$TMP/told"
    [[ $(jq -r 'select(.client | startswith("192.0.2.1:")) | .worker' "$TMP/conns" | sort -u) == 0 ]]
}

@test "a worker that claims connections without end, at all its listeners, leaves room for the records of others" {
    cat >"$TMP/claim.py" <<'END'
import os, select, socket, struct, sys, threading, time
host, port = sys.argv[1].rsplit(":", 1)
listeners = [socket.create_server((host, int(port) + i), reuse_port=False) for i in range(3)]
slot = int(os.environ["SSHIM_WORKER_ID"])
READ, HEAD, NOTES, MAX, SIZE, CLAIMS = 192, 128, 256, 2048, 80, 24000
def end(address):
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H", address[1]) + socket.inet_aton(address[0]) + bytes(20)
# its one connection, by all turns there are: the kernel says of each that it is open
def claim(connection):
    ends = end(connection.getpeername()) + end(connection.getsockname())
    boards = [int(line.split("-")[0], 16) for line in open("/proc/self/maps") if "sshim-board" in line]
    turns = {board: 1 for board in boards}
    with open("/proc/self/mem", "r+b", buffering=0) as memory:
        def read(at):
            memory.seek(at)
            return struct.unpack("=I", memory.read(4))[0]
        for board in boards:
            turns[board] = read(board + HEAD) + 1
        while min(turns.values()) < CLAIMS:
            for board, turn in turns.items():
                until = min(read(board + READ) + MAX, CLAIMS)
                for turn in range(turn, until):
                    memory.seek(board + NOTES + (turn - 1) % MAX * SIZE)
                    memory.write(struct.pack("=6I", turn, 0, int(time.monotonic() * 1000) & 0xffffffff, 0, 0, 1) + ends)
                turns[board] = max(turns[board], until)
                memory.seek(board + HEAD)
                memory.write(struct.pack("=I", turns[board] - 1))
            time.sleep(0.01)
    open(sys.argv[2], "w").close()
kept = None
while True:
    for listener in select.select(listeners, [], [])[0]:
        c, peer = listener.accept()
        c.sendall(b"slot=%d peer=%s:%d \n" % (slot, peer[0].encode(), peer[1]))
        if slot or kept:
            c.close()
        else:
            kept = c
            threading.Thread(target=claim, args=[c], daemon=True).start()
END
    local line=""
    start_broker -w 2 --handoff broker --conn-log "$TMP/conns" --log-format json -- python3 "$TMP/claim.py" "$ADDR" "$TMP/claimed"
    while [[ $line != *slot=0* ]]; do
        exec 7<&- 7<>"/dev/tcp/$HOST/$PORT"
        read -r line <&7
    done
    claimed() {
        "$PROBE" -n 10 "$ADDR" >>"$TMP/answers"
        [[ -e $TMP/claimed ]]
    }
    wait_until claimed
    "$PROBE" -n 40 "$ADDR" >>"$TMP/answers"
    turns_are_short 1000
    exec 7<&-
    stop_broker
    grep -q slot=1 "$TMP/answers"
    # those of the other one are all told to their end
    jq -es '[.[] | select(.worker == 1)] | length > 0 and all(.open_ms != null)' "$TMP/conns" >/dev/null
    # and the claims that found no room have their lines all the same
    [[ $(jq -c 'select(.worker == 0 and .open_ms == null)' "$TMP/conns" | wc -l) -gt 30000 ]]
}
