"""Two events at once, or one during or after the other, drawn by a seed from what happens to workers and what is done to
the broker. After each pair: every client accounted for, the state that the model tells, nothing left behind.
"""
import os
import random
import signal
import subprocess
import sys
import threading
import time

import tools
from chaos import await_no_surplus
from pool import SERVER, VICTIM, Pool
from rows_kill import kill_frozen
from row import row
from tools import wait_for

SECONDS = 300  # of the full form
WORKERS = 3
MODES = ("victim", "epoll-one", "epoll-all", "direct")

# The server is started by a script, so that a copy may start slowly, or not at all.
SCRIPT = """
[ -e "$1/slow" ] && sleep 0.7
[ -e "$1/broken" ] && exit 7
shift
exec "$@"
"""


class Pair:
    """What both events of a pair share. Each event draws from numbers of its own: two may run at once."""

    def __init__(self, r, pool, mode):
        self.r, self.pool, self.mode = r, pool, mode
        self.allowed = 0
        self.was_adopted = False  # the broker was the keeper: its workers are no children of it
        self.said = []

    # --- what happens to a worker

    def some_worker(self, rng):
        pids = [worker["pid"] for worker in self.pool.workers_now() if worker["pid"]]
        return rng.choice(pids) if pids else None

    def nothing(self, _rng):
        pass

    def kill(self, rng):
        pid = self.some_worker(rng)
        if pid:
            self.allowed += kill_frozen(self.pool, pid)

    def stop_and_continue(self, rng):
        pid = self.some_worker(rng)
        if not pid:
            return
        held = stop_counted(self.pool, pid)
        time.sleep(rng.random())
        if tools.is_gone(pid) and self.was_adopted:  # see guard.h: it stopped in the moment of the broker's end
            self.allowed += held
            self.r.note(f"a stopped worker was ended with the broker, {held} in service")
        tools.send_signal(pid, signal.SIGCONT)

    def fork_and_exit(self, rng):
        """It goes into the background: its child serves on with all that it has."""
        pid = self.some_worker(rng)
        if pid and self.mode == "victim":
            # nobody is told how a process that is no child has ended: the child that serves on may be ended
            self.allowed += self.was_adopted
            tools.send_signal(pid, signal.SIGUSR1)

    def slow_start(self, rng):
        self.flag("slow")
        self.kill(rng)

    def broken_version(self, rng):
        self.flag("broken")
        if rng.random() < 0.5:
            self.kill(rng)

    def flag(self, name):
        open(self.pool.path(name), "w", encoding="ascii").close()

    WORKER = (nothing, kill, stop_and_continue, fork_and_exit, slow_start, broken_version)

    # --- what is done to the broker

    def command(self, *words, codes=(0, 1)):
        answer = self.pool.sshim_says(*words, timeout=90)
        self.said.append(f"{' '.join(words)}: {answer.returncode} {answer.stdout.strip()}")
        self.r.expect(answer.returncode in codes, self.said[-1])
        return answer.returncode == 0

    def restart(self, _rng):
        old = set(self.pool.pids().values())
        if self.command("restart") and self.pool.status():
            self.r.expect(not old & set(self.pool.pids().values()), "all were replaced, and an old one is there")

    def hang_up(self, _rng):
        tools.send_signal(self.pool.broker_pid(), signal.SIGHUP)

    def upgrade(self, _rng):
        self.command("upgrade", codes=(0,))

    def scale(self, rng):
        self.command("scale", str(WORKERS + rng.choice((-1, 1))), codes=(0, 1))

    def kill_broker(self, _rng):
        pid = self.pool.broker_pid()
        self.was_adopted = True
        tools.send_signal(pid, signal.SIGKILL)
        wait_for(lambda: self.pool.broker_pid() not in (None, pid), "the keeper is the broker")

    def take_over(self, rng):
        """Another run takes over from the broker that was the keeper."""
        self.kill_broker(rng)
        self.pool.process.wait(timeout=20)
        self.pool.launch()
        wait_for(lambda: self.pool.broker_pid() == self.pool.process.pid, "the new one has taken over")

    def kill_keeper(self, _rng):
        pid = self.pool.keeper_pid()
        if pid:
            tools.send_signal(pid, signal.SIGKILL)

    def upgrade_and_kill(self, rng):
        pid = self.pool.broker_pid()
        self.was_adopted = True
        tools.send_signal(pid, signal.SIGUSR2)
        time.sleep(rng.random() * 0.01)
        tools.send_signal(pid, signal.SIGKILL)
        wait_for(lambda: self.pool.broker_pid() not in (None, pid), "there is a broker")

    def stop(self, _rng):
        self.command("stop", codes=(0,))

    BROKER = (restart, hang_up, upgrade, scale, kill_broker, take_over, kill_keeper, upgrade_and_kill, stop)

    # --- both

    def run(self, first, second, rng):
        """The second one some time after the first one has begun, or after it has ended. Returns which."""
        failed = []

        def one(event, numbers):
            try:
                event(self, numbers)
            except Exception as error:  # pylint: disable=broad-except  # told by the thread that waits
                failed.append(error)
        thread = threading.Thread(target=one, args=(first, random.Random(rng.random())))
        numbers, pause = random.Random(rng.random()), rng.choice((0, 0.02, 0.3, None))
        thread.start()
        if pause is None:
            thread.join()
        else:
            time.sleep(pause)
        one(second, numbers)
        thread.join()
        if failed:
            raise failed[0]
        return "after the end" if pause is None else f"{pause} s after the beginning"


