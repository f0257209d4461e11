"""Workers that are killed."""
import signal
import socket
import time

import tools
from pool import Pool
from row import row
from tools import wait_for

AGAIN_S = 1.0


def replaced(pool, slot, old_pid):
    worker = pool.worker(slot)
    return worker and worker["pid"] not in (0, old_pid) and worker["state"] in ("ready", "busy")


def await_replacement(r, pool, slot, pid):
    """The slot serves again within a second; on a busy machine the short form allows more."""
    took = wait_for(lambda: replaced(pool, slot, pid), f"slot {slot} serves again", 20)
    r.expect(took <= r.pick(AGAIN_S, 15), f"slot {slot} served again after {took:.2f} s only")
    return took


def kill_random(r, mode, in_service, times=100, options=(), young_s=0):
    """in_service(pool, pid) kills and returns how many connections it had in service at most; none is killed so young."""
    slowest = allowed = 0
    with Pool(mode, options=options) as pool:
        load = pool.load(clients=8, mix="f9l1")
        for _ in range(r.pick(times, 10)):
            slot = r.rng.randrange(4)
            pid = pool.pids()[slot]
            time.sleep(young_s + r.rng.random() * 0.05)
            allowed += in_service(pool, pid)
            slowest = max(slowest, await_replacement(r, pool, slot, pid))
            r.did()
        r.count(load.finish(), allowed)
        r.account(pool)
    r.note(f"{r.failed} of {allowed} in service; again after {slowest * 1000:.0f} ms")


def kill_one_at_a_time(_, pid):
    """A server that serves one after the other has one in service at most."""
    tools.send_signal(pid, signal.SIGKILL)
    return 1


def kill_frozen(pool, pid):
    """Frozen first, so that what it has in service can be counted. Not by SIGSTOP: if the broker is killed in the same
    moment, the kernel ends a stopped worker before it is counted."""
    try:
        frozen = tools.Frozen(pid)
    except OSError:  # it is gone
        return 0
    held = tools.connections_of(pid, pool.port)
    frozen.kill()
    return held


@row("kill-blocking", "kill -9 of a worker, blocking accept")
def kill_blocking(r):
    kill_random(r, "blocking", kill_one_at_a_time)


@row("kill-epoll-sync", "kill -9 of a worker, epoll then one connection")
def kill_epoll_sync(r):
    kill_random(r, "epoll-sync", kill_one_at_a_time)


@row("kill-epoll", "kill -9 of a worker, event loop")
def kill_epoll(r):
    kill_random(r, "epoll-one", kill_frozen)


@row("kill-epoll-all", "kill -9 of a worker, event loop until EAGAIN")
def kill_epoll_all(r):
    kill_random(r, "epoll-all", kill_frozen)


def ask(address):
    client = socket.create_connection(address, 10)
    client.sendall(b"f")
    return client


def answer(client):
    """The low 16 bits of the pid that answered, None when there was no answer."""
    try:
        data = client.recv(64)
    except OSError:
        data = b""
    client.close()
    return int(data[1:5], 16) if len(data) == 6 and data[:1] == b"f" else None


def prove_useful(pool):
    """A worker that ends before it has accepted anything is started again ever later."""
    wait_for(lambda: pool.load(clients=4, seconds=0.1).finish(wait=True)
             and all(worker["accepted"] for worker in pool.workers_now()), "every worker has served")


def kill_between(r, mode, stop, kill):
    """Every worker but one is pinned down, the last has the offer in its channel when it dies."""
    with Pool(mode, workers=2, options=["--accept-timeout", "10000", "--handoff", "broker"]) as pool:
        for _ in range(r.pick(20, 4)):
            prove_useful(pool)
            pids = pool.pids()
            slot = r.rng.randrange(2)
            held = stop(pids[slot])
            clients = [ask((pool.host, pool.port)) for _ in range(4)]
            time.sleep(0.05)  # an offer that is not taken stays where it is: nothing to wait for
            kill(held, pids[slot])
            answers = [answer(client) for client in clients]
            r.tried += len(answers)
            r.failed += answers.count(None)
            r.lost += answers.count(None)
            r.expect(None not in answers, f"{answers.count(None)} of 4 were lost")
            r.expect(pids[slot] & 0xffff not in answers, "the dead worker answered")
            wait_for(lambda: replaced(pool, slot, pids[slot]), "the slot serves again")
            r.did()
        taken_back = sum(listener["recalled"] for listener in pool.status()["listeners"])
        r.expect(stop is not tools.Frozen or taken_back >= r.times, "nothing was in the channel")
        r.account(pool)


@row("kill-sent-blocking", "kill -9 between send and accept, blocking accept")
def kill_sent_blocking(r):
    kill_between(r, "blocking", tools.Frozen, lambda frozen, _: frozen.kill())


@row("kill-sent-epoll", "kill -9 between send and accept, event loop")
def kill_sent_epoll(r):
    kill_between(r, "epoll-one", tools.Frozen, lambda frozen, _: frozen.kill())


@row("kill-sent-stopped", "SIGSTOP, connections, kill -9")
def kill_sent_stopped(r):
    kill_between(r, "epoll-one", tools.stop_and_wait,
                 lambda _, pid: tools.send_signal(pid, signal.SIGKILL))


@row("kill-all", "all workers killed at once")
def kill_all(r):
    allowed = 0
    with Pool("blocking") as pool:
        load = pool.load(rate=500)
        for _ in range(r.pick(20, 3)):
            pids = pool.pids()
            for pid in pids.values():
                tools.send_signal(pid, signal.SIGKILL)
            allowed += len(pids)
            wait_for(lambda: all(replaced(pool, slot, pid) for slot, pid in pids.items()),
                     "all slots serve again")
            r.did()
        r.count(load.finish(), allowed)
        r.account(pool)
