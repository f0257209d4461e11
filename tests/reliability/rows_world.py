"""The world around: logs that cannot be written, clocks that jump, strange clients, strangers."""
import fcntl
import glob
import os
import signal
import socket
import struct
import subprocess
import sys
import time

import tools
from load import latency_ms
from pool import Pool
from row import row
from rows_kill import prove_useful
from tools import wait_for

INTRUDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "progs", "intruder.py")


def crash_some(pool, times):
    """Something to log."""
    for _ in range(times):
        for pid in list(pool.pids().values())[:2]:
            if pid:
                tools.send_signal(pid, signal.SIGKILL)
        pool.wait_ready()
        prove_useful(pool)


def log_row(r, times, **options):
    with Pool("blocking", options=["-v"], **options) as pool:
        load = pool.load(clients=8)
        crash_some(pool, times)
        cpu = tools.cpu_share(pool.broker_pid(), 0.2)
        result = load.finish()
        r.count(result, 2 * times)
        r.expect(result["started"] / result["seconds"] > r.pick(50, 5), "dispatch is slow")
        r.expect(cpu < 0.9, f"the broker used {cpu:.0%}")
        r.did(times)
        r.account(pool)


@row("log-full", "stderr on a full disk")
def log_full(r):
    with open("/dev/full", "wb") as full:
        log_row(r, r.pick(10, 2), stderr=full)


@row("log-closed", "stderr closed")
def log_closed(r):
    log_row(r, r.pick(10, 2), before=["sh", "-c", 'exec "$@" 2>&-', "sh"])


@row("log-blocked", "stderr a pipe that nobody reads")
def log_blocked(r):
    read_fd, write_fd = os.pipe()
    try:
        fcntl.fcntl(write_fd, fcntl.F_SETFL, os.O_NONBLOCK)
        try:
            while True:
                os.write(write_fd, b"x" * 4096)
        except BlockingIOError:
            pass
        fcntl.fcntl(write_fd, fcntl.F_SETFL, 0)
        log_row(r, r.pick(10, 2), stderr=write_fd)
    finally:
        os.close(read_fd)
        os.close(write_fd)


@row("log-hung-up", "stderr a pipe whose reader is gone")
def log_hung_up(r):
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    try:
        log_row(r, r.pick(10, 2), stderr=write_fd)
    finally:
        os.close(write_fd)


# --- clocks

def find_faketime():
    found = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    if not found:
        raise tools.Broken("libfaketime is not installed (Debian: libfaketime)")
    return found[0]


def set_clock(pool, text):
    with open(pool.path("clock.new"), "w", encoding="ascii") as file:
        file.write(text + "\n")
    os.rename(pool.path("clock.new"), pool.path("clock"))


def clock_pool():
    # a broker built with AddressSanitizer wants its library first
    pool = Pool("blocking", env={"ASAN_OPTIONS": "verify_asan_link_order=0",
                                 "LD_PRELOAD": find_faketime(), "FAKETIME_TIMESTAMP_FILE": "{folder}/clock",
                                 "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_RESET": "1",
                                 "FAKETIME_DONT_FAKE_MONOTONIC": "1"})
    set_clock(pool, "+0")
    return pool


@row("clock", "clock set forward and back by days (libfaketime)")
def clock(r):
    """The wall clock jumps; a worker that crashes is replaced as ever."""
    with clock_pool() as pool:
        load = pool.load(rate=200)
        for jump in ("+3d", "-3d", "+400d", "-400d", "+0")[:r.pick(5, 3)]:
            set_clock(pool, jump)
            pid = pool.pids()[0]
            tools.send_signal(pid, signal.SIGKILL)
            took = wait_for(lambda: pool.worker(0)["pid"] not in (0, pid)
                            and pool.state_of(0) in ("ready", "busy"), "slot 0 serves again")
            r.expect(took < r.pick(3, 15), f"after {jump} the slot served again after {took:.2f} s")
            r.expect(tools.cpu_share(pool.broker_pid(), 0.5) < 0.2, f"after {jump} the broker spins")
            r.did()
        r.count(load.finish(), r.times)
        r.account(pool)


@row("suspended", "broker suspended for a while")
def suspended(r):
    """Its timers are all late at once. Clients wait in the backlog or go to workers directly."""
    with Pool("epoll-one") as pool:
        broker = pool.broker_pid()
        for _ in range(r.pick(3, 1)):
            load = pool.load(rate=200)
            time.sleep(0.3)
            tools.stop_and_wait(broker)
            time.sleep(r.pick(10, 1))
            tools.send_signal(broker, signal.SIGCONT)
            time.sleep(0.5)
            r.count(load.finish(), gap=False)
            r.did()
        r.expect(set(pool.pids()) == {0, 1, 2, 3} and len(pool.serving()) == 4, "a worker is missing")
        r.account(pool)


@row("suspended-all", "broker, keeper and workers suspended for minutes")
def suspended_all(r):
    """As on a machine that was asleep, but that the clocks went on. Nobody is to blame for having stood still."""
    with Pool("blocking", options=["--stuck-warn", "1", "--stuck-kill", "2"]) as pool:
        pids, broker = pool.pids(), pool.broker_pid()
        everybody = [broker, pool.await_keeper(), *pids.values()]
        for _ in range(r.pick(2, 1)):
            load = pool.load(clients=8, mix="f5h5", timeout_ms=300000)
            time.sleep(0.3)
            for pid in everybody:
                tools.stop_and_wait(pid)
            time.sleep(r.pick(120, 3.5))
            for pid in r.rng.sample(everybody, len(everybody)):
                tools.send_signal(pid, signal.SIGCONT)
            time.sleep(0.5)
            cpu = tools.cpu_share(broker, 1)
            r.expect(cpu < 0.5, f"the broker used {cpu:.0%} of a core")
            r.count(load.finish(), gap=False)
            r.did()
        r.expect(pool.pids() == pids and len(pool.serving()) == 4, f"other workers: {pool.workers_now()}")
        r.expect("kill" not in pool.log(), f"the log says {pool.log()[-300:]}")
        r.account(pool)