def stop_counted(pool, pid):
    """SIGSTOP; how many connections it had in service then."""
    try:
        frozen = tools.Frozen(pid)
    except OSError:  # it is gone
        return 0
    held = tools.connections_of(pid, pool.port)
    tools.send_signal(pid, signal.SIGSTOP)
    frozen.thaw()
    return held


def put_right(pool):
    for name in ("slow", "broken"):
        if os.path.exists(pool.path(name)):
            os.unlink(pool.path(name))


def is_as_before(pool):
    status = pool.status()
    return (status and status["state"] == "ready" and len(status["workers"]) == WORKERS
            and all(worker["state"] in ("ready", "busy") for worker in status["workers"]))


def expect_peace(pair):
    pool = pair.pool
    put_right(pool)
    wait_for(lambda: pool.sshim_says("scale", str(WORKERS)).returncode == 0, "the number is as it was", 60, 0.2)
    wait_for(lambda: is_as_before(pool), "each slot has a ready worker, and nobody else is there", 90, 0.05)
    wait_for(pool.keeper_pid, "there is a keeper")
    await_no_surplus(pool)


def expect_end(pair):
    pool = pair.pool
    pool.process.wait(timeout=60)
    put_right(pool)
    pool.check_nothing_left()


def start(pool):
    pool.launch()
    pool.wait_ready()


def one_pair(r, pool, mode):
    pair = Pair(r, pool, mode)
    pair.was_adopted = pool.broker_pid() != pool.process.pid
    first, second = r.rng.sample([r.rng.choice(Pair.WORKER), r.rng.choice(Pair.BROKER)], 2)
    stops = Pair.stop in (first, second)
    load = None if stops else pool.load(clients=6, mix="f8l2", timeout_ms=60000)
    text = f"{first.__name__}, then {second.__name__}"
    if os.environ.get("TELL"):
        print(f"    {text}", flush=True)
    broken = len(r.broken)
    try:
        text += f" {pair.run(first, second, r.rng)} of the first"
        if stops:
            expect_end(pair)
            start(pool)
        else:
            expect_peace(pair)
            r.count(load.finish(), pair.allowed, gap=False)
            r.account(pool)
    except (tools.Broken, subprocess.SubprocessError) as error:
        r.expect(False, str(error))
    finally:
        if load and load.is_running():
            load.finish()
    if len(r.broken) > broken:
        r.broken.append(f"that was {text}; {pair.said}")
    r.did()


def command_of(mode):
    server = [sys.executable, VICTIM, "serve", "{host}", "{port}"] if mode == "victim" else [
        SERVER, "epoll-sync" if mode == "direct" else mode, "{address}"]
    return ["/bin/sh", "-c", SCRIPT, "serve", "{folder}", *server]


def segment(r, mode, seconds):
    end = time.monotonic() + seconds
    options = ["-q", "--settle", "0", "--stop-timeout", "5", "--handoff", "direct" if mode == "direct" else "auto"]
    with Pool(command_of(mode), workers=WORKERS, options=options) as pool:
        while time.monotonic() < end and not r.broken:
            one_pair(r, pool, mode)


@row("pairs", "two events at once: to a worker and to the broker")
def pairs(r):
    for mode in MODES:
        segment(r, mode, r.pick(SECONDS, 15) / len(MODES))
