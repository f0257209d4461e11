"""What happens to a worker and what is done to the broker: the events of the row pairs."""
import os
import random
import signal
import threading
import time

import tools
from rows_kill import kill_frozen
from tools import wait_for

WORKERS = 3
WHIM_FORK, WHIM_EXEC = signal.SIGUSR1, signal.SIGUSR2  # tests/bench/whims.h
WHIM_EXEC_KEEP, WHIM_HANG, WHIM_GO_ON, WHIM_FILL = range(signal.SIGRTMIN + 1, signal.SIGRTMIN + 5)
STOP_TIMEOUT_S = 5
FULL_S = 0.8  # the servers close what they have opened a little earlier


class Pair:
    """What both events of a pair share. Each event draws from numbers of its own: two may run at once."""

    def __init__(self, r, pool, mode):
        self.r, self.pool, self.mode = r, pool, mode
        self.allowed = 0
        self.was_adopted = False  # the broker was the keeper: its workers are no children of it
        self.may_fail = False  # a restart, for a worker ends or binds anew meanwhile
        self.said = []

    # --- what happens to a worker

    def some_worker(self, rng):
        pids = [worker["pid"] for worker in self.pool.workers_now() if worker["pid"]]
        return rng.choice(pids) if pids else None

    def nothing(self, _rng):
        pass

    def kill(self, rng):
        self.may_fail = True
        pid = self.some_worker(rng)
        if pid:
            self.allowed += kill_frozen(self.pool, pid)

    def stop_and_continue(self, rng):
        pid = self.some_worker(rng)
        if pid:
            tools.send_signal(pid, signal.SIGSTOP)
            time.sleep(rng.random())
            tools.send_signal(pid, signal.SIGCONT)

    def tell(self, rng, whim):
        """A worker gets this signal, and begins with it. Its pid and how many connections it had in service then; 0 and 0
        if there is none, or none that knows the signal yet."""
        pid = self.some_worker(rng)
        frozen = freeze(pid) if pid else None
        if not frozen:
            return 0, 0
        # Python looks at a signal between two instructions: it may accept one before that
        held = 1 if self.mode == "victim" else tools.connections_of(pid, self.pool.port)
        knows = tools.catches(pid, whim)
        if knows:
            tools.send_signal(pid, whim)
        frozen.thaw()
        return (pid, held) if knows else (0, 0)

    def fork_and_exit(self, rng):
        """It goes into the background: its child serves on with all that it has."""
        self.may_fail = True
        _, held = self.tell(rng, WHIM_FORK)
        # nobody is told how a process that is no child has ended: the child that serves on may be ended
        self.allowed += held if self.was_adopted else 0

    def execute_itself(self, rng):
        """What it has in service goes, as it does natively."""
        self.may_fail = True
        self.allowed += self.tell(rng, rng.choice((WHIM_EXEC, WHIM_EXEC_KEEP)))[1]

    def hang(self, rng):
        """It hears nothing, for longer than --stop-timeout if it comes so."""
        pid, held = self.tell(rng, WHIM_HANG)
        time.sleep(rng.choice((0.2, 1, STOP_TIMEOUT_S + 1.5)))
        if not pid:
            return
        # a drain tells it to end after --stop-timeout: it does that as soon as it hears something
        if tools.is_gone(pid) or tools.is_in_mask(pid, "ShdPnd", signal.SIGTERM):
            self.allowed += held
        tools.send_signal(pid, WHIM_GO_ON)

    def fill_table(self, rng):
        """It opens files until it can open no more."""
        self.tell(rng, WHIM_FILL)
        time.sleep(FULL_S)

    def slow_start(self, rng):
        self.flag("slow")
        self.kill(rng)

    def broken_version(self, rng):
        self.may_fail = True
        self.flag("broken")
        if rng.random() < 0.5:
            self.kill(rng)

    def flag(self, name):
        open(self.pool.path(name), "w", encoding="ascii").close()

    WORKER = (nothing, kill, stop_and_continue, hang, execute_itself, fork_and_exit, fill_table, slow_start, broken_version)

    # --- what is done to the broker

    def command(self, *words, codes=(0, 1)):
        answer = self.pool.sshim_says(*words, timeout=90)
        self.said.append(f"{' '.join(words)}: {answer.returncode} {answer.stdout.strip()}")
        self.r.expect(answer.returncode in codes, self.said[-1])
        return answer.returncode == 0

    def restart(self, _rng):
        old = set(self.pool.pids().values())
        done = self.command("restart")
        self.r.expect(done or self.may_fail, f"no worker has ended, and {self.said[-1]}")
        if done and self.pool.status():
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

    def kill_deputy(self, _rng):
        pid = self.pool.deputy_pid()
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

    BROKER = (restart, hang_up, upgrade, scale, kill_broker, take_over, kill_keeper, kill_deputy, upgrade_and_kill, stop)

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


def freeze(pid):
    """So that what it has in service can be counted. None if it is gone."""
    try:
        return tools.Frozen(pid)
    except OSError:
        return None
