"""Rolling restarts, good and bad, and draining."""
import os
import signal
import socket
import subprocess
import threading
import time

import tools
from pool import VICTIM, Pool
from row import row
from tools import wait_for


SERVES = ("ready", "busy", "stuck")  # on a machine with more to do than it can, one is late at times


class Watch(threading.Thread):
    """Asks for the status over and over; knows the lowest number of ready workers it has seen."""

    def __init__(self, pool):
        super().__init__(daemon=True)
        self.pool, self.lowest, self.looks, self.over = pool, 10 ** 6, 0, False
        self.states = ""  # of all workers when the fewest served
        self.start()

    def run(self):
        while not self.over:
            status = self.pool.status()
            if status:
                serving = sum(worker["state"] in SERVES for worker in status["workers"])
                if serving < self.lowest:
                    self.lowest = serving
                    self.states = " ".join(worker["state"] for worker in status["workers"])
                self.looks += 1
            time.sleep(0.01)

    def finish(self):
        self.over = True
        self.join()


def restart_by_command(pool, *options):
    answer = pool.sshim_says("restart", *options)
    if answer.returncode != 0:
        raise tools.Broken(f"sshim restart: {answer.returncode} {answer.stdout.strip()}")


def restart_by_signal(pool):
    before = pool.log().count("workers were replaced")
    tools.send_signal(pool.broker_pid(), signal.SIGHUP)
    wait_for(lambda: pool.log().count("workers were replaced") > before, "HUP replaces all", 60)


def all_new(pool, old):
    return not set(pool.pids().values()) & set(old.values())


def answered(pool):
    return sum(listener["connections"] for listener in pool.status()["listeners"])


def rolling(r, mode, ways, times, connections=0):
    with Pool(mode) as pool:
        load = pool.load(clients=16)
        watch = Watch(pool)
        begun = time.monotonic()
        for number in range(times):
            old = pool.pids()
            ways[number % len(ways)](pool)
            wait_for(lambda: all_new(pool, old), "every slot has a new worker")
            r.did()
        wait_for(lambda: len(pool.workers_now()) == 4, "the old ones are gone")
        # so many that one in ten thousand would show; restarts go on meanwhile
        while answered(pool) < connections and time.monotonic() - begun < 300:
            restart_by_command(pool)
            r.did()
        watch.finish()
        result = load.finish()
        r.count(result)
        r.expect(watch.lowest >= 4, f"only {watch.lowest} workers were ready for a moment: {watch.states}")
        r.expect(result["started"] >= connections, f"only {result['started']} connections")
        r.note(f"never under {watch.lowest} ready in {watch.looks} looks")
        r.account(pool)


@row("restart-blocking", "rolling restart by command and HUP, blocking accept")
def restart_blocking(r):
    rolling(r, "blocking", [restart_by_command, restart_by_signal], r.pick(20, 2), r.pick(100000, 0))


@row("restart-epoll", "rolling restart by command and HUP, event loop")
def restart_epoll(r):
    rolling(r, "epoll-all", [restart_by_command, restart_by_signal], r.pick(20, 2), r.pick(100000, 0))


@row("restart-parallel", "rolling restart, --parallel 3, epoll then one")
def restart_parallel(r):
    rolling(r, "epoll-sync", [lambda pool: restart_by_command(pool, "--parallel", "3")], r.pick(5, 1))


def bad_restart(r, how, timeout):
    command = ["python3", VICTIM, how, "{host}", "{port}", "{folder}"]
    with Pool(command, options=["--start-timeout", str(timeout)]) as pool:
        load = pool.load(rate=200)
        for _ in range(r.pick(5, 1)):
            old = pool.pids()
            open(pool.path("broken"), "w", encoding="ascii").close()
            answer = pool.sshim_says("restart")
            r.expect(answer.returncode == 1, f"the exit code of restart is {answer.returncode}")
            r.expect("aborted" in answer.stdout and "slot" in answer.stdout,
                     f"restart says {answer.stdout.strip()}")
            r.expect(pool.pids() == old, f"an old worker is gone: {old} became {pool.pids()}")
            os.unlink(pool.path("broken"))
            r.did()
        restart_by_command(pool)
        wait_for(lambda: all_new(pool, old), "a good one goes through after all")
        r.count(load.finish())
        r.account(pool)


