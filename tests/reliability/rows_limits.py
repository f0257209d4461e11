"""The system is short of something: descriptors, references in flight, buffers, processes."""
import os
import shutil
import signal
import subprocess
import sys
import time

import tools
from pool import Pool
from row import row
from tools import wait_for

STRANGER = 41000 + os.getpid() % 10000  # a uid that nobody else uses: its limits are ours alone
BUSY = 0.05  # of a core: what a broker that pauses may use
ROOM_FD = 12  # a reference server uses half of these itself


def as_stranger(*more):
    return ["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups", *more]


def more_clients_than_room(r, pool, allowed):
    """60 clients hold what they get until the limit of each worker is raised again."""
    load = pool.load(clients=60, seconds=r.pick(6, 4), timeout_ms=30000,
                     more=["-n", "60", "-o", "-k", "1"])
    pids = pool.pids().values()
    wait_for(lambda: all(tools.lowest_free_fd(pid) >= ROOM_FD for pid in pids), "the workers are full")
    time.sleep(r.pick(2, 0.5))
    r.expect(sum(worker["active"] for worker in pool.workers_now()) <= 4 * ROOM_FD, "no limit")
    for pid in pids:
        tools.limit_fds(pid, 1024)
    result = load.finish(wait=True)
    r.count(result, allowed, gap=False)
    r.expect(result["outcomes"]["right"] >= 60 - allowed, f"of 60: {result['outcomes']}")
    r.did()


@row("worker-nofile", "workers at RLIMIT_NOFILE")
def worker_nofile(r):
    for mode in ("epoll-one", "epoll-all"):
        for _ in range(r.pick(3, 1)):
            with Pool(mode, before=["prlimit", f"--nofile={ROOM_FD}:4096"]) as pool:
                more_clients_than_room(r, pool, 0)
                r.expect(pool.lost_offers() == 0, f"{pool.lost_offers()} offers were lost")
                r.account(pool)


@row("worker-nofile-lowered", "RLIMIT_NOFILE of workers lowered from outside")
def worker_nofile_lowered(r):
    """The library cannot see that before one connection is lost: one a worker, no more."""
    with Pool("epoll-one") as pool:
        for pid in pool.pids().values():
            tools.limit_fds(pid, ROOM_FD)
        more_clients_than_room(r, pool, 4)
        r.expect(pool.lost_offers() <= 4, f"{pool.lost_offers()} offers were lost")
        r.account(pool)


def short_of_something(r, pool, begin, message, seconds):
    """Load, shortage for a while, and again enough; the broker must wait and say so once."""
    broker = pool.broker_pid()
    fds = tools.count_fds(broker)
    load = pool.load(rate=200, timeout_ms=60000)
    time.sleep(0.3)
    end = begin(broker)
    time.sleep(0.3)
    cpu = tools.cpu_share(broker, seconds)
    end()
    time.sleep(r.pick(2, 1))
    result = load.finish()
    r.count(result)
    r.did()
    r.expect(cpu < BUSY or r.quick and cpu < 4 * BUSY, f"the broker used {cpu:.1%} of a core")
    r.expect(pool.log().count(message) == 1, f"'{message}' is told {pool.log().count(message)} times")
    wait_for(lambda: tools.count_fds(broker) <= fds + 2, "the broker's fds are as before")
    r.account(pool)
    r.note(f"broker {cpu:.1%} of a core")


def at_fd_limit(broker):
    """The lowest free number is out of bounds, so that not one more can be had."""
    old = tools.limit_fds(broker, tools.lowest_free_fd(broker))
    return lambda: tools.limit_fds(broker, old)


@row("broker-nofile", "broker at RLIMIT_NOFILE")
def broker_nofile(r):
    for mode in ("epoll-one", "blocking"):
        with Pool(mode, options=["--handoff", "broker"]) as pool:
            # status needs a descriptor too: it is asked after the shortage
            short_of_something(r, pool, at_fd_limit, "cannot accept a connection", r.pick(4, 1))


FILLER = """
import array, os, resource, socket, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
os.setgroups([]); os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[1]))
pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(4)]
for _ in range(200):
    pairs[_ % 4][0].sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))])
print("full", flush=True)
sys.stdin.read()
"""


def fill_references(_):
    """So many descriptors of this user are on their way that the kernel permits no more."""
    filler = subprocess.Popen([sys.executable, "-c", FILLER, str(STRANGER)], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE)
    filler.stdout.readline()

    def end():
        filler.stdin.close()
        filler.wait()
    return end


@row("too-many-refs", "ETOOMANYREFS, not root, RLIMIT_NOFILE 64")
def too_many_refs(r):
    with Pool("epoll-one", owner=STRANGER, options=["--handoff", "broker"],
              before=as_stranger("prlimit", "--nofile=64:64")) as pool:
        short_of_something(r, pool, fill_references, "cannot pass on a connection", r.pick(4, 1))


def failing_call(call, error):
    def begin(broker):
        tracer = subprocess.Popen(["strace", "-qq", "-o", "/dev/null", "-p", str(broker), "-e",
                                   f"trace={call}", "-e", f"inject={call}:error={error}"],
                                  stderr=subprocess.PIPE)
        wait_for(lambda: traced(broker) or tracer.poll() is not None, "strace is at work")

        def end():
            tracer.terminate()
            tracer.communicate()
        return end
    return begin


