"""suites.py - the suites: their modules, how one module is run, and what its output says. A suite's results are a
dictionary: name of a test -> (outcome, detail), the outcome being pass, fail or skip."""
import glob
import json
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))


class Suite:
    unprivileged = False  # whether it must not run as root
    links = {}  # what it expects in its working folder
    seconds = 900  # that one module may take


class Python(Suite):
    """CPython's own, as Debian packs it for /usr/bin/python3."""

    name = "python"
    deaths = 8  # a module goes on behind a test that killed it, so often at most
    modules = """test_socket test_socketserver test_httpservers test_selectors test_ssl test_ftplib test_smtplib
        test_smtpd test_poplib test_imaplib test_nntplib test_xmlrpc test_docxmlrpc test_asyncore test_asynchat
        test_telnetlib test_urllib2_localnet test_httplib test_wsgiref test_logging test_epoll test_poll test_select
        test_signal test_eintr test_subprocess test_multiprocessing_fork test_multiprocessing_spawn
        test_multiprocessing_forkserver test_asyncio.test_base_events test_asyncio.test_buffered_proto
        test_asyncio.test_events test_asyncio.test_selector_events test_asyncio.test_sendfile
        test_asyncio.test_server test_asyncio.test_sock_lowlevel test_asyncio.test_ssl test_asyncio.test_sslproto
        test_asyncio.test_streams test_asyncio.test_subprocess test_asyncio.test_unix_events""".split()

    def __init__(self, work):
        pass

    def command(self, module, results):
        return ["/usr/bin/python3", HERE + "/unit.py", module, results]

    def parse(self, module, output, results):
        """A test that began and has no end killed the module, or hung."""
        seen, ended = {}, False
        if os.path.exists(results):
            with open(results) as lines:
                for name, outcome, detail in map(json.loads, lines):
                    if outcome == "end":
                        ended = True
                    elif outcome == "start":
                        seen[name] = ("fail", "did not end")
                    elif seen.get(name, ("", ""))[0] != "fail" or seen[name][1] == "did not end":
                        seen[name] = (outcome, detail)
        return seen, ended


class Tcl(Suite):
    name = "tcl"
    deaths = 1
    modules = "socket http http11 httpold io ioCmd chanio event".split()
    LINE = re.compile(r"^(?:\+\+\+\+|====) (\S+) .*?(PASSED|FAILED|SKIPPED)", re.M)
    OUTCOMES = {"PASSED": "pass", "FAILED": "fail", "SKIPPED": "skip"}

    def __init__(self, work):
        self.tests = work + "/tcl/tests"
        self.shell = work + "/tcl/unix/tcltest"

    def command(self, module, results):
        return [self.shell, f"{self.tests}/{module}.test", "-verbose", "pass skip body error"]

    def parse(self, module, output, results):
        seen = {}
        for name, word in self.LINE.findall(output):
            if seen.get(name, ("", ""))[0] != "fail":
                seen[name] = (self.OUTCOMES[word], "")
        return seen, f"{module}.test:\tTotal" in output or "Total\t" in output


class Libuv(Suite):
    """Refuses to run as root; looks for test/fixtures in its working folder."""

    name = "libuv"
    unprivileged = True
    deaths = 1
    modules = ["all"]
    LINE = re.compile(r"^(ok|not ok) \d+ - (\S+)(.*)", re.M)

    def __init__(self, work):
        self.program = work + "/libuv/build/uv_run_tests"
        self.links = {"test": work + "/libuv/test"}

    def command(self, module, results):
        return [self.program]

    def parse(self, module, output, results):
        seen = {}
        for word, name, rest in self.LINE.findall(output):
            seen[name] = ("skip" if "# SKIP" in rest else "pass" if word == "ok" else "fail", "")
        plan = re.search(r"^1\.\.(\d+)", output, re.M)
        return seen, bool(plan) and len(seen) == int(plan[1])


class Libevent(Suite):
    name = "libevent"
    deaths = 1
    modules = ["all"]
    LINE = re.compile(r"^((?:[\w-]+/)+[\w-]+): ", re.M)

    def __init__(self, work):
        self.program = work + "/libevent/build/bin/regress"

    def command(self, module, results):
        return [self.program, "--timeout", "60"]

    def outcome(self, text):
        if "SKIPPED" in text or "DISABLED" in text:
            return "skip"
        return "pass" if "OK" in text and "FAIL" not in text and "DIED" not in text else "fail"

    def parse(self, module, output, results):
        parts = self.LINE.split(output)
        seen = {name: (self.outcome(text), text) for name, text in zip(parts[1::2], parts[2::2])}
        return seen, bool(re.search(r"^\d+(/\d+)? (tests ok|TESTS)", output, re.M))


