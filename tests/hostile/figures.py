"""figures.py BUILD ROOT [SECONDS [ROUNDS [ATTACK]]] - what attackers cost honest clients: each attack in turn beside an
honest server of the same pool, a hundred tries or SECONDS of it (5). Run it as root, with nothing else on the machine.

Each attack is measured twice: as it is, and with attackers that get a processor only when nobody else wants one
(SCHED_IDLE, in a session of their own with the least weight). An attacker that computes takes its share of the
processors from the honest server, whatever it does: that is for a cgroup to limit, not for the broker. Controls say how
much: attackers that do nothing, six that compute and ask the broker for nothing, and one with a listener and clients of its own, which it serves as any worker. What an idle attacker costs, it costs by what it makes the broker do, or by what both need of the kernel.

Prints a table: honest connections a second before and during the attack, their ratio, that with idle attackers, each
the median of ROUNDS (1); how much of a processor the broker used, before and during the attack, and with idle attackers;
and of all rounds: honest connections that were lost, the longest turn of the broker's loop, how many took more than 50 ms
(what it waited for a processor is not counted), and files of root that changed.
"""
import hashlib
import os
import shlex
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

build, root = (os.path.abspath(p) for p in sys.argv[1:3])
seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 5
rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 1
wanted = sys.argv[5] if len(sys.argv) > 5 else ""
TURN_MS = 50
PYTHON = "exec env -u LD_PRELOAD /usr/bin/python3"
# Name and command of the attacker; {own}, {root}, {sticky}: folders. Each says "attacks" when it is under way or done.
WORKERS = {
    "control: nothing": "exec sleep 1000",
    "control: six that compute": "for i in 1 2 3 4 5 6; do (while :; do :; done) & done; wait",
    "control: clients of its own": "exec {b}/worker_sleeps_in_accept no",
    "sleeps in accept": "exec {b}/worker_sleeps_in_accept",
    "floods: links": "exec {b}/worker_floods links",
    "floods: noise": "exec {b}/worker_floods channel",
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
IDLE = ["setsid", "sh", "-c", 'echo 19 >/proc/self/autogroup; exec chrt -i 0 "$@"', "idle"]


class Pool:
    def __init__(self, attack, idle):
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
                if idle:
                    command = shlex.join(["exec", *IDLE, "sh", "-c", command])
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

    def cpu(self):
        """Seconds of a processor that the broker has used."""
        fields = open(f"/proc/{self.broker.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self):
        self.turns.send_signal(signal.SIGTERM)
        turns = self.turns.communicate()[0].split()
        self.broker.send_signal(signal.SIGTERM)
        self.broker.wait()
        return int(turns[1]), int(turns[3])


class Round:
    """One attack on a new pool."""

    def __init__(self, attack, idle):
        pool = Pool(attack, idle)
        before_files = pool.files()
        self.before, lost_before, self.cpu_before = self.look(pool)
        stranger = None
        if attack:
            open(f"{pool.top}/b/go", "w").close()
        else:
            lines = open("/proc/net/unix").read().splitlines()
            rendezvous = next(line.split("@")[1] for line in lines if line.endswith(f":{pool.top}/c.sock") and "@sshim:" in line)
            stranger = subprocess.Popen([*(IDLE if idle else []), f"{pool.folders['b']}/stranger_sends_lingering", "100"], stdout=subprocess.PIPE, env=os.environ | {"SSHIM_RENDEZVOUS": rendezvous})
        self.during, lost, self.cpu_during = self.look(pool)
        if stranger:
            stranger.wait()
        self.lost = lost_before + lost
        self.longest, self.over = pool.end()
        self.touched = sum(pool.files().get(key) != value for key, value in before_files.items())
        self.ratio = self.during / self.before
        shutil.rmtree(pool.top)

    @staticmethod
    def look(pool):
        cpu = pool.cpu()
        rate, lost = pool.honest(lambda passed: passed > seconds)
        return rate, lost, (pool.cpu() - cpu) / seconds


def measure(name, attack):
    done = {idle: [Round(attack, idle) for _ in range(rounds)] for idle in (False, True)}
    every = done[False] + done[True]

    def median(idle, field):
        return statistics.median(getattr(r, field) for r in done[idle])

    print(f"{name:26} {median(False, 'before'):8.0f} {median(False, 'during'):8.0f} {median(False, 'ratio'):6.2f} {median(True, 'ratio'):6.2f}"
          f" {median(False, 'cpu_before'):5.2f} {median(False, 'cpu_during'):5.2f} {median(True, 'cpu_during'):5.2f}"
          f" {sum(r.lost for r in every):6} {max(r.longest for r in every):8} {sum(r.over for r in every):6} {sum(r.touched for r in every):7}", flush=True)


print(f"{'':43} {'ratio':>13} {'broker cpu':>17}")
print(f"{'attack':26} {'before/s':>8} {'during/s':>8} {'full':>6} {'idle':>6} {'none':>5} {'full':>5} {'idle':>5} {'lost':>6} {'turn ms':>8} {'>50 ms':>6} {'touched':>7}")
for attack_name, attack_command in {STRANGER: None, **WORKERS}.items():
    if wanted in attack_name:
        measure(attack_name, attack_command)
