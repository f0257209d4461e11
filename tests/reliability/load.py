"""The load program (tests/bench/load.c) for the length of a fault; counts how each client fared."""
import json
import os
import signal
import subprocess

BUILD = os.environ.get("BUILD", "build")
LOAD = os.path.join(BUILD, "bench", "load")
FAILURES = ("wrong", "twice", "lost", "reset", "timed_out")


class Load:
    """Starts at once; finish() gives the counts."""

    def __init__(self, address, rate=None, clients=None, seconds=3600, timeout_ms=20000, mix="f1",
                 more=()):
        how = ["-r", rate] if rate else ["-c", clients or 8]
        arguments = [LOAD, *how, "-d", seconds, "-t", timeout_ms, "-m", mix, *more, address]
        self.process = subprocess.Popen([str(argument) for argument in arguments],
                                        stdout=subprocess.PIPE, text=True)

    def is_running(self):
        return self.process.poll() is None

    def finish(self, wait=False):
        """TERM unless it is to run to its own end."""
        if not wait:
            self.process.send_signal(signal.SIGTERM)
        output = self.process.communicate(timeout=120)[0]
        return json.loads(output)


def failures(result):
    return sum(result["outcomes"][name] for name in FAILURES)


def latency_ms(result, quantile):
    return result["latency_us"]["all"][quantile] / 1000
