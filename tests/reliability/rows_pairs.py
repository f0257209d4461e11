"""Two events at once, or one during or after the other, drawn by a seed from what happens to workers and what is done to
the broker. After each pair: every client accounted for, the state that the model tells, nothing left behind.
"""
import os
import subprocess
import sys
import time

import tools
from chaos import await_no_surplus
from pair import STOP_TIMEOUT_S, WORKERS, Pair
from pool import SERVER, VICTIM, Pool
from row import row
from tools import wait_for

SECONDS = 300  # of the full form
MODES = ("victim", "epoll-one", "epoll-all", "direct")

# The server is started by a script, so that a copy may start slowly, or not at all.
SCRIPT = """
[ -e "$1/slow" ] && sleep 0.7
[ -e "$1/broken" ] && exit 7
shift
exec "$@"
"""


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


def choose(rng, events):
    """PAIR=hang,restart takes these alone."""
    only = os.environ.get("PAIR", "").split(",")
    return rng.choice([event for event in events if event.__name__ in only] or events)


def one_pair(r, pool, mode):
    pair = Pair(r, pool, mode)
    pair.was_adopted = pool.broker_pid() != pool.process.pid
    first, second = r.rng.sample([choose(r.rng, Pair.WORKER), choose(r.rng, Pair.BROKER)], 2)
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
        SERVER, "-s", "epoll-sync" if mode == "direct" else mode, "{address}"]
    return ["/bin/sh", "-c", SCRIPT, "serve", "{folder}", *server]


def segment(r, mode, seconds):
    end = time.monotonic() + seconds
    options = ["-q", "--settle", "0", "--stop-timeout", str(STOP_TIMEOUT_S), "--handoff", "direct" if mode == "direct" else "auto"]
    with Pool(command_of(mode), workers=WORKERS, options=options) as pool:
        while time.monotonic() < end and not r.broken:
            one_pair(r, pool, mode)


@row("pairs", "two events at once: to a worker and to the broker")
def pairs(r):
    for mode in MODES:
        segment(r, mode, r.pick(SECONDS, 15) / len(MODES))
