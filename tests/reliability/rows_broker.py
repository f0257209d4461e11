"""The broker's own death, its successor, and upgrades in place."""
import os
import shutil
import signal
import time

import tools
from load import BUILD
from pool import Beside, Pool
from row import row
from rows_kill import kill_frozen
from tools import wait_for

GAP_MS = 100


def expect_gap(r, beside):
    gap_ms = beside.finish()["longest_gap_ms"]
    limit = GAP_MS + gap_ms + r.pick(0, 3000)
    r.expect(r.gap_ms <= limit, f"a gap of {r.gap_ms:.0f} ms, {gap_ms:.0f} ms without a fault at the same time")


def expect_no_leak(broker, fds):
    """What a status by seccomp has copied of workers is closed by a helper, in its turn."""
    wait_for(lambda: tools.count_fds(broker) <= fds + 2, "the broker's fds are as before")


def is_back(pool, old):
    pid = pool.broker_pid()
    return pid and pid != old


def kill_broker(r, mode, options=()):
    with Pool(mode, options=options) as pool, Beside(mode) as beside:
        pids, fds = pool.pids(), 0
        load = pool.load(clients=8, mix="f9l1")
        for _ in range(r.pick(50, 5)):
            broker = pool.broker_pid()
            time.sleep(r.rng.random() * 0.1)
            tools.send_signal(broker, signal.SIGKILL)
            wait_for(lambda: is_back(pool, broker), "the keeper goes on as the broker", 10)
            if not fds:
                pool.await_keeper()
                fds = tools.count_fds(pool.broker_pid())  # now with a pidfd for each worker
            r.did()
        r.count(load.finish())
        expect_gap(r, beside)
        r.expect(pool.pids() == pids, f"other workers: {pids} became {pool.pids()}")
        expect_no_leak(pool.broker_pid(), fds)
        pool.await_keeper()
        r.account(pool)


@row("broker-blocking", "kill -9 of the broker, blocking accept")
def broker_blocking(r):
    kill_broker(r, "blocking")


@row("broker-epoll", "kill -9 of the broker, event loop")
def broker_epoll(r):
    kill_broker(r, "epoll-one")


@row("broker-epoll-all", "kill -9 of the broker, event loop until EAGAIN")
def broker_epoll_all(r):
    kill_broker(r, "epoll-all")


@row("broker-and-worker", "kill -9 of the broker, and of a worker while it ends")
def broker_and_worker(r):
    """The next broker finds a worker of which it was never told that it has ended."""
    for _ in range(r.pick(40, 8)):
        with Pool("epoll-all", workers=3) as pool:
            broker, worker = pool.broker_pid(), pool.pids()[r.rng.randrange(3)]
            load = pool.load(clients=6, mix="f8l2")
            time.sleep(0.2)
            tools.send_signal(broker, signal.SIGKILL)
            time.sleep(r.rng.random() * 0.0006)
            allowed = kill_frozen(pool, worker)
            wait_for(lambda: is_back(pool, broker) and len(pool.serving()) == 3, "all slots serve again")
            r.count(load.finish(), allowed, gap=False)
            r.account(pool)
            r.did()


@row("broker-late-count", "kill -9 of the broker before an accept is counted")
def broker_late_count(r):
    """The worker has received a connection and not counted it yet, when the next broker begins to count."""
    with Pool("blocking", workers=1, options=["--accept-timeout", "10000", "--handoff", "broker"]) as pool:
        for number in range(r.pick(10, 2)):
            broker, worker = pool.broker_pid(), tools.Frozen(pool.pids()[0])
            load = pool.load(clients=1, more=["-n", "1"])
            worker.run_until_received()
            tools.send_signal(broker, signal.SIGKILL)
            wait_for(lambda: is_back(pool, broker), "the keeper goes on as the broker", 10)
            worker.thaw()
            r.count(load.finish(wait=True), gap=False)
            r.count(pool.load(clients=1, more=["-n", "1"]).finish(wait=True), gap=False)
            r.did()
            listener = pool.status()["listeners"][0]
            r.expect(listener["taken"] == listener["handed"] == 2 * (number + 1) and not listener["untaken"],
                     f"after {2 * (number + 1)} connections: {listener}")
        r.account(pool)


def untaken(pool):
    return sum(listener["untaken"] for listener in pool.status()["listeners"])


