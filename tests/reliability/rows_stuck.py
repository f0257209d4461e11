"""Workers that live on and do not serve: stopped, hung, deaf, mad."""
import signal
import socket
import time

import tools
from load import latency_ms
from pool import VICTIM, Pool
from row import row
from tools import wait_for

STUCK_RATE = 300


def p99_before(pool, seconds):
    return latency_ms(pool.load(rate=STUCK_RATE, seconds=seconds, mix="l1").finish(wait=True), "p99")


def stop_one(r, mode):
    """The stopped worker's own connections wait for it; everybody else must not notice."""
    seconds = r.pick(5, 2)
    with Pool(mode) as pool:
        before = p99_before(pool, seconds)
        for _ in range(r.pick(4, 1)):
            slot = r.rng.randrange(4)
            pid = pool.pids()[slot]
            load = pool.load(rate=STUCK_RATE, seconds=seconds + 0.5, mix="l1")
            time.sleep(0.5)
            tools.send_signal(pid, signal.SIGSTOP)
            seen = wait_for(lambda: pool.state_of(slot) == "stuck", "status says stuck", 5)
            time.sleep(seconds - seen)
            tools.send_signal(pid, signal.SIGCONT)
            wait_for(lambda: pool.state_of(slot) in ("ready", "busy"), "it is ready again", 5)
            result = load.finish(wait=True)
            r.count(result)
            p99, p999 = latency_ms(result, "p99"), latency_ms(result, "p999")
            r.expect(p99 <= max(2 * before, before + r.pick(5, 1500)),
                     f"p99 {p99:.1f} ms, before {before:.1f} ms")
            r.expect(p999 <= 200 or r.quick, f"offers came to others after {p999:.0f} ms only")
            accepted = pool.worker(slot)["accepted"]
            wait_for(lambda: pool.load(rate=STUCK_RATE, seconds=0.2).finish(wait=True)
                     and pool.worker(slot)["accepted"] > accepted, "it serves again", 10)
            r.did()
        r.account(pool)
    r.note(f"p99 {before:.1f} before, {p99:.1f} ms")


@row("stopped-blocking", "SIGSTOP for 5 s, blocking accept")
def stopped_blocking(r):
    stop_one(r, "blocking")


@row("stopped-epoll", "SIGSTOP for 5 s, event loop")
def stopped_epoll(r):
    stop_one(r, "epoll-one")


def pin(pool):
    """A request that does not end: the server waits for its client's next word."""
    client = socket.create_connection((pool.host, pool.port), 10)
    client.sendall(b"F")
    return client, int(client.recv(64)[1:5], 16)


def never_returns(r, mode):
    with Pool(mode) as pool:
        before = p99_before(pool, 1)
        pinned = [pin(pool) for _ in range(3)]
        r.expect(len({pid for _, pid in pinned}) == 3, "a busy worker got a second connection")
        result = pool.load(rate=STUCK_RATE, seconds=r.pick(5, 1), mix="l1").finish(wait=True)
        r.count(result)
        r.expect(set(result["workers"]).isdisjoint(f"{pid:04x}" for _, pid in pinned),
                 "a worker that is pinned answered")
        # busy, or stuck once it left untaken several offers that it was tried with
        states = [worker["state"] for worker in pool.workers_now()]
        r.expect(len(states) - states.count("ready") >= 3, f"status says {states}, three of them are pinned")
        for client, _ in pinned:
            client.close()
        wait_for(lambda: all(worker["state"] == "ready" for worker in pool.workers_now()), "all are back")
        r.did(3)
        r.account(pool)
        r.note(f"p99 {before:.1f} before, {latency_ms(result, 'p99'):.1f} ms with 1 of 4")


@row("pinned-blocking", "a request that never returns, blocking accept")
def pinned_blocking(r):
    never_returns(r, "blocking")


@row("pinned-epoll", "a request that never returns, epoll then one")
def pinned_epoll(r):
    never_returns(r, "epoll-sync")


def pinned_for_long(r, option, pinned_state):
    """One request of a pool under load does not end; pinned_state(pool, slot, pid) waits for what must come."""
    with Pool("blocking", options=[option, "1"]) as pool:
        load = pool.load(rate=100, mix="f9h1")
        for _ in range(r.pick(5, 1)):
            client, short_pid = pin(pool)
            slot, pid = next((slot, pid) for slot, pid in pool.pids().items() if pid & 0xffff == short_pid)
            wait_for(lambda: pinned_state(pool, slot, pid), f"{option} does what it says", 20)
            client.close()
            wait_for(lambda: len(pool.serving()) == 4, "all serve again", 20)
            r.did()
        r.count(load.finish())
        r.expect(sum(worker["restarts"] for worker in pool.workers_now())
                 == (r.times if option == "--stuck-kill" else 0), "a worker that was not pinned was replaced")
        r.account(pool)


@row("stuck-warn", "a request that never returns, --stuck-warn 1")
def stuck_warn(r):
    pinned_for_long(r, "--stuck-warn", lambda pool, slot, pid: pool.state_of(slot) == "stuck"
                    and f"worker {slot} (pid {pid})" in pool.log())


@row("stuck-kill", "a request that never returns, --stuck-kill 1")
def stuck_kill(r):
    pinned_for_long(r, "--stuck-kill", lambda pool, slot, pid: pool.pids()[slot] not in (0, pid))


def mad_worker(r, how, check):
    with Pool(["python3", VICTIM, how, "{host}", "{port}"], ready=3) as pool:
        broker = pool.broker_pid()
        fds = tools.count_fds(broker)
        load = pool.load(rate=200, seconds=r.pick(10, 2))
        cpu = tools.cpu_share(broker, r.pick(5, 1))
        result = load.finish(wait=True)
        r.count(result)
        r.did()
        check(pool, result)
        r.expect(latency_ms(result, "p99") < r.pick(300, 3000), f"p99 {latency_ms(result, 'p99'):.0f} ms")
        r.expect(cpu < 0.3, f"the broker used {cpu:.0%} of a core")
        wait_for(lambda: tools.count_fds(broker) <= fds + 4, "the broker's fds are as before")
        r.note(f"p99 {latency_ms(result, 'p99'):.1f} ms, broker {cpu:.1%}, slot 0 {pool.state_of(0)}")


def others_served(r, pool, result):
    others = {f"{pid & 0xffff:04x}" for slot, pid in pool.pids().items() if slot}
    r.expect(others <= set(result["workers"]), "not all the others served")


def is_told(r, pool, result, state):
    others_served(r, pool, result)
    r.expect(pool.state_of(0) == state,
             f"status calls it {pool.state_of(0)}")


@row("deaf", "a worker that waits and accepts nothing")
def deaf(r):
    mad_worker(r, "deaf", lambda pool, result: is_told(r, pool, result, "stuck"))


@row("closes", "a worker that closes its listener")
def closes(r):
    mad_worker(r, "closes", lambda pool, result: is_told(r, pool, result, "draining"))


@row("unlistens", "a worker that shuts its listener down")
def unlistens(r):
    mad_worker(r, "unlistens", lambda pool, result: is_told(r, pool, result, "draining"))


@row("mad-board", "a worker that overwrites its scoreboard")
def mad_board(r):
    mad_worker(r, "board", lambda pool, result: others_served(r, pool, result))


@row("mad-channel", "a worker that writes garbage and fds into its channel")
def mad_channel(r):
    mad_worker(r, "channel", lambda pool, result: others_served(r, pool, result))
