"""each.py SECONDS PROGRAM... - runs programs that print TAP, and prints their lines as "ok PROGRAM/TEST", and behind them
one line of each program by its exit status. What runs longer is killed with its children."""
import os
import re
import signal
import subprocess
import sys
import tempfile

LINE = re.compile(r"^\s*(ok|not ok) (\d+)(?: -)? ?([^#\n]*)", re.M)


def kill_group(pid):
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def run(program, seconds):
    """Output and whether it ended well. A file takes the output: a pipe could be held open by children."""
    with tempfile.TemporaryFile("w+", errors="replace") as out:
        process = subprocess.Popen([program], stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            status = None
        kill_group(process.pid)
        process.wait()
        out.seek(0)
        return out.read(), status == 0


def main():
    for program in sys.argv[2:]:
        name = os.path.basename(program)
        output, well = run(program, float(sys.argv[1]))
        for word, number, rest in LINE.findall(output):
            print(f"{word} {name}/{rest.strip() or number}")
        print("ok" if well else "not ok", name, flush=True)
    print("1..done", flush=True)


if __name__ == "__main__":
    main()
