"""The works: which sides do what, which of them is the base, and what must be reached."""
import os

import real
import sides

AUTO, BROKER, DIRECT = (["--handoff", mode] for mode in ("auto", "broker", "direct"))
CHURN = ["-c", "64", "-s", "8"]


class Work:
    """One kind of load on several sides; ratios are taken against the side called base."""

    def __init__(self, name, title, make_sides, load, base, targets=(), quick=False, together=False,
                 seconds=2.0, per="connections", pin=None):
        self.name, self.title, self.make_sides, self.load = name, title, make_sides, load
        self.base, self.targets, self.quick, self.together = base, targets, quick, together
        self.seconds, self.per, self.pin = seconds, per, pin


class Target:
    """value of side's metric, or its ratio to the same metric of another side, against a limit."""

    def __init__(self, side, metric, relation, limit, against=None):
        self.side, self.metric, self.relation, self.limit = side, metric, relation, limit
        self.against = against


def ours(mode, workers=4, **more):
    return [sides.sshim("sshim auto", mode, workers, AUTO, **more),
            sides.sshim("sshim broker", mode, workers, BROKER, **more),
            sides.sshim("sshim direct", mode, workers, DIRECT, **more)]


def churn_blocking():
    return [sides.native("native pre-fork", "blocking"), *ours("blocking"),
            sides.shared_queue("shared queue"), sides.reuseport("SO_REUSEPORT", "blocking"),
            sides.haproxy("HAProxy leastconn maxconn 1", "blocking", maxconn=1),
            sides.haproxy("HAProxy leastconn", "blocking"), sides.nginx("nginx stream", "blocking"),
            sides.one_copy("one copy", "blocking")]


def churn_seccomp():
    return [sides.native("native pre-fork", "blocking"),
            sides.sshim("sshim seccomp", "blocking", 4, ["--intercept", "seccomp"])]


def churn_epoll(mode):
    return lambda: [sides.native("native shared epoll", mode), *ours(mode),
                    sides.reuseport("SO_REUSEPORT", mode), sides.one_copy("one copy", mode)]


def churn_loop(mode):
    return lambda: [sides.native("native", mode), *ours(mode)[:2], sides.one_copy("one copy", mode)]


def one_client(workers):
    return lambda: [sides.native("native shared epoll", "epoll-one", workers),
                    sides.native("native EPOLLEXCLUSIVE", "epoll-one", workers, ["-x"]),
                    sides.one_copy("one copy", "epoll-one"),
                    *ours("epoll-one", workers)]


def one_client_blocking():
    return [sides.native("native pre-fork", "blocking"), sides.one_copy("one copy", "blocking"),
            sides.shared_queue("shared queue"), *ours("blocking")]


def node_cluster():
    return [sides.node("Node cluster round robin", "rr", 4), sides.node("Node cluster shared", "shared", 4),
            sides.node("one copy"), *ours(None, command=sides.node_command)]


def keep_alive(mode, floor):
    return lambda: [sides.native(floor, mode), *ours(mode), sides.haproxy("HAProxy leastconn", mode)]


def open_loop(mode):
    return lambda: [sides.native("native pre-fork", "blocking"), sides.native(f"native {mode}", mode),
                    *ours(mode)[:2], sides.shared_queue("shared queue"),
                    sides.haproxy("HAProxy round robin", mode, balance="roundrobin"),
                    sides.haproxy("HAProxy leastconn maxconn 1", mode, maxconn=1),
                    sides.reuseport("SO_REUSEPORT", mode)]


def pinned(mode):
    return lambda: [*ours(mode)[:2], sides.native(f"native {mode}", mode),
                    sides.haproxy("HAProxy round robin", mode, balance="roundrobin"),
                    sides.reuseport("SO_REUSEPORT", mode)]


def told():
    """What telling costs."""
    return [*ours("blocking")[:2], sides.sshim("sshim --conn-log", "blocking", 4, ["--conn-log", "/dev/null"]),
            sides.observed("sshim, all told", "blocking")]


CROWD = (2000, 500)  # silent, dripping


def http_server(port):
    return ["python3", os.path.join(os.path.dirname(os.path.abspath(__file__)), "http_server.py"), str(port)]


def crowded(side, crowd=CROWD):
    side.name += ", crowded"
    side.crowd = crowd
    side.request = real.HTTP
    return side