@row("broker-twice", "kill -9 of the broker, and of the next while it resumes")
def broker_twice(r):
    """The second has just taken an offer out of its channel, to count it, when it is killed."""
    with Pool("blocking", options=["--accept-timeout", "10000", "--handoff", "broker"]) as pool:
        for _ in range(r.pick(10, 2)):
            pool.wait_idle()
            broker, keeper = pool.broker_pid(), pool.await_keeper()
            frozen = [tools.Frozen(pid) for pid in pool.pids().values()]
            load = pool.load(clients=4, more=["-n", "4"])
            wait_for(lambda: untaken(pool) == 4, "every worker has an offer")
            successor = tools.Frozen(keeper)
            tools.send_signal(broker, signal.SIGKILL)
            for _ in range(r.rng.randrange(1, 5)):
                successor.run_until_received()
            successor.kill()
            for worker in frozen:
                worker.thaw()
            wait_for(lambda: is_back(pool, broker), "the next keeper goes on as the broker", 10)
            r.count(load.finish(wait=True), gap=False)
            r.did()
        pool.await_keeper()
        r.account(pool)


@row("broker-sent", "kill -9 of the broker that has just closed what it sent")
def broker_sent(r):
    """The journal still names that number, which by then is that of an offer taken back to be counted."""
    with Pool("blocking", options=["--accept-timeout", "10000", "--handoff", "broker"]) as pool:
        for _ in range(r.pick(10, 2)):
            pool.wait_idle()
            frozen = [tools.Frozen(pid) for pid in pool.pids().values()]
            pid = pool.broker_pid()
            broker = tools.Frozen(pid)
            load = pool.load(clients=4, more=["-n", "4"])
            for _ in range(r.rng.randrange(2, 5)):
                broker.run_until_sent()
            broker.kill()
            wait_for(lambda: is_back(pool, pid), "the keeper goes on as the broker", 10)
            for worker in frozen:
                worker.thaw()
            r.count(load.finish(wait=True), gap=False)
            wait_for(lambda: all_serve(r, pool), "all workers serve again", 10)
            r.did()
        r.account(pool)


def all_serve(r, pool):
    """A worker that a broker finds frozen is looked at again only after a while."""
    result = pool.load(clients=4, more=["-n", "40"]).finish(wait=True)
    r.count(result, gap=False)
    return len(result["workers"]) == pool.workers


@row("broker-turns", "crash, upgrade and HUP of the broker in turn")
def broker_turns(r):
    """What one of them leaves behind must not mislead the next: file descriptors by number above all."""
    with Pool("epoll-sync") as pool:
        load = pool.load(clients=8, mix="f8l2")
        for number in range(r.pick(150, 24)):
            broker = pool.broker_pid()
            if number % 3 == 0:
                tools.send_signal(broker, signal.SIGKILL)
                wait_for(lambda: is_back(pool, broker), "the keeper goes on as the broker")
            elif number % 3 == 1:
                tools.send_signal(broker, signal.SIGHUP)
            else:
                pool.sshim_says("upgrade")
            time.sleep(r.rng.random() * 0.1)
            r.did()
        wait_for(lambda: len(pool.serving()) == 4 == len(pool.workers_now()), "all is well again", 60)
        r.count(load.finish())
        pool.await_keeper()
        r.account(pool)


def kill_both(pool):
    """Broker and keeper: the keeper is stopped first, or it would be faster than the second kill."""
    broker, keeper = pool.broker_pid(), pool.await_keeper()
    tools.stop_and_wait(keeper)
    tools.send_signal(broker, signal.SIGKILL)
    tools.send_signal(keeper, signal.SIGKILL)
    wait_for(lambda: tools.is_gone(broker) and tools.is_gone(keeper), "both are gone")
    return broker


def alone(r, mode):
    """Workers serve by themselves; what was on its way in a channel goes down with the channel."""
    with Pool(mode) as pool:
        workers = list(pool.pids().values())
        load = pool.load(clients=8)
        time.sleep(0.2)
        kill_both(pool)
        time.sleep(r.pick(2, 0.5))
        r.count(load.finish(), 4)  # at most the one offer that each channel may hold
        r.did()
        idle = max(tools.cpu_share(pid, 0.3) for pid in workers)
        r.expect(idle < 0.3, f"a worker spins: {idle:.0%}")
        served = pool.load(clients=8, seconds=1).finish(wait=True)
        r.count(served)
        r.expect(len(served["workers"]) == 4, f"only {len(served['workers'])} serve")
        pool.launch()
        r.expect(pool.process.wait(30) == 4, "a new run starts beside them")
        with open(pool.path("log")) as log:
            last = log.read().splitlines()[-1]
        r.expect(all(f"pid {pid} " in last for pid in workers), f"the new run does not name them: {last}")
        for pid in workers:
            tools.send_signal(pid, signal.SIGTERM)
        wait_for(lambda: all(tools.is_gone(pid) for pid in workers), "they end on TERM")
        pool.launch()
        pool.wait_ready()


