"""One instance of sshim for the length of a with statement; checks that it leaves nothing."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

import tools
from load import BUILD, Load
from tools import wait_for

SSHIM = os.path.join(BUILD, "sshim")
SERVER = os.path.join(BUILD, "bench", "server")
VICTIM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "victim.py")
FREE = ("SSHIM_BROKER", "SSHIM_RENDEZVOUS", "SSHIM_LIB", "SSHIM_TOKEN", "SSHIM_WORKER_ID", "LD_PRELOAD", "XDG_RUNTIME_DIR")
SERVES = ("ready", "busy")
CLOSINGS = ("hold_timeouts", "hung_up", "hold_evicted", "hold_shut", "dead", "proxy_rejected", "limited", "denied", "full")
count = 0


class Pool:
    """command: a list in which {address}, {host}, {port} and {folder} are replaced; or a mode of
    the reference server."""

    def __init__(self, command, workers=4, options=(), env=(), before=(), stderr=None, pass_fds=(),
                 sshim=SSHIM, owner=None, ready=None):
        server = SERVER
        global count
        count += 1
        self.folder = tempfile.mkdtemp(prefix="sshim-r.")
        os.chmod(self.folder, 0o755)
        if owner:
            os.chown(self.folder, owner, owner)
            sshim, server = self.copy_tools()
        self.control = self.path("c.sock")
        self.host = f"127.{os.getpid() // 250 % 120 + 2}.{os.getpid() % 250 + 1}.{count % 250 + 1}"
        self.port = tools.free_port(self.host)
        self.address = f"{self.host}:{self.port}"
        if isinstance(command, str):
            command = [server, command, "{address}"]
        self.command = [self.fill(part) for part in command]
        self.options, self.before, self.workers = list(options), list(before), workers
        self.stderr, self.pass_fds, self.sshim = stderr, pass_fds, sshim
        self.env = {name: value for name, value in os.environ.items() if name not in FREE}
        self.env["SSHIM_TEST"] = self.folder
        self.env.update({name: self.fill(value) for name, value in dict(env).items()})
        self.process = None
        self.ready = workers if ready is None else ready

    def path(self, name):
        return os.path.join(self.folder, name)

    def copy_tools(self):
        """To where every user can reach them: the project's folder may be closed to others."""
        for tool in (SSHIM, SERVER, os.path.join(BUILD, "libsshim.so")):
            shutil.copy(tool, self.folder)
        return self.path("sshim"), self.path("server")

    def fill(self, text):
        for name in ("address", "host", "port", "folder"):
            text = text.replace("{" + name + "}", str(getattr(self, name)))
        return text

    def launch(self):
        stderr = self.stderr if self.stderr is not None else open(self.path("log"), "ab")
        arguments = [*self.before, self.sshim, "run", "--control", self.control, "-w",
                     str(self.workers), *self.options, "--", *self.command]
        self.process = subprocess.Popen(arguments, env=self.env, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=stderr,
                                        pass_fds=self.pass_fds)

    def __enter__(self):
        try:
            self.launch()
            self.wait_ready(self.ready)
        except BaseException:
            self.end_all()
            raise
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.stop()
                self.check_nothing_left()
            elif os.environ.get("KEEP"):
                print(self.log()[-3000:])
        finally:
            self.end_all()

    # --- asking

    def sshim_says(self, *arguments, timeout=60):
        return subprocess.run([self.sshim, *arguments, "--control", self.control],
                              env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False)

    def status(self):
        """None when nobody answers."""
        answer = self.sshim_says("status", "--json")
        try:
            return json.loads(answer.stdout)  # the exit code tells the state as well: 1 is degraded
        except ValueError:
            return None

    def workers_now(self):
        status = self.status()
        return status["workers"] if status else []

    def serving(self):
        return [worker for worker in self.workers_now() if worker["state"] in SERVES]

    def worker(self, slot):
        """The one that fills a slot now, or None."""
        found = [worker for worker in self.workers_now() if worker["slot"] == slot]
        return found[0] if found else None

    def pids(self):
        return {worker["slot"]: worker["pid"] for worker in self.workers_now()}

    def state_of(self, slot):
        worker = self.worker(slot)
        return worker["state"] if worker else None

    def broker_pid(self):
        status = self.status()
        return status["pid"] if status else None

    def helper_pid(self, name):
        found = [pid for pid in tools.children_of(self.broker_pid()) if tools.name_of(pid) == name]
        return found[0] if found else None

    def keeper_pid(self):
        return self.helper_pid("sshim-keeper")

    def deputy_pid(self):
        return self.helper_pid("sshim-deputy")

    def await_helper(self, name):
        """A broker that has just begun answers before it has started all of them."""
        wait_for(lambda: self.helper_pid(name), f"the broker has a {name}")
        return self.helper_pid(name)

    def await_keeper(self):
        return self.await_helper("sshim-keeper")

    def log(self):
        try:
            with open(self.path("log"), encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def accounting(self):
        """The sums that do not add up, as text; offers that are on their way are waited for."""
        deadline = time.monotonic() + 3
        while (wrong := self.accounting_now()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return wrong

    def accounting_now(self):
        """accepted = handed + direct + held + closed; handed = taken + recalled + lost, once nothing is on its way."""
        return [str(listener) for listener in (self.status() or {}).get("listeners", [])
                if listener["accepted"] != listener["handed"] + listener["direct"] + listener["held"]
                + sum(listener[reason] for reason in CLOSINGS)
                or listener["handed"] != listener["taken"] + listener["recalled"] + listener["lost"]]

    def lost_offers(self):
        return sum(listener["lost"] for listener in (self.status() or {}).get("listeners", []))

    # --- doing

    def wait_ready(self, number=None, seconds=30):
        number = self.workers if number is None else number
        return wait_for(lambda: len(self.serving()) >= number or self.ended_early(),
                        f"{number} workers are ready", seconds)

    def wait_idle(self):
        """Until every worker waits for a connection: one that is frozen before that gets no offer."""
        wait_for(lambda: all(worker["state"] == "ready" for worker in self.workers_now()), "every worker waits")

    def ended_early(self):
        if self.process.poll() is None or self.status():
            return False
        raise tools.Broken(f"sshim ended with {self.process.returncode}: {self.log()[-500:]}")

    def load(self, **options):
        return Load(self.address, **options)

    def stop(self):
        answer = self.sshim_says("stop")
        if answer.returncode != 0:
            raise tools.Broken(f"sshim stop: {answer.returncode} {answer.stdout.strip()}")
        self.process.wait(timeout=10)

    # --- what is left

    def check_nothing_left(self):
        wait_for(lambda: not tools.pids_with(f"SSHIM_TEST={self.folder}"), "no process is left", 5)
        for name in os.listdir(self.folder):
            if not os.path.islink(self.path(name)) and name.endswith(".sock"):
                raise tools.Broken(f"left behind: {name}")
        # a process that ends has no environment any more a moment before its descriptors are closed
        wait_for(lambda: not self.has_abstract_socket(), "no abstract socket is left", 5)

    def has_abstract_socket(self):
        with open("/proc/net/unix", encoding="utf-8", errors="replace") as file:
            return self.control in file.read()

    def end_all(self):
        """Whatever happened: nothing of this instance goes on."""
        for _ in range(3):
            for pid in tools.pids_with(f"SSHIM_TEST={self.folder}"):
                if pid != os.getpid():
                    tools.send_signal(pid, signal.SIGKILL)
            time.sleep(0.02)
        if self.process:
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Beside:
    """A plain server under light load at the same time: what this machine does to one without any fault."""

    def __init__(self, mode):
        self.mode = mode

    def __enter__(self):
        host = "127.0.0.1"
        address = f"{host}:{tools.free_port(host)}"
        self.server = subprocess.Popen([SERVER, self.mode, address], stdin=subprocess.DEVNULL)
        try:
            wait_for(lambda: tools.answers(address), "the plain server answers")
        except BaseException:
            self.__exit__()
            raise
        self.load = Load(address, rate=200)
        return self

    def finish(self):
        return self.load.finish()

    def __exit__(self, *_):
        if getattr(self, "load", None) and self.load.is_running():
            self.load.finish()
        self.server.kill()
        self.server.wait()
