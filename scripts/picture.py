#!/usr/bin/env python3
"""Runs four copies of a server under load, does to them what an operator does, and draws what the clients saw.

    scripts/picture.py SSHIM PICTURE.svg        prints the commands and their answers, as in a terminal

Each row of the picture is a copy. A bar is as high as the copy has answered requests in that quarter of a second; its
colour changes with the process. Touches nothing but the picture and a temporary folder.
"""
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

BUCKET_S = 0.25
CLIENTS = 8
INTERVAL_S = 0.025  # of a client's requests
REST_S = 2.0  # after each step
SLOTS = 6
HOST = "127.0.0.1"


class Clients:
    """Ask all the time; know which copy answered when, and how many were not answered."""

    def __init__(self, port):
        self.port, self.begun, self.is_over = port, time.monotonic(), False
        self.answers, self.failed = [], []  # (seconds, slot), seconds
        self.threads = [threading.Thread(target=self.run) for _ in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def now(self):
        return time.monotonic() - self.begun

    def ask(self):
        connection = http.client.HTTPConnection(HOST, self.port, timeout=20)
        try:
            connection.request("GET", "/who")
            return int(connection.getresponse().read())
        finally:
            connection.close()

    def run(self):
        due = 0.0
        while not self.is_over:
            due = max(due + INTERVAL_S, self.now() - INTERVAL_S)  # what was missed is not made up for
            time.sleep(max(0.0, due - self.now()))
            try:
                self.answers.append((self.now(), self.ask()))
            except (OSError, ValueError, http.client.HTTPException):
                self.failed.append(self.now())

    def finish(self):
        self.is_over = True
        for thread in self.threads:
            thread.join()


class Pool:
    """The broker and what is said to it."""

    def __init__(self, sshim, folder):
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            self.port = probe.getsockname()[1]
        self.sshim, self.folder, self.control = sshim, folder, os.path.join(folder, "control")
        for slot in range(SLOTS):
            os.mkdir(os.path.join(folder, f"copy-{slot}"))
            with open(os.path.join(folder, f"copy-{slot}", "who"), "w", encoding="ascii") as file:
                file.write(str(slot))
        self.broker = subprocess.Popen(
            [sshim, "run", "-q", "-w", "4", "--name", "web", "--control", self.control, "--", "python3", "-m", "http.server",
             str(self.port), "--bind", HOST, "--directory", os.path.join(folder, "copy-{id}")],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.say("status", "--wait", "ready")

    def say(self, *command):
        """What the command prints."""
        return subprocess.run([self.sshim, *command, "--control", self.control], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False).stdout

    def pids(self):
        """By slot, of those that take connections."""
        return {worker["slot"]: worker["pid"] for worker in json.loads(self.say("status", "--json"))["workers"]
                if worker["state"] in ("ready", "busy")}

    def kill(self, slot):
        os.kill(self.pids()[slot], signal.SIGKILL)


class Watch:
    """Knows which process filled which slot when."""

    def __init__(self, pool, clients):
        self.pool, self.clients, self.seen, self.is_over = pool, clients, [], False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.is_over:
            self.seen.append((self.clients.now(), self.pool.pids()))
            time.sleep(0.1)

    def finish(self):
        self.is_over = True
        self.thread.join()

    def generation(self, slot, at):
        """How many other processes filled the slot before that time."""
        pids = []
        for when, by_slot in self.seen:
            if when > at + BUCKET_S:
                break
            if slot in by_slot and by_slot[slot] not in pids:
                pids.append(by_slot[slot])
        return max(0, len(pids) - 1)


# What happens, one after the other; the text stands over the picture.
STEPS = [
    ("kill -9 of copy 1", lambda pool: pool.kill(1)),
    ("sshim scale 6", lambda pool: pool.say("scale", "6")),
    ("sshim drain 2", lambda pool: pool.say("drain", "2")),
    ("sshim resume 2", lambda pool: pool.say("resume", "2")),
    ("sshim restart", lambda pool: pool.say("restart")),
    ("sshim upgrade", lambda pool: pool.say("upgrade")),
]


def act(pool, clients):
    """Returns (seconds, text) of each step, and prints what a terminal would show."""
    marks = []
    for text, step in STEPS:
        time.sleep(REST_S)
        marks.append((clients.now(), text))
        answer = step(pool)
        print(f"$ {text}" if answer else f"# {text}")
        print(answer or "", end="")
    time.sleep(REST_S)
    return marks


# --- the picture

LEFT, TOP, WIDTH, ROW, GAP, BOTTOM = 76, 92, 800, 30, 8, 64
STYLE = """
    .card { fill: #ffffff; stroke: #d0d7de } .text { fill: #24292f } .small { fill: #57606a } .line { stroke: #8c959f }
    .lane { fill: #eef1f4 } .g0 { fill: #0969da } .g1 { fill: #1a7f37 } .g2 { fill: #9a6700 } .bad { fill: #cf222e }
    text { font-family: sans-serif; font-size: 13px } .small { font-size: 12px } .title { font-size: 15px; font-weight: bold }
    @media (prefers-color-scheme: dark) {
        .card { fill: #161b22; stroke: #30363d } .text { fill: #e6edf3 } .small { fill: #9da7b3 } .line { stroke: #6e7681 }
        .lane { fill: #21262d } .g0 { fill: #4493f8 } .g1 { fill: #3fb950 } .g2 { fill: #d29922 } .bad { fill: #f85149 }
    }"""


class Scale:
    """Where a moment and a copy are in the picture."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.bottom = self.y(SLOTS)

    def x(self, at):
        return LEFT + WIDTH * at / self.seconds

    @staticmethod
    def y(slot):
        return TOP + slot * (ROW + GAP)


def bars(scale, clients, watch):
    counts = {}
    for when, slot in clients.answers:
        if when + BUCKET_S < scale.seconds:
            counts[slot, int(when / BUCKET_S)] = counts.get((slot, int(when / BUCKET_S)), 0) + 1
    highest = max(counts.values())
    for (slot, bucket), count in sorted(counts.items()):
        height = max(1.0, ROW * count / highest)
        colour = watch.generation(slot, bucket * BUCKET_S) % 3
        yield (f'<rect class="g{colour}" x="{scale.x(bucket * BUCKET_S):.1f}" y="{scale.y(slot) + ROW - height:.1f}" '
               f'width="{WIDTH * BUCKET_S / scale.seconds - 1:.1f}" height="{height:.1f}"/>')


def draw(scale, clients, watch, marks):
    bottom = scale.bottom
    total, failed = len(clients.answers) + len(clients.failed), len(clients.failed)
    verdict = f'{total:,} requests, <tspan class="bad">&#9679; {failed} failed</tspan>'
    verdict += ": in service in the copy that was killed" if failed else ""
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 24} {bottom + BOTTOM}" '
           f'role="img" aria-label="Requests that each copy answers while copies are killed, added, drained and replaced">')
    yield f"<style>{STYLE}\n</style>"
    yield f'<rect class="card" x="0.5" y="0.5" width="{LEFT + WIDTH + 23}" height="{bottom + BOTTOM - 1}" rx="6"/>'
    yield '<text class="text title" x="16" y="26">Copies of python3 -m http.server under load: requests that each copy answers</text>'
    for slot in range(SLOTS):
        yield f'<rect class="lane" x="{LEFT}" y="{scale.y(slot)}" width="{WIDTH}" height="{ROW}"/>'
        yield f'<text class="text" x="{LEFT - 10}" y="{scale.y(slot) + 20}" text-anchor="end">copy {slot}</text>'
    yield from bars(scale, clients, watch)
    for number, (when, text) in enumerate(marks):
        level = TOP - 30 + 18 * (number % 2)
        yield f'<line class="line" x1="{scale.x(when):.1f}" y1="{level + 5}" x2="{scale.x(when):.1f}" y2="{bottom}" stroke-dasharray="3 3"/>'
        yield f'<text class="text" x="{scale.x(when):.1f}" y="{level}" text-anchor="middle">{text}</text>'
    for when in clients.failed:
        yield f'<circle class="bad" cx="{scale.x(when):.1f}" cy="{bottom + 2}" r="4"/>'
    for second in range(0, int(scale.seconds) + 1, 5):
        yield f'<text class="small" x="{scale.x(second):.1f}" y="{bottom + 20}" text-anchor="middle">{second} s</text>'
    yield f'<text class="text" x="{LEFT}" y="{bottom + 48}">{verdict}</text>'
    yield (f'<text class="small" x="{LEFT + WIDTH}" y="{bottom + 48}" text-anchor="end">'
           "another colour: another process</text>")
    yield "</svg>"


def main():
    sshim, picture = os.path.abspath(sys.argv[1]), sys.argv[2]
    with tempfile.TemporaryDirectory(prefix="sshim-picture-") as folder:
        pool = Pool(sshim, folder)
        try:
            clients = Clients(pool.port)
            watch = Watch(pool, clients)
            try:
                marks = act(pool, clients)
                scale = Scale(clients.now())
            finally:
                watch.finish()
                clients.finish()
            print("$ sshim status\n" + pool.say("status"), end="")
        finally:
            pool.broker.terminate()
            pool.broker.wait()
    with open(picture, "w", encoding="utf-8") as file:
        file.write("\n".join(draw(scale, clients, watch, marks)) + "\n")


if __name__ == "__main__":
    main()
