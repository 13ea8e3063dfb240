# SPDX-License-Identifier: MIT
"""A call that does nothing, by libjobd and beside it GThreadPool, libuv and OpenMP's tasks: the page of it.

    calls.py PROGRAM FOLDER [ROUNDS [CALLS]]

PROGRAM is calls.c. In each round every number of threads has its turn, and in each turn all that are compared, one after
the other; a figure is the median of the rounds, with the least and the most. Writes FOLDER/calls.md, and prints it. Takes
some two minutes with five rounds."""

import collections
import pathlib
import statistics
import subprocess
import sys
import time

from harness import machine

THREADS = (1, 2, 3, 4, 5, 6, 7, 8)
PACKAGES = (("GThreadPool", "libglib2.0-dev"), ("libuv", "libuv1-dev"), ("OpenMP", "libgomp1"))
MEASURES = (
    ("calls a second", "One thread asks for {calls:,} at once, and waits for the end of all.", "{:,.0f}"),
    ("microseconds, median", "From asking for one call to its end, with nothing else asked for: 20,000 of them.", "{:.1f}"),
    ("microseconds, p99", "Of the same.", "{:.1f}"),
)


def measure(program, rounds, calls):
    """The figures of all rounds, by who, threads and measure."""
    figures = collections.defaultdict(list)
    for _ in range(rounds):
        for threads in THREADS:
            said = subprocess.run([program, str(threads), str(calls), "1"], check=True, stdout=subprocess.PIPE, text=True).stdout
            for line in said.splitlines():
                who, _, *values = line.split("\t")
                for measured, value in enumerate(values):
                    figures[who, threads, measured].append(float(value))
    return figures


def cell(values, shape):
    middle, least, most = (shape.format(value) for value in (statistics.median(values), min(values), max(values)))
    return f"{middle} ({least}–{most})"


def versions():
    return [("jobd_call, jobd_group_call", "libjobd of this tree")] + [
        (name, subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], check=True, stdout=subprocess.PIPE,
                              text=True).stdout) for name, package in PACKAGES]


def page(figures, rounds, calls, took_s):
    whos = list(dict.fromkeys(who for who, _, _ in figures))
    yield "# A call that does nothing\n"
    yield f"Written by `make bench-calls`: rounds: {rounds}, {took_s / 60:.0f} min in all. Median (least–most).\n"
    yield "|  |  |\n|---|---|"
    for name, value in machine.facts_of_machine() + versions():
        yield f"| {name} | {value} |"
    for measured, (name, what, shape) in enumerate(MEASURES):
        yield f"\n## {name[0].upper() + name[1:]}\n\n{what.format(calls=calls)}\n"
        yield "| threads | " + " | ".join(whos) + " |\n|---|" + "---|" * len(whos)
        for threads in THREADS:
            yield f"| {threads} | " + " | ".join(cell(figures[who, threads, measured], shape) for who in whos) + " |"
    yield ("\nlibuv's calls are ended in the thread that asked for them, and so are those of a group of jobd, which has a "
           "result of each; of the others only the end of all is waited for. OpenMP's tasks are made by the thread that "
           "asks for them too, so it has one more.")


def main():
    program, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    calls = int(sys.argv[4]) if len(sys.argv) > 4 else 200000
    begun = time.monotonic()
    figures = measure(program, rounds, calls)
    text = "\n".join(page(figures, rounds, calls, time.monotonic() - begun)) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "calls.md").write_text(text, encoding="utf-8")
    print(text, end="")


main()
