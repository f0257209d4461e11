#!/usr/bin/env python3
"""Does the damage, counts, prints one line a fault; the exit status is 1 when a promise was broken.

    run.py [--quick] [--seed N] [--chaos SECONDS] [--list] [ROW...]     a ROW may end in *
"""
import argparse
import fnmatch
import os
import resource
import signal
import sys
import time

import row
import rows_broker  # noqa: F401  each registers its rows
import rows_crash  # noqa: F401
import rows_kill  # noqa: F401
import rows_limits  # noqa: F401
import rows_operate  # noqa: F401
import rows_pairs  # noqa: F401
import rows_restart  # noqa: F401
import rows_seccomp  # noqa: F401
import rows_stuck  # noqa: F401
import rows_world  # noqa: F401
import chaos


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", nargs="*", default=["*"])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", default=str(int(time.time())))
    parser.add_argument("--chaos", type=float)
    parser.add_argument("--list", action="store_true")
    return parser.parse_args()


def wanted(options):
    rows = [entry for entry in row.ROWS
            if any(fnmatch.fnmatch(entry[0], pattern) for pattern in options.rows)]
    if not rows:
        sys.exit(f"no such row: {' '.join(options.rows)}")
    return rows


def main():
    options = parse()
    chaos.SECONDS = options.chaos
    if options.list:
        print("\n".join(f"{name:24} {text}" for name, text, _ in row.ROWS))
        return 0
    # An interrupted run must not leave what a fault has stopped or started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
    print(f"seed {options.seed}\n{row.HEAD}", flush=True)
    broken = 0
    for name, text, function in wanted(options):
        done = row.Row(name, text, options.quick, options.seed)
        held = done.run(function)
        print(row.line(done), flush=True)
        for reason in done.broken[:6]:
            print(f"    {name}: {reason}", flush=True)
        broken += not held
    print(f"{broken} broken promises" if broken else "every promise held")
    return 1 if broken else 0


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
