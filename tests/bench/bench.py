#!/usr/bin/env python3
"""Measures sshim beside its alternatives, round by round interleaved.

usage: bench.py [--quick] [--rounds N] [--only NAME[,NAME...]] [--out FOLDER] [--scale F] [--side TEXT] [--install] [--list]
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time

import limits
import report
import sides
import works


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few works, short rounds")
    parser.add_argument("--rounds", type=int, default=0, help="rounds of each side (5; quick: 3)")
    parser.add_argument("--only", default="", help="names of works, with commas between")
    parser.add_argument("--side", default="", help="only the base and sides with this in their name")
    parser.add_argument("--scale", type=float, default=0, help="of the length of a round (1; quick: 0.3)")
    parser.add_argument("--out", default=os.path.join(sides.BUILD, "bench"), help="folder for results")
    parser.add_argument("--install", action="store_true", help="install the alternatives with apt-get")
    parser.add_argument("--list", action="store_true", help="print the names of the works")
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.quick else 5)
    options.scale = options.scale or (0.3 if options.quick else 1.0)
    return options


def spawn_load(side, arguments, seconds, seed):
    return subprocess.Popen([sides.LOAD, "-d", str(seconds), "-S", str(seed), *arguments, *side.load, str(side.port)],
                            stdout=subprocess.PIPE, text=True)


def read_load(process):
    output, _ = process.communicate()
    return json.loads(output)


def condense(result, cpu_seconds):
    """The figures that are compared, out of one run of the load program."""
    outcomes, latency = result["outcomes"], result["latency_us"]
    right = outcomes["right"]
    row = {"right": right, "failed": sum(outcomes.values()) - right - outcomes["given_up"],
           "unsent": result["unsent"], "rate": result["rate"], "gap_ms": result["longest_gap_ms"],
           "cpu_us": cpu_seconds * 1e6 / right if right else 0}
    for name in ("p50", "p95", "p99", "max"):
        row[f"{name}_us"] = latency["all"][name]
    if "l" in latency:
        row["l_p99_us"] = latency["l"]["p99"]
        row["l_p50_us"] = latency["l"]["p50"]
    return row


def measure_round(work, group, seconds, seed):
    """One round of one side, or of all sides at once when the work leaves the machine idle."""
    pins = [spawn_load(side, work.pin, seconds + 0.5, 1) for side in group] if work.pin else []
    for side in group:
        side.begin_crowd()
        side.begin_scrapes()
    if pins:
        time.sleep(0.3)
    before = [side.cpu_seconds() for side in group]
    loads = [spawn_load(side, work.load, seconds, seed) for side in group]
    results = [read_load(load) for load in loads]
    rows = [condense(result, side.cpu_seconds() - cpu)
            for side, result, cpu in zip(group, results, before)]
    for side in group:
        side.end_crowd()
        side.end_scrapes()
    for pin in pins:
        pin.communicate()
    return rows


def start_all(group):
    """Leaves out what cannot be started here, and says so."""
    for side in list(group):
        try:
            side.start()
        except (RuntimeError, OSError) as error:
            print(f"bench.py: without {side.name}: {error}")
            group.remove(side)


def run_work(work, options):
    seconds = max(0.3, work.seconds * options.scale)
    group = sides.with_base([side for side in work.make_sides()
                             if options.side in side.name or side.name == work.base])
    try:
        start_all(group)
        rounds = {side.name: [] for side in group}
        for turn in range(-1, options.rounds):  # the first one warms up and is not counted
            batches = [group] if work.together else [[side] for side in group]
            for batch in batches:
                rows = measure_round(work, batch, seconds if turn >= 0 else 0.3, 100 + turn)
                for side, row in zip(batch, rows):
                    if turn >= 0:
                        rounds[side.name].append(row)
    finally:
        for side in group:
            side.stop()
    return {"name": work.name, "title": work.title, "base": work.base, "per": work.per, "rounds": rounds,
            "before": {side.name: side.before.name for side in group if side.before in group},
            "targets": [judge(target, rounds) for target in work.targets if target.side in rounds and
                        (not target.against or target.against in rounds)]}


def paired(rounds, side, metric, against, minus=False):
    """Median, least and greatest of the ratios (or differences) of rounds that ran side by side."""
    pairs = [(a[metric], b[metric]) for a, b in zip(rounds[side], rounds[against])
             if metric in a and metric in b]
    values = [a - b if minus else a / b for a, b in pairs if minus or b]
    return [statistics.median(values), min(values), max(values)] if values else None


def judge(target, rounds):
    if target.against:
        value = paired(rounds, target.side, target.metric, target.against, target.relation == "<=+")
    else:
        found = [row[target.metric] for row in rounds[target.side]]
        value = [statistics.median(found), min(found), max(found)]
    reached = value and (value[0] >= target.limit if target.relation == ">=" else value[0] <= target.limit)
    return {"side": target.side, "metric": target.metric, "relation": target.relation,
            "limit": target.limit, "against": target.against, "value": value, "reached": bool(reached)}


def describe_machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    return {"kernel": platform.release(), "libc": " ".join(platform.libc_ver()), "cores": os.cpu_count(),
            "cpu": models[0] if models else platform.machine(),
            "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())}


def install_missing():
    if subprocess.run([os.path.join(sides.ROOT, "scripts/deps.sh"), "bench"], check=False).returncode:
        print("bench.py: sides that need these packages are left out")


def choose(options):
    wanted = [name for name in options.only.split(",") if name]
    known = [work.name for work in works.WORKS] + list(limits.LIMITS)
    for name in wanted:
        if name not in known:
            sys.exit(f"bench.py: no work is called {name}; --list names them")
    chosen = [work for work in works.WORKS
              if (work.name in wanted if wanted else work.quick or not options.quick)]
    checks = [name for name in limits.LIMITS
              if (name in wanted if wanted else not options.quick or name in limits.QUICK)]
    return chosen, checks


def main():
    options = parse()
    if options.list:
        print("\n".join([work.name for work in works.WORKS] + list(limits.LIMITS)))
        return 0
    chosen, checks = choose(options)
    if options.install:
        install_missing()
    results = {"machine": describe_machine(), "rounds": options.rounds, "works": [], "limits": []}
    for work in chosen:
        results["works"].append(run_work(work, options))
        print(report.work_table(results["works"][-1]), flush=True)
    for name in checks:
        results["limits"] += limits.LIMITS[name](options)
        print(report.limits_table(results["limits"]), flush=True)
    report.write_all(results, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
