#!/usr/bin/python3
"""parity.py [NAME...]: nothing that a server does to its shared address goes past the library.

Runs recipes of real servers ($SERVERS) and the victims of tests/progs, two copies each, under strace, and compares
what the kernel saw on the shared port with what the library counted:
  bind    of a stream socket to the shared port is made by the broker alone: none in a copy
  listen  on such a socket: none but on the hidden canonical socket (with --handoff direct it is the server's own)
  accept  that succeeds: as many as the broker's status tells as taken directly; none on a channel, which the kernel refuses
Each connection of a client must also have been handed over, or taken directly. One line a server, then
"N passed, N failed, N skipped"; a skip is a server that is not installed. $PARITY_OPTIONS: more options of sshim run.
"""
import concurrent.futures
import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
SERVERS = os.environ.get("SERVERS", os.path.join(ROOT, "tests/servers"))
PROBES = 6
START_SECONDS = 40
HIDDEN_FROM = 900  # the library's own descriptors lie above, the servers' below
OPTIONS = os.environ.get("PARITY_OPTIONS", "").split()
STREAM = "bind,listen,accept,accept4,io_uring_setup"
VICTIMS = [("victim_fd", "fd0"), ("victim_fd", "close-above-range"), ("victim_fd", "dup2-away"),
           ("victim_accept", "interrupted"), ("victim_listen", "twice"), ("victim_listen", "shutdown"),
           ("victim_proc", "reexec"), ("victim_proc", "passed"), ("victim_proc", "daemon-between"),
           ("victim_proc", "vfork"), ("victim_proc", "prefork"), ("victim_wait", "epoll-edge-before-listen"),
           ("victim_wait", "past-epoll"), ("victim_wait", "threads"), ("victim_wait", "poll-apart")]

CALL = re.compile(r"^(\d+) +(?:[\d.]+ )?(\w+)\((.*)\) += (-?\d+)(?:<([^>]*(?:->[^>]*)?)>)?(?: (E\w+))?")
FIRST_FD = re.compile(r"^(\d+)<([A-Za-z0-9-]+):\[")


class Skip(Exception):
    pass


def free_port():
    with socket.socket() as s:
        while True:
            port = 10000 + int.from_bytes(os.urandom(2), "big") % 20000
            try:
                s.bind(("", port))
                return port
            except OSError:
                pass


class Recipe:
    def __init__(self, path):
        self.path, self.name = path, os.path.basename(path)[:-3]
        header = open(path).read(500).splitlines()[1]
        self.grade = re.search(r"class: *(\w)", header)[1]
        self.packages = re.search(r"debian: *(\S+)", header)[1].split("+")

    def command(self, port):
        for package in self.packages:
            done = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status}", package], capture_output=True)
            if done.stdout != b"installed":
                raise Skip(f"{package} is not installed")
        return ["sh", self.path, "start", str(port)]

    def probe(self, port):
        return subprocess.run(["sh", self.path, "probe", str(port)], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=20).returncode == 0


class Victim:
    def __init__(self, program, mode):
        self.program, self.mode, self.name = program, mode, f"{program} {mode}"

    def command(self, port):
        return [f"{BUILD}/tests/progs/{self.program}", self.mode, str(port)]

    def probe(self, port):
        try:
            with socket.create_connection(("127.0.0.1", port), 10) as client:
                client.settimeout(10)
                client.sendall(b"ping\n")
                return client.recv(100).endswith(b" ok\n")
        except OSError:
            return False


def whole_lines(path):
    """A call that another process interrupted is written in two pieces."""
    begun = {}
    with open(path, errors="replace") as trace:
        for line in trace:
            pid, _, rest = line.strip().partition(" ")
            if rest.endswith("<unfinished ...>"):
                begun[pid] = rest[:-len("<unfinished ...>")].strip()
                continue
            resumed = re.match(r" *<\.\.\. \w+ resumed>(.*)", rest)
            yield f"{pid} {begun.pop(pid, '') + resumed[1] if resumed else rest.strip()}"


def past_the_library(path, port):
    """(what went past, accepts that succeeded on the shared port)"""
    past, accepted = [], 0
    for line in whole_lines(path):
        call = CALL.match(line)
        first = call and FIRST_FD.match(call[3])
        if not first:
            continue
        _, name, arguments, result, made, error = call.groups()
        fd, kind, worked = int(first[1]), first[2], int(result) >= 0
        on_channel = kind.startswith("UNIX") and error == "EINVAL"
        if name.startswith("accept"):
            accepted += worked and bool(made) and f":{port}-" in made
        elif name == "bind":
            on_channel = False
        if on_channel or (worked and kind.startswith("TCP") and (
                (name == "bind" and f"htons({port})" in arguments) or
                (name == "listen" and fd < HIDDEN_FROM and f":{port}]" in arguments and "direct" not in OPTIONS))):
            past.append(name)
    return past, accepted


