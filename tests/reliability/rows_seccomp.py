"""Workers without the library: the same faults once more, by --intercept seccomp."""
import signal
import time

import tools
from pool import VICTIM, Pool
from row import row
from rows_broker import kill_broker, upgrade_in_place
from rows_kill import kill_one_at_a_time, kill_random, kill_frozen
from rows_restart import Watch, restart_by_command
from tools import wait_for

SECCOMP = ["--intercept", "seccomp"]
OF_USE_S = 0.25  # what a copy accepts is not seen: one that listens for 200 ms is believed to serve


@row("seccomp-kill", "seccomp: kill -9 of a worker, blocking accept")
def seccomp_kill(r):
    kill_random(r, "blocking", kill_one_at_a_time, 50, SECCOMP, OF_USE_S)


@row("seccomp-kill-epoll", "seccomp: kill -9 of a worker, event loop")
def seccomp_kill_epoll(r):
    kill_random(r, "epoll-one", kill_frozen, 50, SECCOMP, OF_USE_S)


def answers_of(pool, pid):
    return pool.load(clients=8, seconds=0.2).finish(wait=True)["workers"].get(f"{pid & 0xffff:04x}")


@row("seccomp-stopped", "seccomp: SIGSTOP, blocking accept")
def seccomp_stopped(r):
    """What it has in service waits for it, and nobody else does."""
    with Pool("blocking", options=SECCOMP) as pool:
        for _ in range(r.pick(10, 2)):
            slot = r.rng.randrange(4)
            pid = pool.pids()[slot]
            tools.stop_and_wait(pid)
            load = pool.load(rate=300)
            wait_for(lambda: pool.state_of(slot) == "stuck", "status says stuck", 5)
            time.sleep(1)
            r.count(load.finish())
            tools.send_signal(pid, signal.SIGCONT)
            wait_for(lambda: pool.state_of(slot) in ("ready", "busy"), "it is ready again", 5)
            wait_for(lambda: answers_of(pool, pid), "it serves again", 10)
            r.did()


@row("seccomp-restart", "seccomp: rolling restart, a server that ends gracefully")
def seccomp_restart(r):
    requests = r.pick(50000, 5000)
    with Pool(["python3", VICTIM, "graceful", "{host}", "{port}"], options=SECCOMP) as pool:
        load = pool.load(rate=r.pick(800, 500), more=["-n", requests])
        watch = Watch(pool)
        while load.is_running() or r.times < r.pick(20, 2):
            restart_by_command(pool)
            r.did()
        watch.finish()
        result = load.finish(wait=True)
        r.count(result)
        r.expect(watch.lowest >= 4, f"only {watch.lowest} workers were ready for a moment: {watch.states}")
        r.expect(result["started"] >= requests, f"only {result['started']} connections")


@row("seccomp-broker", "seccomp: kill -9 of the broker, blocking accept")
def seccomp_broker(r):
    kill_broker(r, "blocking", SECCOMP)


@row("seccomp-upgrade", "seccomp: upgrade in place, by command and USR2")
def seccomp_upgrade(r):
    upgrade_in_place(r, "epoll-one", SECCOMP)
