#!/usr/bin/env python3
"""run.py [SUITE[/MODULE]...] - runs other people's test suites natively and as the one worker of a broker that shares
everything (with WAY=joined: as a program that joins such a broker), and compares. One line for each module, then "N
passed, N failed, N skipped", counted in tests. Exit 1 when a test passes natively three times and fails under the shim
twice in a row, or the reverse.

Where the first two runs agree on a test the other runs would tell nothing, so they are made only for modules in which
a test differs. known.txt lists tests whose difference has a reason, and tests that flake natively."""
import concurrent.futures
import fnmatch
import os
import signal
import subprocess
import sys
import tempfile
import time

import suites

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.abspath(os.environ.get("BUILD", HERE + "/../../build"))
MODULE_SECONDS = int(os.environ.get("MODULE_SECONDS", "0"))  # instead of the suite's own
# What the broker says once the suite has shared its first listener.
ONBOARD = {"worker": "workers are ready", "joined": " listens on "}
WAY = os.environ.get("WAY", "worker")  # or "joined"
NOBODY = 65534
VERBOSE = os.environ.get("VERBOSE")
# Its output goes into a file. The shell stays: what the command leaves behind does not go on in its place.
WRAPPER = 'out=$1; shift; "$@" >>"$out" 2>&1 </dev/null; exit $?'
# The same as a program that joins a broker without workers: its first argument is the broker's command.
JOINED = 'broker=$1 control=$2 lib=$3; shift 3; $broker & until [ -S "$control" ]; do sleep 0.1; done; ' \
         'SSHIM_BROKER=$control LD_PRELOAD=$lib exec "$@"'
# A network of its own for each run: fixed ports, and what an earlier run left in the kernel, disturb nobody.
ISOLATE = ["unshare", "-n", "sh", "-c", 'ip link set lo up; exec "$@"', "sh"]


def read(path):
    if not os.path.exists(path):
        return ""
    with open(path, errors="replace") as text:
        return text.read()


def isolate():
    return ISOLATE if os.geteuid() == 0 else []


def environment(folder):
    keep = {name: os.environ[name] for name in ("PATH", "LANG", "USER", "LOGNAME") if name in os.environ}
    isolated = {"FOREIGN_ISOLATED": "1"} if isolate() else {}
    return {**keep, **isolated, "HOME": folder, "TMPDIR": folder}


