# SPDX-License-Identifier: MIT
"""Runs the benchmark, `make bench`: measures jobd beside its peers and writes the results."""

import argparse
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time

from harness import commands, disk, do, followers, jobs, keys, machine, meanings, memory, peers, plots, report, servers, times
from harness.context import Context, Protocol

HERE = pathlib.Path(__file__).resolve().parent
PARTS = {
    "do": do,
    "meanings": meanings,
    "jobs": jobs,
    "disk": disk,
    "commands": commands,
    "memory": memory,
    "times": times,
    "keys": keys,
    "followers": followers,
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build/default", help="where jobd and the tools were built")
    parser.add_argument("--out", default=HERE / "results", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true", help="all rows in a few minutes")
    parser.add_argument("--rounds", type=int, help="3; a quick run 2; 5 for what is quoted")
    parser.add_argument("--seconds", type=int, help="a measured window: 20; a quick run 2")
    parser.add_argument("--warmup", type=int, help="10; a quick run 1")
    parser.add_argument("--only", default=",".join(PARTS), help="some of " + ",".join(PARTS))
    given = parser.parse_args()
    unknown = set(given.only.split(",")) - PARTS.keys()
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    return given


def main():
    given = arguments()
    usual = (2, 1, 2) if given.quick else (3, 10, 20)
    protocol = Protocol(
        given.quick,
        *(value or default for value, default in zip((given.rounds, given.warmup, given.seconds), usual)),
    )
    for tool in ("wrk", "taskset", "strip"):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is missing: make bench-deps")
    if machine.SERVER_CORE == machine.LOAD_CORE:
        print("there is one core only: server and load share it, no figure means much", file=sys.stderr)
    if machine.raise_open_files() < 12000:
        print(
            "fewer than 12,000 open files are allowed: rows with 10,000 connections will fail",
            file=sys.stderr,
        )
    # A benchmark that is ended ends its servers too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    given.out.mkdir(parents=True, exist_ok=True)
    scratch = tempfile.mkdtemp(prefix="bench-", dir=given.build)
    context = Context(given.build, scratch, protocol, peers.all_peers(given.build))
    context.out = given.out.resolve()
    try:
        for name in given.only.split(","):
            context.say(f"part {name}")
            PARTS[name].run(context)
    finally:
        servers.stop_all()
        shutil.rmtree(scratch, ignore_errors=True)
    context.ended = time.monotonic()
    plots.write(context)
    report.write(context, os.path.join(given.build, "jobd"))
    print((context.out / "summary.md").read_text())
    return 0 if all(run.good for run in context.runs) else 1


if __name__ == "__main__":
    sys.exit(main())
