# The short form of `make reliability`: every kind of damage under load, and a count of every client.
# tests/reliability/ does it; a test here is a row of its table.

load places

setup_file() {
    [[ -x $BUILD/bench/load ]] || make -C "$ROOT" BUILD="$BUILD" bench-tools
}

row() { # NAME...
    BUILD=$BUILD timeout 300 python3 "$ROOT/tests/reliability/run.py" --quick --seed "${SEED:-1}" "$@" 3>&-
}

# Rows that play another user.
row_of_root() {
    [[ $(id -u) == 0 ]] || skip "only root can become another user"
    row "$@"
}

@test "a worker that is killed takes nothing with it but what it serves, blocking accept" { row kill-blocking; }
@test "a worker that is killed takes nothing with it but what it serves, epoll then one" { row kill-epoll-sync; }
@test "a worker that is killed takes nothing with it but what it serves, event loops" { row kill-epoll kill-epoll-all; }
@test "what a worker was sent and did not accept is answered by another when it is killed" { row 'kill-sent-*'; }
@test "clients wait while every worker is dead" { row kill-all; }
@test "a stopped worker is left out, told, and comes back" { row 'stopped-*'; }
@test "requests that never return hold up nobody else" { row 'pinned-*'; }
@test "a request that never returns is reported, or ended, as --stuck-warn and --stuck-kill say" { row stuck-warn stuck-kill; }
@test "a worker that accepts nothing is found, left out and told" { row deaf; }
@test "a worker that closes its listener or shuts it down is left out and told" { row closes unlistens; }
@test "a worker that ruins its scoreboard or its channel harms nobody" { row 'mad-*'; }
@test "a worker at its fd limit loses nobody" { row worker-nofile; }
@test "a worker whose fd limit is lowered from outside loses one at most" { row worker-nofile-lowered; }
@test "a broker at its fd limit waits, says so once, and goes on" { row broker-nofile; }
@test "too many references in flight: the broker waits, says so once, and goes on" { row_of_root too-many-refs; }
@test "no buffers, no memory: the broker waits, says so once, and goes on" { row enobufs; }
@test "a fork that fails is tried again later" { row_of_root fork-fails; }
@test "a command that is gone for a while is tried again later" { row exec-fails; }
@test "a command that ends at once is not started over and over" { row never-starts crash-loop; }
@test "a rolling restart fails nobody and leaves all slots ready" { row restart-blocking restart-epoll restart-parallel; }
@test "a restart to a server that does not start leaves the old ones" { row restart-empty restart-dies restart-late-dies restart-no-exec; }
@test "a restart to a server that never listens leaves the old ones" { row restart-hangs; }
@test "a worker that is replaced finishes its connections, until --stop-timeout" { row drain; }
@test "a killed broker loses nobody, its keeper goes on" { row broker-blocking broker-epoll broker-epoll-all; }
@test "a worker that is killed while the broker ends takes nothing with it but what it serves" { row broker-and-worker; }
@test "what was received and not counted when the broker is killed is counted later" { row broker-late-count; }
@test "a broker that is killed while it resumes loses nobody" { row broker-twice; }
@test "a broker that is killed before it knows that it has sent loses nobody" { row broker-sent; }
@test "crashes, upgrades and restarts in turn lose nobody" { row broker-turns; }
@test "without broker and keeper the workers serve by themselves" { row 'alone-*'; }
@test "a broker that is killed at any write of its journal leaves the pool as it would be without that" { row crash-points; }
@test "a new broker takes the workers over, or they end if so asked" { row takeover death-exit; }
@test "scaling, draining, recycling, changed settings and upgrades fail nobody" { row operate; }
@test "an upgrade in place fails nobody" { row upgrade; }
@test "an upgrade to a program that does not start is refused" { row upgrade-bad; }
@test "a log that cannot be written holds up nothing" { row 'log-*'; }
@test "clocks that jump change nothing" { row clock suspended; }
@test "after a suspension of all nobody is taken for stuck" { row suspended-all; }
@test "a thousand silent clients hold up nobody" { row silent-clients; }
@test "clients that reset or are half closed harm nobody" { row reset-clients half-open vanished; }
@test "strangers are told nothing and harm nobody" { row_of_root garbage; }
@test "workers without the library: killed, stopped, replaced, and the broker killed and upgraded, lose nobody" { row 'seccomp-*'; }
@test "two events at once, to a worker and to the broker, lose nobody and end as one after the other" { row pairs; }
@test "everything at random: each connection accounted for, nothing leaked" { row chaos; }
@test "everything at random: who is held is there in the end, and answered once" { row chaos-held; }