def holds():
    def held(name):
        return sides.sshim(name, None, 4, ["--hold", "http"], command=http_server)

    def start_haproxy(side):
        sides.start_haproxy(side, None, 4, "leastconn", 1, http_server, sides.HOLDS)
    group = [held("sshim --hold http"), crowded(held("sshim --hold http")),
             sides.sshim("sshim broker", None, 4, BROKER, command=http_server),
             sides.Side("HAProxy buffering", start_haproxy),
             crowded(sides.Side("HAProxy buffering", start_haproxy)),
             sides.gunicorn_behind_nginx("gunicorn behind nginx"), crowded(sides.gunicorn_behind_nginx("gunicorn behind nginx"))]
    for side in group:
        side.request = real.HTTP
    return group


def proxied(side):
    """The load's connections begin with the PROXY header of a balancer."""
    side.load = ["-p"]
    side.request = real.PROXY_HEADER + b"f"
    return side


def fronts():
    return [sides.sshim("sshim broker", "blocking", 4, BROKER),
            sides.sshim("sshim --hold data", "blocking", 4, ["--hold", "data"]),
            proxied(sides.sshim("sshim --accept-proxy v2", "blocking", 4,
                                ["--accept-proxy", "v2", "--proxy-from", "127.0.0.0/8"])),
            sides.haproxy("HAProxy leastconn", "blocking")]


def scale(load):
    counts = (4, 16, 64, 256, 1024)
    return lambda: [sides.sshim(f"sshim {count}", "epoll-one", count, load) for count in counts]


LATE = [Target("sshim auto", "l_p99_us", "<=", 1.10, "native pre-fork"),
        Target("sshim auto", "l_p99_us", "<=", 0.35, "HAProxy round robin"),
        Target("sshim auto", "l_p99_us", "<=", 0.25, "SO_REUSEPORT")]


def event_loop_targets():
    return [Target("sshim auto", "cpu_us", "<=", 1.25, "native shared epoll"),
            Target("sshim auto", "rate", ">=", 0.90, "native shared epoll")]


