"""The sides: each starts some server on a port and is stopped again."""
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request

import measure

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("BUILD", os.path.join(ROOT, "build"))
SSHIM = os.environ.get("SSHIM", os.path.join(BUILD, "sshim"))
SERVER = os.path.join(BUILD, "bench", "server")
LOAD = os.path.join(BUILD, "bench", "load")
BASE = os.environ.get("BASE_SSHIM", "")  # an earlier build to compare with
REUSEPORT = os.path.join(BUILD, "bench", "reuseport.so")
HERE = os.path.dirname(os.path.abspath(__file__))
CROWD = os.path.join(HERE, "crowd.py")
NODE = os.path.join(HERE, "node_server.js")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_answer(port, request=b"f", seconds=10):
    """Until a connection is accepted and answered."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2) as conn:
                conn.sendall(request)
                if conn.recv(6):
                    return
        except OSError:
            pass
        time.sleep(0.02)
    raise RuntimeError(f"nothing answers on port {port}")


class Side:
    """Some processes that serve one port."""

    def __init__(self, name, start, request=b"f"):
        self.name = name
        self.request = request
        self._start = start
        self.before = None  # the same of an earlier build
        self.processes = []
        self.crowd = None  # how many silent and dripping clients there are besides
        self.crowd_process = None
        self.load = []  # what the load program does besides
        self.metrics_port = 0  # is read each second, unless 0
        self.is_measured = threading.Event()
        self.folder = None
        self.port = 0

    def start(self):
        self.folder = tempfile.TemporaryDirectory(prefix="sshim-bench-")
        self.port = free_port()
        try:
            self._start(self)
            wait_for_answer(self.port, self.request)
        except BaseException as error:
            log = self.log()
            self.stop()
            raise RuntimeError(f"{self.name}: {error}\n{log}") from error

    def spawn(self, *command, keep_fd=None, **environment):
        process = subprocess.Popen(
            [str(part) for part in command], env={**os.environ, **environment},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            pass_fds=[] if keep_fd is None else [keep_fd],
            stderr=open(os.path.join(self.folder.name, "log"), "ab"), start_new_session=True)
        self.processes.append(process)
        return process

    def begin_crowd(self):
        if not self.crowd:
            return
        self.crowd_process = subprocess.Popen(["python3", CROWD, str(self.port), *(str(count) for count in self.crowd)],
                                              stdout=subprocess.PIPE)
        self.crowd_process.stdout.readline()

    def end_crowd(self):
        if self.crowd_process:
            self.crowd_process.kill()
            self.crowd_process.communicate()
            self.crowd_process = None

    def begin_scrapes(self):
        if self.metrics_port:
            self.is_measured.clear()
            threading.Thread(target=self.scrape, daemon=True).start()

    def scrape(self):
        while not self.is_measured.wait(1):
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10) as answer:
                answer.read()

    def end_scrapes(self):
        self.is_measured.set()

    def log(self):
        if not os.path.exists(os.path.join(self.folder.name, "log")):
            return ""
        with open(os.path.join(self.folder.name, "log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def roots(self):
        return [process.pid for process in self.processes]

    def cpu_seconds(self):
        return measure.tree_cpu_seconds(self.roots())

    def stop(self):
        tree = measure.process_tree(self.roots())
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pid in tree:  # what its parent has left behind
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        self.processes = []
        if self.folder:
            self.folder.cleanup()
            self.folder = None


# --- ours --------------------------------------------------------------------------------------

def start_sshim(side, program, server, workers, options):
    read_fd, write_fd = os.pipe()
    side.spawn(program, "run", "-q", "-w", workers, "--control", side.path("c.sock"),
               "--ready-fd", write_fd, *options, "--", *server, keep_fd=write_fd)
    os.close(write_fd)
    with os.fdopen(read_fd, "rb") as ready:
        ready.read(1)  # all workers listen


def sshim(name, mode, workers=4, options=(), command=None, program=SSHIM):
    def start(side):
        server = command(side.port) if command else [SERVER, "-f", mode, side.port]
        start_sshim(side, program, server, workers, options)
    side = Side(name, start)
    if BASE and program == SSHIM:
        side.before = sshim(f"before: {name}", mode, workers, options, command, BASE)
    return side


def start_observed(side, mode, workers):
    """Metrics read each second, a line for each connection, a prefix for each line of a worker."""
    side.metrics_port = free_port()
    start_sshim(side, SSHIM, [SERVER, "-f", mode, side.port], workers,
                ["--metrics", f"127.0.0.1:{side.metrics_port}", "--conn-log", side.path("connections"), "--log-prefix"])


def observed(name, mode, workers=4):
    return Side(name, lambda side: start_observed(side, mode, workers))


def with_base(group):
    """Each side of ours is followed by the same one of the earlier build, if there is one."""
    return [each for side in group for each in (side, side.before) if each]


# --- what the author of the server could have written -------------------------------------------

def one_copy(name, mode):
    return Side(name, lambda side: side.spawn(SERVER, mode, side.port))


def native(name, mode, workers=4, options=()):
    return Side(name, lambda side: side.spawn(SERVER, "-w", workers, *options, mode, side.port))


def shared_queue(name, workers=4):
    return native(name, "blocking", workers, ["-q"])


# --- what an operator could use instead ----------------------------------------------------------

def reuseport(name, mode, workers=4):
    def start(side):
        for _ in range(workers):
            side.spawn(SERVER, mode, side.port, LD_PRELOAD=REUSEPORT)
    return Side(name, start)


def start_copies(side, mode, workers, command=None):
    ports = [free_port() for _ in range(workers)]
    for port in ports:
        side.spawn(*(command(port) if command else [SERVER, mode, port]))
    for port in ports:
        wait_for_answer(port, side.request)
    return ports


HAPROXY = """
global
    maxconn 4000
    nbthread 1