@row("restart-empty", "restart while a slot is empty, to a server that ends at once")
def restart_empty(r):
    """The successor in the empty slot fails; the slot must not stay empty for ever."""
    with Pool(["python3", VICTIM, "dies", "{host}", "{port}", "{folder}"]) as pool:
        load = pool.load(rate=200)
        wait_for(lambda: all(worker["accepted"] for worker in pool.workers_now()), "all have served")
        open(pool.path("broken"), "w", encoding="ascii").close()
        tools.send_signal(pool.pids()[0], signal.SIGKILL)
        wait_for(lambda: pool.state_of(0) == "backoff", "slot 0 is in back-off", pause=0.001)
        pool.sshim_says("restart")
        r.expect(len(pool.serving()) == 3, "the others do not serve")
        os.unlink(pool.path("broken"))
        wait_for(lambda: len(pool.serving()) == 4, "slot 0 is filled again", 60)
        r.count(load.finish(), 1)
        r.did()
        r.account(pool)


@row("restart-dies", "restart to a server that ends at once")
def restart_dies(r):
    bad_restart(r, "dies", 30)


@row("restart-late-dies", "restart to a server that ends later")
def restart_late_dies(r):
    bad_restart(r, "late-dies", 30)


@row("restart-hangs", "restart to a server that never listens")
def restart_hangs(r):
    bad_restart(r, "hangs", 2)


@row("restart-no-exec", "restart to a program that is gone")
def restart_no_exec(r):
    server = os.path.join(os.environ.get("BUILD", "build"), "bench", "server")
    pool = Pool(["{folder}/command", "blocking", "{address}"])
    subprocess.run(["cp", server, pool.path("command")], check=True)
    with pool:
        old = pool.pids()
        os.rename(pool.path("command"), pool.path("hidden"))
        load = pool.load(rate=200, seconds=1)
        answer = pool.sshim_says("restart")
        r.expect(answer.returncode == 1, f"the exit code of restart is {answer.returncode}")
        r.expect(pool.pids() == old, "an old worker is gone")
        r.count(load.finish(wait=True))
        r.did()
        r.account(pool)


@row("drain", "a long connection while its worker is replaced")
def drain(r):
    """It lives on in the old worker, which ends with it, or after --stop-timeout."""
    for closes in (True, False):
        with Pool("epoll-one", options=["--stop-timeout", "25" if closes else "1"]) as pool:
            client = socket.create_connection((pool.host, pool.port), 10)
            client.sendall(b"F")
            pid = int(client.recv(64)[1:5], 16)
            old = [worker for worker in pool.pids().values() if worker & 0xffff == pid][0]
            load = pool.load(rate=200)
            restart_by_command(pool, "--no-wait")
            time.sleep(0.3)
            result = load.finish()
            r.count(result)
            if closes:
                draining = [worker for worker in pool.workers_now() if worker["pid"] == old]
                r.expect(draining and draining[0]["state"] == "draining", f"status says {draining}")
                after = pool.load(rate=200, seconds=0.5).finish(wait=True)
                r.expect(f"{pid:04x}" not in after["workers"], "it got new connections")
                client.sendall(b"F")
                r.expect(int(client.recv(64)[1:5], 16) == pid, "the old connection is dead")
                client.close()
            took = wait_for(lambda: tools.is_gone(old), "the old worker ends", 15)
            r.expect(took < r.pick(8, 14), f"it ended after {took:.1f} s")
            client.close()
            r.did()
            r.account(pool)
