"""figures.py BUILD ROOT [SECONDS] - what attackers cost honest clients: each attack in turn beside an honest server of
the same pool, a hundred tries or SECONDS of it (5). Prints a table: honest connections before and during the attack,
their ratio, how many were lost, the longest turn of the broker's loop and how many took more than 50 ms (what it
waited for a processor is not counted), and files of root that changed. Run it as root, with nothing else on the
machine: an attacker that computes takes its share of the processors from the others.
"""
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

build, root = (os.path.abspath(p) for p in sys.argv[1:3])
seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 5
TURN_MS = 50
PYTHON = "exec env -u LD_PRELOAD /usr/bin/python3"
# Name and command of the attacker; {own}, {root}, {sticky}: folders. Each says "attacks" when it is under way or done.
WORKERS = {
    "sleeps in accept": "exec {b}/worker_sleeps_in_accept",
    "wide tree": "exec {b}/worker_trees wide 1000",
    "orphans": "exec {b}/worker_trees orphans 1000",
    "low ports": PYTHON + " {b}/worker_rights.py low 127.0.0.1 " + " ".join(map(str, range(1, 101))),
    "all names": PYTHON + " {b}/worker_rights.py many",
    "sockets of its own": PYTHON + " {b}/worker_rights.py again",
    "noise": PYTHON + " {b}/talk.py 1 {seconds}",
} | {
    f"files: {kind}": PYTHON + " {b}/worker_paths.py " + kind + " {own} {root} {sticky}"
    for kind in ("names", "others_folder", "sticky_folder", "unbound", "swapped_folder", "swapped_file", "wrong_kinds")
}
STRANGER = "stranger: lingering"


class Pool:
    def __init__(self, attack):
        self.top = tempfile.mkdtemp(prefix="sshim-figures.")
        os.chmod(self.top, 0o711)
        self.folders = {name: self.make_folder(name) for name in ("b", "own", "root", "sticky")}
        for source in (f"{build}/sshim", f"{build}/libsshim.so", f"{build}/tests/victim", f"{root}/tests/fuzz/talk.py"):
            shutil.copy(source, self.folders["b"])
        for name in os.listdir(f"{root}/tests/hostile"):
            source = f"{root}/tests/hostile/{name}" if name.endswith(".py") else f"{build}/tests/hostile/{name[:-2]}"
            if os.path.isfile(source):
                shutil.copy(source, self.folders["b"])
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = free.getsockname()
        script = f"{self.folders['b']}/server"
        with open(script, "w") as f:
            if attack:
                command = attack.format(**self.folders, seconds=seconds)
                f.write(f'[ "$SSHIM_WORKER_ID" = 1 ] || (until [ -e {self.top}/b/go ]; do sleep 0.1; done; {command}) &\n')
            f.write("exec %s/victim accept %s:%d\n" % (self.folders["b"], *self.address))
        self.log = open(f"{self.top}/log", "w+")
        self.broker = subprocess.Popen(
            [f"{self.folders['b']}/sshim", "run", "--control", f"{self.top}/c.sock", "-w", "3", "--user", "nobody", "--share", "all", "--", "sh", script],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT)
        self.await_text("3 of 3 workers are ready")
        self.turns = subprocess.Popen([f"{build}/tests/turns", str(self.broker.pid), str(TURN_MS)], stdout=subprocess.PIPE, text=True)
        self.turns.stdout.readline()

    def make_folder(self, name):
        path = f"{self.top}/{name}"
        os.mkdir(path)
        os.chmod(path, 0o1777 if name == "sticky" else 0o755)
        if name == "own":
            shutil.chown(path, "nobody")
        for i in range(100) if name in ("root", "sticky") else ():
            with socket.socket(socket.AF_UNIX) as s:
                s.bind(f"{path}/v{i}.sock")
        if name == "root":
            with open(f"{path}/shown", "w") as f:
                f.write("shown")
        return path

    def await_text(self, text):
        end = time.monotonic() + 60
        while text not in open(f"{self.top}/log").read():
            if time.monotonic() > end:
                sys.exit(f"not within 60 s: {text}\n" + open(f"{self.top}/log").read())
            time.sleep(0.05)

    def files(self):
        return {
            (path, name): (os.lstat(f"{path}/{name}").st_ino, hashlib.sha256(open(f"{path}/{name}", "rb").read()).digest() if name == "shown" else "")
            for path in (self.folders["root"], self.folders["sticky"]) for name in os.listdir(path) if os.lstat(f"{path}/{name}").st_uid == 0}

    def honest(self, until):
        """Connections a second, and how many were lost."""
        done = lost = 0
        begin = time.monotonic()
        while not until(time.monotonic() - begin):
            try:
                with socket.create_connection(self.address, timeout=20) as s:
                    done += s.makefile().readline().startswith("pid=")
            except OSError:
                lost += 1
        return done / (time.monotonic() - begin), lost

    def end(self):
        self.turns.send_signal(signal.SIGTERM)
        turns = self.turns.communicate()[0].split()
        self.broker.send_signal(signal.SIGTERM)
        self.broker.wait()
        return int(turns[1]), int(turns[3])


def measure(name, attack):
    pool = Pool(attack)
    before_files = pool.files()
    before, lost_before = pool.honest(lambda passed: passed > seconds)
    stranger = None
    if attack:
        open(f"{pool.top}/b/go", "w").close()
    else:
        lines = open("/proc/net/unix").read().splitlines()
        rendezvous = next(line.split("@")[1] for line in lines if line.endswith(f":{pool.top}/c.sock") and "@sshim:" in line)
        stranger = subprocess.Popen([f"{pool.folders['b']}/stranger_sends_lingering", "100"], stdout=subprocess.PIPE, env=os.environ | {"SSHIM_RENDEZVOUS": rendezvous})
    during, lost = pool.honest(lambda passed: passed > seconds)
    if stranger:
        stranger.wait()
    longest, over = pool.end()
    touched = sum(pool.files().get(key) != value for key, value in before_files.items())
    print(f"{name:24} {before:8.0f} {during:8.0f} {during / before:6.2f} {lost_before + lost:6} {longest:8} {over:6} {touched:7}", flush=True)
    shutil.rmtree(pool.top)


print(f"{'attack':24} {'before/s':>8} {'during/s':>8} {'ratio':>6} {'lost':>6} {'turn ms':>8} {'>50 ms':>6} {'touched':>7}")
measure(STRANGER, None)
for attack_name, attack_command in WORKERS.items():
    measure(attack_name, attack_command)