defaults
    mode {mode}
    timeout connect 30s
    timeout client 60s
    timeout server 60s
    timeout queue 60s
listen bench
    bind 127.0.0.1:{port} backlog 4096
    balance {balance}
{servers}
"""
HOLDS = "http\n    option http-buffer-request\n    timeout http-request 10s"  # a whole request first, as --hold http


def start_haproxy(side, mode, workers, balance, maxconn, command=None, proxy="tcp"):
    ports = start_copies(side, mode, workers, command)
    limit = f" maxconn {maxconn}" if maxconn else ""
    servers = "\n".join(f"    server s{i} 127.0.0.1:{port}{limit}" for i, port in enumerate(ports))
    with open(side.path("haproxy.cfg"), "w", encoding="ascii") as file:
        file.write(HAPROXY.format(port=side.port, balance=balance, servers=servers, mode=proxy))
    side.spawn("haproxy", "-db", "-f", side.path("haproxy.cfg"))


def haproxy(name, mode, workers=4, balance="leastconn", maxconn=0):
    return Side(name, lambda side: start_haproxy(side, mode, workers, balance, maxconn))


NGINX = """
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/log;
events {{ worker_connections 8192; }}
stream {{
    upstream copies {{ least_conn; {servers} }}
    server {{ listen 127.0.0.1:{port} backlog=4096; proxy_pass copies; }}
}}
"""


def nginx(name, mode, workers=4):
    def start(side):
        ports = start_copies(side, mode, workers)
        servers = " ".join(f"server 127.0.0.1:{port};" for port in ports)
        with open(side.path("nginx.conf"), "w", encoding="ascii") as file:
            file.write(NGINX.format(folder=side.folder.name, port=side.port, servers=servers))
        side.spawn("nginx", "-c", side.path("nginx.conf"))
    return Side(name, start)


NGINX_HTTP = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/log;
events {{ worker_connections 8192; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ proxy_pass http://127.0.0.1:{behind}; }} }}
}}
"""


def gunicorn_behind_nginx(name, workers=4):
    """The usual cure for slow clients: nginx reads a whole request before it connects."""
    def start(side):
        behind = free_port()
        side.spawn("gunicorn", "-w", workers, "-b", f"127.0.0.1:{behind}", "--log-level", "error", "--chdir", HERE,
                   "http_server:app")
        wait_for_answer(behind, side.request)
        with open(side.path("nginx.conf"), "w", encoding="ascii") as file:
            file.write(NGINX_HTTP.format(folder=side.folder.name, port=side.port, behind=behind))
        side.spawn("nginx", "-c", side.path("nginx.conf"))
    return Side(name, start)


def node(name, *arguments):
    return Side(name, lambda side: side.spawn("node", NODE, side.port, *arguments))


def node_command(port):
    return ["node", NODE, port]