def traced(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return any(line.startswith("TracerPid:") and line.split()[1] != "0" for line in file)


@row("enobufs", "ENOBUFS and ENOMEM of accept4 and sendmsg")
def enobufs(r):
    cases = [("accept4", "ENOBUFS", "accept"), ("accept4", "ENOMEM", "accept"),
             ("sendmsg", "ENOBUFS", "pass on"), ("sendmsg", "ENOMEM", "pass on")]
    for call, error, verb in cases:
        with Pool("epoll-one", options=["--handoff", "broker"]) as pool:
            short_of_something(r, pool, failing_call(call, error), f"cannot {verb} a connection",
                               r.pick(3, 0.5))


# --- starting workers

def count_lines(path):
    try:
        with open(path, encoding="ascii") as file:
            return sum(1 for _ in file)
    except OSError:
        return 0


def limit_processes(pid, soft):
    """As the user whose process it is: what another one may limit is a matter of capabilities."""
    subprocess.run(as_stranger("prlimit", f"--nproc={soft}:", "--pid", str(pid)), check=True)


@row("fork-fails", "fork fails (RLIMIT_NPROC)")
def fork_fails(r):
    with Pool("blocking", owner=STRANGER, before=as_stranger()) as pool:
        broker = pool.broker_pid()
        load = pool.load(rate=200)
        for starter in (broker, pool.await_helper("sshim-deputy")):
            limit_processes(starter, 1)
        pid = pool.pids()[1]
        tools.send_signal(pid, signal.SIGKILL)
        wait_for(lambda: pool.state_of(1) == "backoff" and "worker 1" in pool.log(), "it is in back-off")
        cpu = tools.cpu_share(broker, r.pick(4, 1))
        r.expect(cpu < 4 * BUSY, f"the broker used {cpu:.1%} of a core")
        r.expect(len(pool.serving()) == 3, "the others do not serve")
        for starter in (broker, pool.await_helper("sshim-deputy")):
            limit_processes(starter, 4000)
        wait_for(lambda: len(pool.serving()) == 4, "the slot is filled again", 40)
        r.count(load.finish(), 1)
        r.did()
        r.account(pool)


@row("exec-fails", "the command can be executed no more, later again")
def exec_fails(r):
    pool = Pool(["{folder}/command", "blocking", "{address}"])
    shutil.copy(os.path.join(os.environ.get("BUILD", "build"), "bench", "server"), pool.path("command"))
    with pool:
        load = pool.load(rate=200)
        os.rename(pool.path("command"), pool.path("hidden"))
        pid = pool.pids()[1]
        tools.send_signal(pid, signal.SIGKILL)
        wait_for(lambda: pool.state_of(1) == "backoff" and "worker 1" in pool.log(), "it is in back-off")
        time.sleep(r.pick(3, 0.5))
        r.expect(len(pool.serving()) == 3, "the others do not serve")
        os.rename(pool.path("hidden"), pool.path("command"))
        wait_for(lambda: len(pool.serving()) == 4, "the slot is filled again", 40)
        r.count(load.finish(), 1)
        r.did()
        r.account(pool)


@row("never-starts", "a command that ends at once, from the beginning")
def never_starts(r):
    for command, code in ((["sh", "-c", "exit 7"], 3), (["{folder}/none"], 127), (["/etc/passwd"], 126)):
        pool = Pool(command)
        pool.launch()
        try:
            r.expect(pool.process.wait(timeout=60) == code,
                     f"{command}: exit code {pool.process.returncode}, not {code}")
            r.expect(len(pool.log().splitlines()) <= 1 + 3 * 4, f"it says too much: {pool.log()}")
            pool.check_nothing_left()
        finally:
            pool.end_all()
        r.did()


@row("crash-loop", "a command that later ends at once, for a minute")
def crash_loop(r):
    script = 'echo >>{folder}/starts.$SSHIM_WORKER_ID; test -e {folder}/broken && exit 7; exec "$@"'
    server = os.path.join(os.environ.get("BUILD", "build"), "bench", "server")
    with Pool(["sh", "-c", script, "sh", server, "blocking", "{address}"]) as pool:
        open(pool.path("broken"), "w", encoding="ascii").close()
        load = pool.load(rate=200)
        tools.send_signal(pool.pids()[0], signal.SIGKILL)
        tools.send_signal(pool.pids()[1], signal.SIGKILL)
        time.sleep(r.pick(60, 4))
        starts = max(count_lines(pool.path(f"starts.{slot}")) - 1 for slot in (0, 1))
        r.expect(1 <= starts <= r.pick(20, 8), f"{starts} starts of one slot")
        r.expect(pool.log().count("keeps failing") <= 2, "told more than once")
        os.unlink(pool.path("broken"))
        r.count(load.finish(), 2)
        wait_for(lambda: len(pool.serving()) == 4, "the slots are filled again", 60)
        r.did(2)
        r.note(f"{starts} starts of a slot")
        r.account(pool)