WORKS = [
    Work("churn-blocking", "new connection per request, 4 blocking workers, 64 clients", churn_blocking,
         CHURN, "native pre-fork", quick=True, targets=[
             Target("sshim auto", "cpu_us", "<=", 1.10, "native pre-fork"),
             Target("sshim auto", "rate", ">=", 0.97, "native pre-fork"),
             Target("sshim broker", "cpu_us", "<=", 1.45, "native pre-fork"),
             Target("sshim broker", "rate", ">=", 0.85, "native pre-fork"),
             Target("sshim auto", "rate", ">=", 2.5, "HAProxy leastconn maxconn 1"),
             Target("sshim auto", "cpu_us", "<=", 0.25, "HAProxy leastconn maxconn 1"),
             Target("sshim auto", "rate", ">=", 2.5, "nginx stream"),
             Target("sshim auto", "cpu_us", "<=", 0.25, "nginx stream"),
             Target("sshim auto", "cpu_us", "<=", 0.75, "shared queue")]),
    Work("churn-seccomp", "the same, without the library, by --intercept seccomp", churn_seccomp,
         CHURN, "native pre-fork", targets=[
             Target("sshim seccomp", "cpu_us", "<=", 1.02, "native pre-fork"),
             Target("sshim seccomp", "rate", ">=", 0.98, "native pre-fork")]),
    Work("churn-epoll-one", "the same, 4 event loops, one accept a wake-up", churn_epoll("epoll-one"),
         CHURN, "native shared epoll", event_loop_targets(), quick=True),
    Work("churn-epoll-all", "the same, 4 event loops, accept until EAGAIN", churn_epoll("epoll-all"),
         CHURN, "native shared epoll", event_loop_targets()),
    *[Work(f"churn-{mode}", f"the same, 4 loops that wait in {mode}, then serve one connection",
           churn_loop(f"{mode}-sync"), CHURN, "native") for mode in ("poll", "select")],
    Work("single-blocking", "one client at a time, 4 blocking workers", one_client_blocking,
         ["-c", "1"], "native pre-fork"),
    *[Work(f"single-epoll-{count}", f"one client at a time, {count} event loops", one_client(count),
           ["-c", "1"], "native shared epoll", quick=count == 8, targets=[
               *([Target("sshim auto", "cpu_us", "<=", 1.0, "native shared epoll")] if count > 4 else []),
               Target("sshim auto", "p50_us", "<=+", 25, "native shared epoll")])
      for count in (4, 8, 16)],
    Work("node", "new connection per request, 4 Node workers, 64 clients", node_cluster, CHURN,
         "Node cluster round robin",
         [Target("sshim auto", "rate", ">=", 1.6, "Node cluster round robin")], quick=True),
    Work("keep-alive-blocking", "keep-alive, 4 blocking workers, 4 clients",
         keep_alive("blocking", "native pre-fork"), ["-c", "4", "-k", "1000"], "native pre-fork",
         [Target("sshim auto", "rate", ">=", 0.99, "native pre-fork"),
          Target("sshim auto", "rate", ">=", 2.0, "HAProxy leastconn")], per="requests"),
    Work("keep-alive-epoll", "keep-alive, 4 event loops, 64 clients",
         keep_alive("epoll-one", "native shared epoll"), ["-c", "64", "-k", "1000"],
         "native shared epoll",
         [Target("sshim auto", "rate", ">=", 0.99, "native shared epoll"),
          Target("sshim auto", "rate", ">=", 2.0, "HAProxy leastconn")], per="requests", quick=True),
    Work("bulk", "4 MiB answers, 4 blocking workers, 4 clients",
         keep_alive("blocking", "native pre-fork"), ["-c", "4", "-k", "50", "-m", "b1"],
         "native pre-fork",
         [Target("sshim auto", "rate", ">=", 0.99, "native pre-fork"),
          Target("sshim auto", "rate", ">=", 2.0, "HAProxy leastconn")], per="requests"),
    *[Work(f"mix-{mode}-{load}", f"95 % 1 ms and 5 % 100 ms, load 0.{load}, 4 {mode} workers, open loop",
           open_loop(mode), ["-r", str(int(4 / 0.00595 * load / 10)), "-m", "l95h5", "-t", "30000"],
           "native pre-fork", LATE, quick=load == 6 and mode == "blocking", together=True, seconds=12.0)
      for mode in ("blocking", "epoll-sync") for load in (6, 8)],
    *[Work(f"pinned-{mode}", f"one worker of 4 ({mode}) always has a request of 100 ms, others take none",
           pinned(mode), ["-r", "400"], f"native {mode}", [Target("sshim auto", "p95_us", "<=", 15000)],
           together=True, seconds=5.0, pin=["-c", "1", "-m", "h1"])
      for mode in ("blocking", "epoll-one")],
    *[Work(f"real-{name}", f"{title}, new connection per request, 4 copies, 16 clients",
           lambda command=command, request=request: real.make_sides(command, request),
           ["-c", "16", "-t", "30000", *(["-u", "/index.txt"] if request == real.HTTP else [])], "one copy")
      for name, title, command, request in (
          ("python", "python3 -m http.server", real.python_command, real.HTTP),
          ("lighttpd", "lighttpd", real.lighttpd_command, real.HTTP),
          ("nginx", "nginx, one process", real.nginx_command, real.HTTP),
          ("tcl", "Tcl's event loop", real.tcl_command, b"f"))],
    Work("hold", "HTTP, 4 blocking Python workers, 64 clients; crowded: beside 2,000 silent and 500 dripping ones", holds,
         ["-c", "64", "-u", "/", "-t", "30000"], "sshim --hold http", seconds=3.0, targets=[
             Target("sshim --hold http, crowded", "rate", ">=", 0.9, "sshim --hold http"),
             Target("sshim --hold http, crowded", "p99_us", "<=", 1.5, "sshim --hold http"),
             Target("sshim --hold http", "cpu_us", "<=", 1.25, "sshim broker"),
             Target("sshim --hold http, crowded", "rate", ">=", 1.8, "HAProxy buffering, crowded"),
             Target("sshim --hold http, crowded", "cpu_us", "<=", 0.5, "HAProxy buffering, crowded")]),
    Work("front", "new connection per request, 4 blocking workers, 64 clients: each connection passes a stage", fronts,
         CHURN, "sshim broker", [
             Target("sshim --hold data", "cpu_us", "<=", 1.15, "sshim broker"),
             Target("sshim --accept-proxy v2", "cpu_us", "<=", 1.25, "sshim broker"),
             Target("sshim --accept-proxy v2", "cpu_us", "<=", 0.35, "HAProxy leastconn")]),
    Work("told", "new connection per request, 4 blocking workers, 64 clients: with metrics read each second, "
         "connection log and log prefix", told, CHURN, "sshim broker", [
             Target("sshim --conn-log", "cpu_us", "<=", 1.10, "sshim broker"),
             Target("sshim, all told", "cpu_us", "<=", 1.10, "sshim broker"),
             Target("sshim, all told", "cpu_us", "<=", 1.10, "sshim auto")]),
    Work("workers", "one client at a time, from 4 to 1,024 event loops", scale(AUTO), ["-c", "1"],
         "sshim 4", [Target("sshim 256", "cpu_us", "<=", 1.3, "sshim 4")]),
    Work("workers-busy", "64 clients, from 4 to 1,024 event loops", scale(AUTO), CHURN,
         "sshim 4", [Target("sshim 256", "cpu_us", "<=", 1.3, "sshim 4")]),
]
