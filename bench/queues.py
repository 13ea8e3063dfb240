# SPDX-License-Identifier: MIT
"""Other queues beside jobd, `make bench-queues`: puts, take and done, and what each promises; the page of it.

    queues.py [--build DIR] [--out DIR] [--quick] [--rounds N] [--seconds N] [--warmup N] [--only NAME,...]

The server has the first core, the library with its 64 producers or workers the last."""

import argparse
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time

from harness import machine, peers, queues, report, servers
from harness.context import Context, Protocol
from harness.figures import figure, of

HERE = pathlib.Path(__file__).resolve().parent
HEAD = (
    "queue",
    "keeps jobs in",
    "puts/s",
    "CPU µs a put: server",
    "library",
    "take + done, jobs/s",
    "CPU µs a job: server",
    "library",
)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/default", help="where jobd and the tools were built")
    parser.add_argument("--out", default=HERE / "results", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, help="3; a quick run 1")
    parser.add_argument("--seconds", type=int, help="a window of puts: 3; a quick run 1")
    parser.add_argument("--warmup", type=int, help="2; a quick run 1")
    parser.add_argument("--only", default="", help="some of the queues, by name")
    return parser.parse_args()


def cells(context, queue):
    for what in ("put", "take"):
        runs = context.of(f"{what} {queue.keeps}", queue.title)
        good = [run for run in runs if run.good]
        if not good:
            yield from (runs[0].problem if runs else queue.missing, "", "")
            continue
        yield of(good, "per_second").text("{:,.0f}")
        yield of(good, "cpu_us").text("{:.1f}")
        yield figure(run.client_s / run.operations * 1e6 for run in good).text("{:.1f}")


def page(context, listed, took_s):
    p = context.protocol
    yield "# Other queues"
    yield ""
    yield (
        f"Written by `make bench-queues`: rounds: {p.rounds}, {p.warmup} s of warm-up and {p.seconds} s of puts, "
        f"{took_s / 60:.0f} min in all. Median (least–most). What is measured: [the benchmark's README](../README.md#other-queues)."
    )
    if p.quick:
        yield "**A quick run: its figures show that the rows work, they are not to be quoted.**"
    yield ""
    yield from report.table(["", ""], machine.facts_of_machine() + machine.facts_of_queues())
    yield ""
    yield from report.table(HEAD, [[queue.title, queue.keeps, *cells(context, queue)] for queue in listed])
    yield ""
    yield (
        "The server has a core to itself, and the library the other. The library of jobd and beanstalkd is the benchmark's own "
        "load client, in C; those of the others are what their users write programs with."
    )
    yield ""
    yield "## What each promises"
    yield ""
    yield "Of what was acknowledged; by their documentation, not tried here, but for jobd's, which its own tests try."
    yield ""
    yield from report.table(
        ("queue", "keeps jobs in", "lost when the server is killed", "lost in a power cut"),
        [[queue.title, queue.keeps, queue.killed, queue.power] for queue in listed],
    )


def main():
    given = arguments()
    usual = (1, 1, 1) if given.quick else (3, 2, 3)
    numbers = (given.rounds, given.warmup, given.seconds)
    protocol = Protocol(given.quick, *(value or default for value, default in zip(numbers, usual)))
    machine.raise_open_files()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # a benchmark that is ended ends its servers too
    given.out.mkdir(parents=True, exist_ok=True)
    scratch = os.path.abspath(tempfile.mkdtemp(prefix="queues-", dir=given.build))
    context = Context(given.build, scratch, protocol, peers.all_peers(given.build))
    wanted = given.only.split(",") if given.only else None
    listed = [queue for queue in queues.all_queues() if not wanted or queue.title in wanted]
    begun = time.monotonic()
    try:
        for round in range(1, protocol.rounds + 1):
            for queue in listed if round % 2 else reversed(listed):
                if queue.missing is None:
                    queues.measure(context, round, queue)
                elif round == 1:
                    context.say(f"{queue.title} is left out: {queue.missing}")
    finally:
        servers.stop_all()
        shutil.rmtree(scratch, ignore_errors=True)
    text = "\n".join(page(context, listed, time.monotonic() - begun)) + "\n"
    (given.out / "queues.md").write_text(text)
    print(text)
    return 0 if all(run.good for run in context.runs) else 1


if __name__ == "__main__":
    sys.exit(main())