def status(control):
    done = subprocess.run([BUILD + "/sshim", "status", "--json", "--control", control], capture_output=True)
    listeners = json.loads(done.stdout)["listeners"] if done.returncode == 0 else []
    return [sum(one[key] for one in listeners) for key in ("connections", "direct")]


def wait_ready(process, ready, subject, port):
    """Ready, or answering though no copy ever said so."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        if os.path.getsize(ready) or subject.probe(port):
            return True
        time.sleep(0.2)
    return False


def settle(process, control):
    """The counts, when they have stopped moving."""
    counts, seen = status(control), None
    while counts != seen and process.poll() is None:
        time.sleep(0.3)
        counts, seen = status(control), counts
    return counts


def measure(subject, folder, port):
    control, ready, trace = (f"{folder}/{name}" for name in ("c.sock", "ready", "trace"))
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SSHIM_", "LD_PRELOAD"))}
    environment.update(TMPDIR=folder, HOME=folder, PARITY=folder)
    command = [BUILD + "/sshim", "run", "-w", "2", "--control", control, "--stop-timeout", "5", "--start-timeout", "30", "--ready-fd", "9",
               *OPTIONS, "--", "strace", "-D", "-f", "-qq", "-yy", "-e", f"trace={STREAM}", "-e", "signal=none", "-A", "-o", trace + "{id}", *subject.command(port)]
    with open(ready, "w"), open(folder + "/log", "w") as log:
        process = subprocess.Popen(["sh", "-c", 'exec 9>"$0"; exec "$@"', ready, *command], env=environment, stdout=log,
                                   stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        if not wait_ready(process, ready, subject, port):
            return [f"does not start: {open(folder + '/log').read()[-300:]}"], [], 0, 0, 0
        answered = sum(subject.probe(port) for _ in range(PROBES))
        connections, direct = settle(process, control)
    finally:
        subprocess.run([BUILD + "/sshim", "stop", "--control", control], capture_output=True, timeout=60)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    past, accepted = [], 0
    for path in glob.glob(trace + "*"):
        some, count = past_the_library(path, port)
        past, accepted = past + some, accepted + count
    wrong = [] if answered == PROBES else [f"{PROBES - answered} of {PROBES} probes failed"]
    if connections < answered:
        wrong.append(f"{answered} probes, but {connections} connections were counted")
    return wrong, past, accepted, connections, direct


def kill_marked(folder):
    """What a server that went its own way has left."""
    for path in glob.glob("/proc/[0-9]*/environ"):
        try:
            if f"PARITY={folder}\0".encode() in open(path, "rb").read():
                os.kill(int(path.split("/")[2]), signal.SIGKILL)
        except (OSError, PermissionError):
            pass


def judge(subject):
    folder = tempfile.mkdtemp(prefix="parity.")
    os.chmod(folder, 0o755)
    try:
        wrong, past, accepted, connections, direct = measure(subject, folder, free_port())
        for name in sorted(set(past)):
            wrong.append(f"{past.count(name)} {name} went past the library")
        if accepted != direct:
            wrong.append(f"{accepted} accepts in the kernel, {direct} known to the library")
        told = "; ".join(wrong) or f"{connections} connections, {direct} of them taken directly; nothing went past"
        return "FAIL" if wrong else "pass", told
    except Skip as reason:
        return "skip", str(reason)
    finally:
        kill_marked(folder)
        shutil.rmtree(folder, ignore_errors=True)


def subjects(names):
    recipes = [Recipe(path) for path in sorted(glob.glob(SERVERS + "/*.sh")) if not path.endswith("-udp.sh")]
    everything = [one for one in recipes if one.grade in "AB"] + [Victim(*one) for one in VICTIMS]
    if not names:
        return everything
    known = {one.name: one for one in everything}
    for name in names:
        if name not in known and " " not in name:
            sys.exit(f"there is no recipe {name} in {SERVERS}; set SERVERS")
    return [known[name] if name in known else Victim(*name.split(" ")) for name in names]


def main():
    counts = {"pass": 0, "FAIL": 0, "skip": 0}
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS", "2"))) as pool:
        for subject, (verdict, told) in pool.map(lambda one: (one, judge(one)), subjects(sys.argv[1:])):
            print(f"{subject.name:35} {verdict}  {told}", flush=True)
            counts[verdict] += 1
    print("{pass} passed, {FAIL} failed, {skip} skipped".format(**counts))
    return 0 if counts["pass"] and not counts["FAIL"] else 1


if __name__ == "__main__":
    sys.exit(main())