class Glib(Suite):
    """Those of GIO and libsoup that have to do with sockets, as Debian packs them: programs that print TAP."""

    name = "glib"
    deaths = 1
    FOLDER = "/usr/libexec/installed-tests/"
    PROGRAMS = {
        "glib": """gdbus-addresses gdbus-auth gdbus-connection gdbus-connection-slow gdbus-non-socket gdbus-peer
            gdbus-peer-object-manager gdbus-server-auth gsocketclient-slow network-address pollable proxy-test socket
            socket-address socket-listener socket-service unix-fd unix-streams""".split(),
        "libsoup-3.0": """auth-test connection-test context-test continue-test http2-test misc-test multithread-test
            redirect-test server-auth-test server-test session-test ssl-test streaming-test unix-socket-test
            websocket-test""".split(),
    }
    modules = list(PROGRAMS)

    def __init__(self, work):
        pass

    def command(self, module, results):
        programs = [f"{self.FOLDER}{module}/{name}" for name in self.PROGRAMS[module]]
        return ["/usr/bin/python3", HERE + "/each.py", "120", *programs]

    def parse(self, module, output, results):
        seen = {}
        for word, name in re.findall(r"^(ok|not ok) (.*)", output, re.M):
            if seen.get(name, ("", ""))[0] != "fail":
                seen[name] = ("pass" if word == "ok" else "fail", "")
        return seen, output.endswith("1..done\n")


class Php(Suite):
    """Modules that PHP loads in its own way, with RTLD_DEEPBIND, and servers that live for one test."""

    name = "php"
    deaths = 1
    modules = ["ext/sockets/tests", "ext/standard/tests/streams", "ext/standard/tests/network", "ext/standard/tests/http"]
    LINE = re.compile(r"(PASS|FAIL|SKIP|BORK|WARN|XFAIL)\S* .* \[(\S*\.phpt)\]")
    OUTCOMES = {"PASS": "pass", "SKIP": "skip", "XFAIL": "skip"}

    def __init__(self, work):
        self.source = work + "/php"

    def command(self, module, results):
        script = 'cd "$1"; TEST_PHP_EXECUTABLE=/usr/bin/php NO_INTERACTION=1 exec php run-tests.php -q --set-timeout 60 "$2"'
        return ["sh", "-c", script, "sh", self.source, module]

    def parse(self, module, output, results):
        output = re.sub(r"\x1b\[[\d;]*m", "", output)
        seen = {name: (self.OUTCOMES.get(word, "fail"), "") for word, name in self.LINE.findall(output)}
        return seen, "Time taken" in output


class Ruby(Suite):
    """The tests of Ruby's own socket, net and drb libraries, from its source, for the installed ruby."""

    name = "ruby"
    deaths = 1
    modules = ["test/socket", "test/net", "test/drb"]
    LINE = re.compile(r"^\[ *\d+/\d+\] (\S+#\S+) = ", re.M)
    BAD = re.compile(r"^ +\d+\) (Failure|Error|Skipped):\n(\S+#[^\s:]+)", re.M)

    def __init__(self, work):
        self.source = work + "/ruby"

    def command(self, module, results):
        script = 'cd "$1"; exec ruby3.1 -Itool/lib -Itest/lib test/runner.rb --ruby=/usr/bin/ruby3.1 --seed=1 --show-skip -v "$2"'
        return ["sh", "-c", script, "sh", self.source, module]

    def parse(self, module, output, results):
        seen = {name: ("pass", "") for name in self.LINE.findall(output)}
        for word, name in self.BAD.findall(output):
            seen[name] = ("skip" if word == "Skipped" else "fail", "")
        return seen, bool(re.search(r"^\d+ tests, ", output, re.M))


class Erlang(Suite):
    """The kernel application's suites of gen_tcp and inet, from its source, for the installed Erlang."""

    name = "erlang"
    deaths = 1
    seconds = 3600
    modules = "gen_tcp_api gen_tcp_echo gen_tcp_misc inet inet_sockopt".split()
    # A name server of its own, for the nodes that tests start.
    SCRIPT = """mkdir logs; export ERL_EPMD_PORT=44369
        ct_run -noshell -no_auto_compile -sname foreign -dir "$1" -suite "$2_SUITE" -logdir logs
        epmd -kill; echo the end"""
    CASE = re.compile(r"^=case +\w+:(\w+)$(?:(?!^=case).)*?^=result +(\w+)", re.M | re.S)
    OUTCOMES = {"ok": "pass", "skipped": "skip"}

    def __init__(self, work):
        self.tests = work + "/erlang/lib/kernel/test"

    def command(self, module, results):
        return ["sh", "-c", self.SCRIPT, "sh", self.tests, module]

    def parse(self, module, output, results):
        seen = {}
        for path in glob.glob(os.path.dirname(results) + "/logs/ct_run*/*/run*/suite.log"):
            with open(path, errors="replace") as log:
                for name, word in self.CASE.findall(log.read()):
                    if not name.startswith(("init_per_", "end_per_")) and seen.get(name, ("", ""))[0] != "fail":
                        seen[name] = (self.OUTCOMES.get(word, "fail"), "")
        return seen, output.endswith("the end\n")


ALL = [Python, Tcl, Libuv, Libevent, Glib, Php, Ruby, Erlang]
