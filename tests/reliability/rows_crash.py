"""The broker is killed before and after each write of its journal, in a life in which everything happens. What is there
at the end is what is there without that crash: the same pool, every client answered, nothing left behind.

CRASH=12 tries that point alone, CRASH=12,30 kills the next broker as well. The connection that is being sent is the
matter of other rows: broker-sent, chaos.
"""
import os
import struct
import subprocess

import tools
from load import BUILD
from pool import Pool
from row import row
from rows_kill import kill_frozen
from tools import wait_for

SSHIM = os.path.join(BUILD, "tests", "sshim-crash")
LIBRARY = os.path.join(BUILD, "libsshim.so")
POINTS = "3i"  # struct points of crash_points.c
WORKERS = 2


class Life:
    """One life of a pool, with a crash at this point, or with none."""

    def __init__(self, r, points=()):
        self.r, self.points = r, (*points, -1, -1)[:2]
        self.allowed = 0
        self.pool = None

    def write_points(self, path):
        with open(path, "wb") as file:
            file.write(struct.pack(POINTS, 0, *self.points))

    def passed(self):
        with open(self.pool.path("points"), "rb") as file:
            return struct.unpack(POINTS, file.read())[0]

    def command(self, *words):
        """It is done, whichever broker answers."""
        answer = self.pool.sshim_says(*words, timeout=60)
        self.r.expect(answer.returncode == 0, f"{' '.join(words)}: {answer.returncode} {answer.stdout.strip()}")

    def begin(self):
        """Whoever starts a broker that is killed before it has a keeper starts it once more."""
        for crashes_left in (2, 1, 0):
            self.pool.launch()
            try:
                self.pool.wait_ready(WORKERS)
                return
            except tools.Broken:
                if not crashes_left or self.pool.process.poll() is None or tools.pids_with(f"SSHIM_TEST={self.pool.folder}"):
                    raise

    def kill_worker(self):
        wait_for(lambda: all(self.pool.pids().values() or [0]), "all slots have a worker")
        pid = self.pool.pids()[0]
        self.allowed += kill_frozen(self.pool, pid)
        wait_for(lambda: self.pool.pids().get(0) not in (None, 0, pid) and self.is_well(), "slot 0 is ready again")

    def is_well(self):
        status = self.pool.status()
        return (status and status["state"] == "ready" and status["wanted"] == WORKERS and status["drained"] == 0
                and len(status["workers"]) == WORKERS and len(status["listeners"]) == 1
                and all(worker["state"] in ("ready", "busy") for worker in status["workers"]))

    def live(self):
        load = self.pool.load(rate=60, mix="f8l2", timeout_ms=60000)
        try:
            self.kill_worker()
            old = set(self.pool.pids().values())
            self.command("restart", "--parallel", "2")
            self.r.expect(not old & set(self.pool.pids().values()), "an old worker is there after the restart")
            self.command("scale", "+1")
            self.command("drain", "0")
            self.command("resume", "0")
            self.command("upgrade")
            self.command("scale", str(WORKERS))
            wait_for(self.is_well, "each slot has a ready worker, and nobody else is there", 30)
            wait_for(self.pool.keeper_pid, "there is a keeper")
        finally:
            result = load.finish()
        self.r.count(result, self.allowed, gap=False)
        self.r.account(self.pool)

    def stop(self):
        self.command("stop")
        self.pool.process.wait(timeout=20)

    def end(self):
        self.stop()
        self.pool.check_nothing_left()

    def run(self):
        """How many points there were; 0 if it did not end well."""
        broken = len(self.r.broken)
        pool = self.pool = Pool("epoll-one", workers=WORKERS, sshim=SSHIM, ready=0,
                                options=["-v", "--settle", "0", "--stop-timeout", "5"],
                                env={"SSHIM_LIB": os.path.abspath(LIBRARY), "CRASH_POINTS": "{folder}/points"})
        self.write_points(pool.path("points"))
        try:
            self.begin()
            self.live()
            self.end()
            return self.passed()
        except (tools.Broken, subprocess.SubprocessError) as error:
            self.r.expect(False, str(error))
            return 0
        finally:
            self.r.did()
            if len(self.r.broken) > broken:
                self.r.broken.append(f"that was CRASH={','.join(map(str, self.points))}")
                if os.environ.get("TELL"):
                    print(f"    {self.r.broken[broken:]}", flush=True)
                if os.environ.get("KEEP"):
                    print(pool.log()[-6000:], flush=True)
            pool.end_all()


def chosen_points(r, passed):
    """Each of them, each with a crash at the next write as well, and some with a second one soon after."""
    every = [(point,) for point in range(passed + 5)]
    every += [(point, point + 1) for point in range(passed)]
    every += [(point, point + r.rng.randrange(1, 30)) for point in range(passed)[::r.rng.randrange(3, 6)]]
    return r.pick(every, r.rng.sample(every, 6))


@row("crash-points", "kill -9 of the broker at each write of its journal")
def crash_points(r):
    only = os.environ.get("CRASH")
    if only:
        Life(r, map(int, only.split(","))).run()
        return
    passed = Life(r).run()
    r.note(f"{passed} points")
    for points in chosen_points(r, passed) if passed else ():
        Life(r, points).run()
