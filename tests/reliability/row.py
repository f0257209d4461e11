"""One row of the table: a fault, how often it was done, what the clients saw, the verdict."""
import random
import subprocess
import traceback

import tools
from load import failures

ROWS = []


def row(name, text):
    """Registers a function that does one fault; it gets a Row."""
    def register(function):
        ROWS.append((name, text, function))
        return function
    return register


class Row:
    """Counts and promises of one fault."""

    def __init__(self, name, text, quick, seed):
        self.name, self.text, self.quick = name, text, quick
        self.rng = random.Random(f"{seed} {name}")
        self.times = self.tried = self.refused = self.failed = self.allowed = self.lost = 0
        self.gap_ms = 0.0
        self.broken, self.notes = [], []

    def pick(self, full, quick):
        return quick if self.quick else full

    def did(self, times=1):
        self.times += times

    def count(self, result, allowed=0, gap=True):
        """What a load saw; so many of its connections were in service in what was killed."""
        failed = failures(result)
        self.tried += result["started"]
        self.refused += result["outcomes"]["refused"]
        self.failed += failed
        self.allowed += allowed
        self.lost += max(0, failed - allowed)
        if gap:
            self.gap_ms = max(self.gap_ms, result["longest_gap_ms"])
        self.expect(result["outcomes"]["refused"] == 0, f"{result['outcomes']['refused']} refused")
        self.expect(failed <= allowed,
                    f"{failed} failed, {allowed} were in service: {result['outcomes']}")
        self.expect(result["outcomes"]["right"] > 0, "nobody was answered")
        self.expect(result["outcomes"]["twice"] + result["outcomes"]["wrong"] == 0,
                    f"answered twice or wrongly: {result['outcomes']}")

    def expect(self, condition, text):
        if not condition:
            self.broken.append(text)
        return condition

    def note(self, text):
        self.notes.append(text)

    def account(self, pool):
        self.expect(not pool.accounting(), f"the sums of status do not add up: {pool.accounting()}")

    def run(self, function):
        try:
            function(self)
        except (tools.Broken, subprocess.SubprocessError, OSError, KeyError, TypeError, ValueError) as error:
            self.broken.append(f"{type(error).__name__}: {error}")
            if not isinstance(error, tools.Broken):
                self.broken.append(traceback.format_exc(limit=-3))
        return not self.broken


HEAD = f"{'fault':58} {'times':>5} {'tried':>8} {'refused':>7} {'failed':>6} {'lost':>5} {'gap ms':>7}  verdict"


def line(done):
    verdict = "BROKEN" if done.broken else "held"
    if done.notes:
        verdict += " (" + "; ".join(done.notes) + ")"
    return (f"{done.text:58} {done.times:5} {done.tried:8} {done.refused:7} {done.failed:6} "
            f"{done.lost:5} {done.gap_ms:7.0f}  {verdict}")