# --- clients

def resetting_clients(r, pool):
    for _ in range(r.pick(10, 2)):
        pool.load(clients=50, more=["-b", "reset", "-n", "1000"], seconds=5).finish(wait=True)


def half_open(pool, number):
    """Connections of which the client's half is closed at once: an answer is still wanted."""
    clients = []
    for _ in range(number):
        client = socket.create_connection((pool.host, pool.port), 10)
        client.sendall(b"f")
        client.shutdown(socket.SHUT_WR)
        clients.append(client)
    right = sum(len(client.recv(64)) == 6 for client in clients)
    for client in clients:
        client.close()
    return right


def others_during(r, pool, begin):
    """begin() starts strange clients and returns what ends them; the others must not notice."""
    broker = pool.broker_pid()
    before = latency_ms(pool.load(rate=300, seconds=1).finish(wait=True), "p99")
    end = begin()
    load = pool.load(rate=300, seconds=r.pick(5, 1.5))
    cpu = tools.cpu_share(broker, r.pick(4, 1))
    result = load.finish(wait=True)
    end()
    r.count(result)
    r.did()
    p99 = latency_ms(result, "p99")
    r.expect(p99 < max(3 * before, before + r.pick(20, 1500)), f"p99 {p99:.1f} ms, before {before:.1f}")
    r.expect(cpu < 0.3, f"the broker used {cpu:.0%} of a core")
    r.account(pool)
    r.note(f"p99 {before:.1f} before, {p99:.1f} ms, broker {cpu:.1%}")


@row("silent-clients", "1,000 clients that connect and say nothing")
def silent_clients(r):
    with Pool("epoll-one") as pool:
        fds = tools.count_fds(pool.broker_pid())

        def begin():
            load = pool.load(clients=1000, more=["-b", "silent", "-n", "1000"])
            wait_for(lambda: sum(worker["active"] for worker in pool.workers_now()) >= 1000,
                     "1,000 are connected")
            return load.finish
        others_during(r, pool, begin)
        wait_for(lambda: tools.count_fds(pool.broker_pid()) <= fds + 2, "the broker's fds are as before")
        wait_for(lambda: sum(worker["active"] for worker in pool.workers_now()) == 0, "all are closed")


@row("reset-clients", "clients that reset at once")
def reset_clients(r):
    for mode in ("blocking", "epoll-all"):
        with Pool(mode) as pool:
            load = pool.load(rate=200)
            resetting_clients(r, pool)
            r.count(load.finish())
            r.did(r.pick(10000, 2000))
            r.account(pool)


@row("half-open", "clients that close their half at once")
def half_open_clients(r):
    for mode in ("blocking", "epoll-one"):
        with Pool(mode) as pool:
            number = r.pick(1000, 200)
            load = pool.load(rate=200)
            right = sum(half_open(pool, 20) for _ in range(number // 20))
            r.expect(right == number, f"only {right} of {number} were answered")
            r.count(load.finish())
            r.did(number)
            r.account(pool)


@row("vanished", "clients gone before their turn comes")
def vanished(r):
    """All workers busy; those who gave up meanwhile must cost nobody anything."""
    with Pool("blocking", workers=2) as pool:
        load = pool.load(rate=50, mix="h1", seconds=r.pick(5, 1.5))
        for _ in range(r.pick(50, 10)):
            clients = [socket.create_connection((pool.host, pool.port), 10) for _ in range(10)]
            for client in clients:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
            r.did(10)
            time.sleep(0.05)
        r.count(load.finish(wait=True))
        r.account(pool)


# --- strangers

@row("garbage", "garbage, wrong tokens, other uids on our sockets")
def garbage(r):
    with Pool("epoll-one") as pool:
        broker, pids = pool.broker_pid(), pool.pids()
        fds = tools.count_fds(broker)
        load = pool.load(rate=300, timeout_ms=20000)
        for number in range(r.pick(20, 2)):
            subprocess.run([sys.executable, INTRUDER, "garbage", pool.control,
                            str(r.rng.randrange(10 ** 6))], check=True, timeout=120)
            claim = subprocess.run([sys.executable, INTRUDER, "claim", pool.control], check=True,
                                   timeout=60, stdout=subprocess.PIPE, text=True).stdout
            r.expect(claim == "0 \n", f"a wrong token is told {claim}")
            other = dict(os.environ, INTRUDER_UID="65534")
            told = subprocess.run([sys.executable, INTRUDER, "command", pool.control, str(number % 5)],
                                  check=True, timeout=60, stdout=subprocess.PIPE, text=True, env=other)
            r.expect(told.stdout == "0 \n", f"another user is told {told.stdout}")
            r.did()
        r.count(load.finish())
        r.expect(pool.pids() == pids and pool.broker_pid() == broker, "somebody died")
        wait_for(lambda: tools.count_fds(broker) <= fds + 1, "no fd leaked")
        r.account(pool)
