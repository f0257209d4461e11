"""All faults at random, by a seed, for a given time; then everything is counted."""
import os
import signal
import socket
import subprocess
import sys
import time

import tools
from pool import Pool
from row import row
from rows_kill import kill_frozen
from rows_limits import at_fd_limit
from rows_world import INTRUDER, half_open
from tools import wait_for

SECONDS = None  # instead of the usual time
MODES = ("blocking", "epoll-one", "epoll-all", "epoll-sync")
MEMORY_KIB = 1024  # by which the broker may grow
HOLDS = ("--hold", "data", "--hold-timeout", "3600", "--when-full", "close", "--full-after", "3600")


class Chaos:
    """The faults; each leaves the instance in a state that it recovers from by itself."""

    def __init__(self, r, pool):
        self.r, self.rng, self.pool = r, r.rng, pool
        self.allowed = 0
        self.beside = []  # processes that run on while other faults happen
        self.done = {}

    def some_worker(self):
        pids = [worker["pid"] for worker in self.pool.workers_now() if worker["pid"]]
        return self.rng.choice(pids) if pids else None

    def kill_worker(self):
        pid = self.some_worker()
        if pid:
            self.allowed += kill_frozen(self.pool, pid)

    def kill_all(self):
        for worker in self.pool.workers_now():
            if worker["pid"]:
                self.allowed += kill_frozen(self.pool, worker["pid"])

    def stop_worker(self):
        pid = self.some_worker()
        if pid:
            tools.send_signal(pid, signal.SIGSTOP)
            time.sleep(self.rng.random())
            tools.send_signal(pid, signal.SIGCONT)

    def kill_broker(self):
        pid = self.pool.broker_pid()
        if pid:
            tools.send_signal(pid, signal.SIGKILL)
            wait_for(lambda: self.pool.broker_pid() not in (None, pid), "the keeper is the broker")

    def kill_keeper(self):
        pid = self.pool.keeper_pid()
        if pid:
            tools.send_signal(pid, signal.SIGKILL)
            wait_for(lambda: self.pool.keeper_pid() not in (None, pid), "there is a new keeper")

    def restart(self):
        self.pool.sshim_says("restart", "--parallel", str(self.rng.randint(1, 4)))

    def hang_up(self):
        tools.send_signal(self.pool.broker_pid(), signal.SIGHUP)

    def upgrade(self):
        self.pool.sshim_says("upgrade")

    def starve_of_fds(self):
        end = at_fd_limit(self.pool.broker_pid())
        time.sleep(self.rng.random())
        end()

    def garbage(self):
        self.beside.append(subprocess.Popen(
            [sys.executable, INTRUDER, "garbage", self.pool.control, str(self.rng.randrange(10 ** 6))],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    def reset_clients(self):
        self.pool.load(clients=20, more=["-b", "reset", "-n", "300"], seconds=5).finish(wait=True)

    def half_open(self):
        half_open(self.pool, 10)

    FAULTS = ((kill_worker, 6), (kill_all, 1), (stop_worker, 3), (kill_broker, 2), (kill_keeper, 1),
              (restart, 2), (hang_up, 1), (upgrade, 2), (starve_of_fds, 1), (garbage, 1),
              (reset_clients, 1), (half_open, 1))

    def one(self):
        faults, weights = zip(*self.FAULTS)
        fault = self.rng.choices(faults, weights)[0]
        self.done[fault.__name__] = self.done.get(fault.__name__, 0) + 1
        if os.environ.get("TELL"):
            print(f"    {time.monotonic():.3f} {fault.__name__}", flush=True)
        fault(self)
        self.r.did()
        time.sleep(self.rng.expovariate(4))

    def end(self):
        for process in self.beside:
            process.wait(timeout=120)


def await_peace(pool):
    def is_peaceful():
        workers = pool.workers_now()
        return len(workers) == pool.workers and all(w["state"] in ("ready", "busy") for w in workers)
    wait_for(is_peaceful, "all is well again", 90, 0.05)


def expect_no_leak(r, pool, fds, memory):
    broker = pool.broker_pid()
    # adopted workers are watched by a pidfd each, its own children by SIGCHLD
    wait_for(lambda: tools.count_fds(broker) <= fds + pool.workers + 4, "no fd of the broker leaked")
    grown = tools.resident_kib(broker) - memory
    r.expect(grown <= MEMORY_KIB or tools.is_sanitized(broker), f"the broker has grown by {grown} KiB")
    await_no_surplus(pool)


HELPERS_MAX = {"sshim-closer": 16, "sshim-aside": 1, "sshim-deputy": 1}  # of the broker


def await_no_surplus(pool):
    """A worker each, the broker, the keeper, the broker's helpers."""
    def commands():
        return [tools.command_of(pid) for pid in tools.pids_with(f"SSHIM_TEST={pool.folder}")]

    def is_no_surplus():
        found = commands()
        helpers = {name: found.count(name) for name in HELPERS_MAX}
        return (all(helpers[name] <= most for name, most in HELPERS_MAX.items())
                and len(found) - sum(helpers.values()) <= pool.workers + 2)
    try:
        wait_for(is_no_surplus, "no process is left over", 30)
    except tools.Broken as broken:
        raise tools.Broken(f"{broken}: {pool.workers} workers, but {' '.join(commands())}") from broken


class Silent:
    """Clients that say nothing while all goes on; in the end each is there still, and is answered once."""

    def __init__(self, pool, number):
        self.pool = pool
        self.clients = [socket.create_connection((pool.host, pool.port)) for _ in range(number)]
        self.expect_held("they are held")

    def expect_held(self, text):
        wait_for(lambda: self.pool.status()["listeners"][0]["held"] == len(self.clients), text)

    def end(self, r):
        self.expect_held("the silent clients alone are held in the end")
        answers = [self.ask(client) for client in self.clients]
        r.expect(all(len(answer) == 6 and answer[0:1] == b"f" for answer in answers),
                 f"silent clients were answered wrongly: {answers}")
        r.tried += len(answers)

    @staticmethod
    def ask(client):
        """All that comes until the end."""
        client.settimeout(60)
        with client, client.makefile("rb") as answer:
            client.sendall(b"f")
            return answer.read()


def segment(r, mode, seconds, options=(), silent=0):
    workers = r.rng.randint(2, 16)
    with Pool(mode, workers=workers, options=["-q", "--stop-timeout", "5", *options]) as pool:
        quiet = Silent(pool, silent)
        fds, memory = tools.count_fds(pool.broker_pid()), tools.resident_kib(pool.broker_pid())
        chaos = Chaos(r, pool)
        loads = [pool.load(clients=8, mix="f8l2", timeout_ms=60000), pool.load(rate=100, timeout_ms=60000)]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            chaos.one()
        chaos.end()
        await_peace(pool)
        results = [load.finish() for load in loads]
        answered = sum(result["outcomes"]["right"] for result in results)
        # what one load may lose the other may not as well
        results[0]["outcomes"] = {name: sum(result["outcomes"][name] for result in results)
                                  for name in results[0]["outcomes"]}
        results[0]["started"] = sum(result["started"] for result in results)
        quiet.end(r)
        r.count(results[0], chaos.allowed)
        r.expect(sum(results[0]["outcomes"].values()) == results[0]["started"], "clients are missing")
        r.account(pool)
        counted = sum(listener["connections"] for listener in pool.status()["listeners"])
        r.expect(counted >= answered, f"status counts {counted} connections, {answered} were answered")
        expect_no_leak(r, pool, fds, memory)
        if os.environ.get("TELL"):
            print(f"    {mode} {workers} workers: {chaos.done}", flush=True)


@row("chaos-held", "everything at random, with clients that are held")
def chaos_held_row(r):
    seconds = SECONDS or r.pick(300, 16)
    for mode in ("blocking", "epoll-one"):
        segment(r, mode, seconds / 2, HOLDS, silent=50)


@row("chaos", "everything at random")
def chaos_row(r):
    seconds = SECONDS or r.pick(600, 20)
    for mode in MODES:
        segment(r, mode, seconds / len(MODES))