@row("alone-blocking", "kill -9 of broker and keeper, blocking accept")
def alone_blocking(r):
    alone(r, "blocking")


@row("alone-epoll", "kill -9 of broker and keeper, event loop")
def alone_epoll(r):
    alone(r, "epoll-one")


@row("alone-epoll-all", "kill -9 of broker and keeper, event loop until EAGAIN")
def alone_epoll_all(r):
    alone(r, "epoll-all")


@row("death-exit", "--on-broker-death exit")
def death_exit(r):
    with Pool("blocking", options=["--on-broker-death", "exit"]) as pool:
        workers = list(pool.pids().values())
        tools.send_signal(pool.broker_pid(), signal.SIGKILL)
        wait_for(lambda: all(tools.is_gone(pid) for pid in workers), "the workers end")
        pool.check_nothing_left()
        r.did()
        pool.process.wait()
        pool.launch()
        pool.wait_ready()


@row("takeover", "sshim run of the same name takes over")
def takeover(r):
    with Pool("epoll-one") as pool, Beside("epoll-one") as beside:
        pids, load = pool.pids(), pool.load(clients=8)
        accepted = 0
        for _ in range(r.pick(20, 3)):
            broker = pool.broker_pid()
            tools.send_signal(broker, signal.SIGKILL)
            old = pool.process
            pool.launch()
            old.wait()
            wait_for(lambda: pool.broker_pid() == pool.process.pid, "the new one has taken over")
            now = sum(worker["accepted"] for worker in pool.workers_now())
            r.expect(now >= accepted, f"counts went from {accepted} to {now}")
            accepted = now
            r.did()
        r.count(load.finish())
        expect_gap(r, beside)
        r.expect(pool.pids() == pids, "other workers")
        r.account(pool)


def upgrade_in_place(r, mode, options=()):
    with Pool(mode, options=options) as pool, Beside(mode) as beside:
        status, load = pool.status(), pool.load(clients=8)
        fds = tools.count_fds(status["pid"])
        for number in range(r.pick(20, 4)):
            keeper = pool.await_keeper()
            if number % 2:
                tools.send_signal(status["pid"], signal.SIGUSR2)
            else:
                answer = pool.sshim_says("upgrade")
                r.expect(answer.returncode == 0, f"upgrade says {answer.stdout.strip()}")
            wait_for(lambda: pool.keeper_pid() not in (None, keeper), "the new program has a keeper", 10)
            r.did()
        r.count(load.finish())
        expect_gap(r, beside)
        after = pool.status()
        r.expect(after["pid"] == status["pid"], "the pid changed")
        r.expect({w["pid"] for w in after["workers"]} == {w["pid"] for w in status["workers"]}, "other workers")
        expect_no_leak(after["pid"], fds)
        r.account(pool)


@row("upgrade", "upgrade in place, by command and USR2")
def upgrade(r):
    upgrade_in_place(r, "epoll-one")


def write_program(path, text):
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(text)
    os.chmod(path + ".new", 0o755)
    os.rename(path + ".new", path)


@row("upgrade-bad", "upgrade to a program that does not start")
def upgrade_bad(r):
    pool = Pool("epoll-one", sshim="{folder}/sshim")
    pool.sshim = pool.fill(pool.sshim)
    for name in ("sshim", "libsshim.so"):
        shutil.copy(os.path.join(BUILD, name), pool.path(name))
    with pool:
        status, load = pool.status(), pool.load(clients=8)
        for text in ("#!/bin/sh\nexit 9\n", "no program at all\n", "#!/bin/sh\nsleep 1000\n",
                     "#!/none/such\n", None):
            if text:
                write_program(pool.path("sshim"), text)
            else:
                os.unlink(pool.path("sshim"))
            pool.sshim = os.path.join(BUILD, "sshim")
            answer = pool.sshim_says("upgrade")
            r.expect(answer.returncode == 1, f"{text!r}: exit code {answer.returncode}, {answer.stdout!r}")
            r.expect(pool.status() and pool.status()["pid"] == status["pid"], f"{text!r}: the broker is gone")
            r.did()
        r.count(load.finish())
        r.expect(pool.pids() == {w["slot"]: w["pid"] for w in status["workers"]}, "other workers")
        pool.await_keeper()
        r.account(pool)
