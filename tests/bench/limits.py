"""What is not a race between sides: evenness, memory, wake-ups, start."""
import json
import os
import resource
import shlex
import statistics
import subprocess
import tempfile
import time

import measure
import sides


def row(what, value, limit, reached):
    return {"what": what, "value": value, "limit": limit, "reached": bool(reached)}


def load(port, *arguments):
    output = subprocess.run([sides.LOAD, *map(str, arguments), str(port)], stdout=subprocess.PIPE,
                            text=True, check=True).stdout
    return json.loads(output)


class Running:
    """A side for the length of a with statement."""

    def __init__(self, side):
        self.side = side

    def __enter__(self):
        self.side.start()
        return self.side

    def __exit__(self, *_):
        self.side.stop()


def even_long_lived(_options):
    rows = []
    for mode in ("epoll-one", "epoll-all"):
        for way, ramp in (("one by one", ["-R", "2000"]), ("all at once", [])):
            spreads = []
            for _ in range(3):
                with Running(sides.sshim("sshim", mode)) as side:
                    result = load(side.port, "-c", 64, "-n", 64, "-o", "-d", 0.6, *ramp)
                counts = list(result["workers"].values())
                spreads.append(max(counts) - min(counts) if len(counts) == 4 else 64)
            rows.append(row(f"64 long-lived connections {way}, 4 {mode} workers: max - min",
                            "/".join(map(str, spreads)), "<= 1", max(spreads) <= 1))
    return rows


def wait_for_open(side, count, seconds):
    """Until so many connections are open, or for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        text = subprocess.run([sides.SSHIM, "status", "--json", "--control", side.path("c.sock")],
                              stdout=subprocess.PIPE, text=True, check=True).stdout
        if sum(worker["active"] for worker in json.loads(text)["workers"]) >= count:
            return
        time.sleep(0.2)


def many_open(_options):
    with Running(sides.sshim("sshim", "epoll-all")) as side:
        load(side.port, "-c", 64, "-d", 1)
        broker = side.roots()[0]
        before = measure.resident_kib(broker)
        loads = [subprocess.Popen([sides.LOAD, "-c", "12500", "-n", "12500", "-o", "-s", "8", "-d", "90",
                                   str(side.port)], stdout=subprocess.PIPE, text=True)
                 for _ in range(4)]  # 20,000 open files are a common hard limit
        wait_for_open(side, 50000, 80)
        time.sleep(1)  # the last ones are accepted, and about to be answered
        grown = measure.resident_kib(broker) - before
        for process in loads:
            process.terminate()
        right = sum(json.loads(process.communicate()[0])["outcomes"]["right"] for process in loads)
    return [row(f"broker's memory with {right} connections open", f"+{grown} KiB", "<= 128 KiB",
                grown <= 128 and right == 50000)]


def wait_for_held(side, count, seconds):
    end = time.monotonic() + seconds
    held = 0
    while held < count and time.monotonic() < end:
        time.sleep(0.5)
        text = subprocess.run([sides.SSHIM, "status", "--json", "--control", side.path("c.sock")],
                              stdout=subprocess.PIPE, text=True, check=True).stdout
        held = json.loads(text)["listeners"][0]["held"]
    return held


def raise_file_limit(wanted):
    """As far as this user may; the broker holds a connection for each three of four files."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, wanted), max(hard, wanted)))
    except (OSError, ValueError):
        wanted = hard
    return wanted


def many_held(_options):
    count = min(50000, raise_file_limit(80000) * 3 // 4)
    side = sides.sshim("sshim", "epoll-all", 4, ["--hold", "line", "--hold-max", "65536", "--hold-timeout", "3600"])
    side.request = b"f\n"
    with Running(side):
        broker = side.roots()[0]
        before = measure.resident_kib(broker)
        loads = [subprocess.Popen([sides.LOAD, "-c", str(count // 4), "-n", str(count // 4), "-b", "silent", "-s", "8", "-t", "600000",
                                   "-d", "600", str(side.port)], stdout=subprocess.DEVNULL)
                 for _ in range(4)]  # 20,000 open files are a common hard limit
        held = wait_for_held(side, count, 80)
        each = (measure.resident_kib(broker) - before) * 1024 / max(1, held)
        for process in loads:
            process.kill()
            process.wait()
    return [row(f"broker's memory for each of {held} held connections", f"{each:.0f} bytes", "<= 160 bytes",
                each <= 160 and held == count)]


def idle(options):
    settle, seconds = (3, 5) if options.quick else (35, 60)  # one last look at stuck workers after 30 s
    with Running(sides.sshim("sshim", "epoll-one", 64)) as side:
        broker = side.roots()[0]
        load(side.port, "-c", 64, "-d", 0.5)
        time.sleep(settle)
        before = measure.wake_ups(broker)
        time.sleep(seconds)
        woken = measure.wake_ups(broker) - before
        resident = measure.resident_kib(broker)
    limit = 1536
    return [row(f"wake-ups of an idle broker with 64 workers in {seconds} s", woken, "0", woken == 0),
            row("its memory, without the C library's files", f"{resident} KiB", f"<= {limit} KiB", resident <= limit)]


PYTHON_SERVER = """import http.server, os, sys
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler)
os.write(1, b"l")
server.serve_forever()
"""
STARTERS = {"C": lambda port: [sides.SERVER, "-a", "epoll-one", str(port)],
            "Python": lambda port: ["python3", "-c", PYTHON_SERVER, str(port)]}


def start_by_sshim(side, count, command):
    return [sides.SSHIM, "run", "-q", "-w", str(count), "--control", side.path("c.sock"), "--",
            *command(sides.free_port())]


def start_plain(_side, count, command):
    """As many single copies, each on its own port."""
    ports = {sides.free_port() for _ in range(2 * count)}
    return ["sh", "-c", "\n".join(shlex.join(command(port)) + " &" for port in list(ports)[:count]) + "\nwait"]


def time_start(make, count, command):
    """Seconds until every copy has said on its output that its listen() has returned."""
    read_fd, write_fd = os.pipe()
    side = sides.Side("start", None)
    side.folder = tempfile.TemporaryDirectory(prefix="sshim-bench-")
    arguments = make(side, count, command)
    begun = time.monotonic()
    side.processes = [subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=write_fd,
                                       stderr=subprocess.DEVNULL)]
    os.close(write_fd)
    with os.fdopen(read_fd, "rb") as words:
        said = len(words.read(count))
        took = time.monotonic() - begun
    side.stop()
    if said < count:
        raise RuntimeError(f"only {said} of {count} copies have started")
    return took


def start(options):
    count = 16 if options.quick else 64
    rows = []
    for name, command in STARTERS.items():
        pairs = [(time_start(start_by_sshim, count, command), time_start(start_plain, count, command))
                 for _ in range(6)][1:]  # the first one warms up
        ratios = sorted(ours / plain for ours, plain in pairs)
        middle = ratios[len(ratios) // 2]
        seconds = "{:.3f} s, {:.3f} s".format(*(statistics.median(side) for side in zip(*pairs)))
        rows.append(row(f"start of {count} workers ({name}) against as many plain processes ({seconds})",
                        f"{middle:.2f} ({ratios[0]:.2f}-{ratios[-1]:.2f})", "<= 1.3", middle <= 1.3))
    return rows


LIMITS = {"even": even_long_lived, "many-open": many_open, "many-held": many_held, "idle": idle, "start": start}
QUICK = ("even", "idle")