def read_bytes(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:  # it has ended
        return b""


def find_processes(control):
    """The broker's, its keeper's, those that a keeper started after the broker's death, and their workers."""
    name = os.fsencode(control)
    return [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and
            (name in read_bytes(f"/proc/{pid}/cmdline").split(b"\0") or
             b"SSHIM_BROKER=" + name in read_bytes(f"/proc/{pid}/environ").split(b"\0"))]


def send_all(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def end_all(control):
    """Stopped first, or a keeper would start another broker in between. True: none was left."""
    for _ in range(10):
        pids = find_processes(control)
        if not pids:
            return True
        send_all(pids, signal.SIGSTOP)
        send_all(pids, signal.SIGKILL)
        time.sleep(0.1)
    return False


def stop(process, control):
    if control:
        subprocess.run([BUILD + "/sshim", "stop", "--control", control], timeout=60, check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(60)
    finally:
        if process.poll() is None:
            process.kill()
        if control and not end_all(control):
            raise RuntimeError(f"processes of {control} do not end")


def drop_root(suite, folder):
    if not suite.unprivileged or os.geteuid() != 0:
        return []
    os.chown(folder, NOBODY, NOBODY)
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


def run_once(suite, command, folder, shim):
    """Runs the command until it ends by itself. Its exit status, which the broker passes on; None: it did not end."""
    out, control = (f"{folder}/{name}" for name in (".out", ".control"))
    wrapped = ["sh", "-c", WRAPPER, "sh", out, *command]
    if shim == "joined":
        broker = [BUILD + "/sshim", "run", "-v", "-w", "0", "--share", "all", "--backlog", "app", "--control", control]
        wrapped = ["sh", "-c", JOINED, "sh", " ".join(broker), control, BUILD + "/libsshim.so", *wrapped]
    elif shim:
        wrapped = [BUILD + "/sshim", "run", "-w", "1", "--once", "--share", "all", "--backlog", "app", "--stop-timeout", "1",
                   "--stuck-warn", "0", "--start-timeout", "86400", "--control", control, "--", *wrapped]
    with open(folder + "/.log", "a") as log:
        process = subprocess.Popen(isolate() + drop_root(suite, folder) + wrapped, cwd=folder, env=environment(folder), stdout=log,
                                   stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            return process.wait(MODULE_SECONDS or suite.seconds)
        except subprocess.TimeoutExpired:
            return None
        finally:
            stop(process, control if shim else None)


def run_module(suite, module, shim):
    with tempfile.TemporaryDirectory(prefix="f.", ignore_cleanup_errors=True) as folder:
        for name, target in suite.links.items():
            os.symlink(target, f"{folder}/{name}")
        for _ in range(suite.deaths):
            status = run_once(suite, suite.command(module, folder + "/.results"), folder, shim)
            seen, ended = suite.parse(module, read(folder + "/.out"), folder + "/.results")
            if ended:
                break
        if shim:
            seen["(under the shim)"] = ("shim", ONBOARD[WAY] in read(folder + "/.log") and "yes" or "no")
        seen["(its exit status)"] = ("pass" if status == 0 else "fail", str(status))
        if not ended:
            seen["(the module)"] = ("fail", read(folder + "/.out")[-2000:] + read(folder + "/.log")[-2000:])
        return seen


def passes(seen, name):
    return seen.get(name, ("absent", ""))[0] == "pass"


def different(native, shim):
    return sorted(name for name in native.keys() | shim.keys() if passes(native, name) != passes(shim, name))


def is_listed(known, suite, module, name):
    test = f"{suite.name}/{module}/{name}"
    return any(fnmatch.fnmatchcase(text, pattern) for pattern in known for text in (test, f"{WAY}:{test}"))


def confirm(suite, module, native, shim, names):
    """Those that differ again: natively twice more the same, and under the shim once more the same."""
    for run_shim, first in ((WAY, shim), (None, native), (None, native)):
        if not names:
            break
        again = run_module(suite, module, run_shim)
        names = [name for name in names if passes(again, name) == passes(first, name)]
    return names


def try_module(suite, module, known):
    native = run_module(suite, module, None)
    shim = run_module(suite, module, WAY)
    names = different(native, shim)
    listed = [name for name in names if is_listed(known, suite, module, name)]
    rest = [name for name in names if name not in listed]
    failed = confirm(suite, module, native, shim, rest)
    return suite, module, native, shim, listed, failed, [name for name in rest if name not in failed]


def count(seen):
    return sum(outcome == "pass" for outcome, _ in seen.values())


def report(result):
    suite, module, native, shim, listed, failed, flaked = result
    print(f"{suite.name:8}{module:36}native {count(native):4}  shim {count(shim):4}  differ {len(failed):3}"
          f"  listed {len(listed):3}  flaked {len(flaked):3}  shared {shim['(under the shim)'][1]}", flush=True)
    for mark, names in (("DIFFERS", failed), ("flaked", flaked), ("listed", listed)):
        for name in names:
            print(f"  {mark} {name}: native {native.get(name, ('absent', ''))[0]},"
                  f" shim {shim.get(name, ('absent', ''))[0]}", flush=True)
            if VERBOSE and mark != "listed":
                print(shim.get(name, ("", ""))[1] or native.get(name, ("", ""))[1], flush=True)


def load_known():
    """Lines of "SUITE/MODULE/TEST: reason", or, for one way alone, "WAY:SUITE/MODULE/TEST: reason"."""
    lines = read(HERE + "/known.txt").splitlines()
    return [line.split(": ")[0] for line in lines if line and not line.startswith("#")]


def wanted(suite, module, arguments):
    return not arguments or suite.name in arguments or f"{suite.name}/{module}" in arguments


def main():
    work = os.environ["FOREIGN"]
    known = load_known()
    jobs = [(suite, module) for suite in (kind(work) for kind in suites.ALL) for module in suite.modules
            if wanted(suite, module, sys.argv[1:])]
    passed = failed = skipped = 0
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS", "2"))) as pool:
        running = {pool.submit(try_module, *job, known): job for job in jobs}
        for done in concurrent.futures.as_completed(running):
            if done.exception():  # or the others would go on, and nobody would be told
                suite, module = running[done]
                print(f"{suite.name:8}{module:36}cannot be run: {done.exception()!r}", flush=True)
                failed += 1
                continue
            result = done.result()
            report(result)
            _, _, native, shim, listed, bad, flaked = result
            failed += len(bad)
            if not count(native):
                print(f"  DIFFERS from what it should: no test of {suite.name}/{module} passes natively", flush=True)
                failed += 1
            skipped += len(listed) + len(flaked)
            passed += sum(passes(native, name) and passes(shim, name) for name in native)
            skipped += sum(not passes(native, name) and not passes(shim, name) for name in native)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
