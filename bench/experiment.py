# SPDX-License-Identifier: MIT
"""The comparison that jobd began with, `make bench-experiment`: `/do` of jobd and of the two little servers, at moderate
and at higher concurrency, with the windows that were agreed on then; the page of it.

    experiment.py [--build DIR] [--out DIR] [--quick] [--rounds N]"""

import argparse
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time

from harness import do, machine, peers, report, servers
from harness.context import Context, Protocol
from harness.figures import of

HERE = pathlib.Path(__file__).resolve().parent
SERVERS = ("jobd", "go", "axum", "axum-wait")
WINDOWS = (10, 20)  # warm-up and measured, seconds
HEAD = ("connections", "server", "requests/s", "CPU µs a request", "core used", "p50 ms", "p99 ms", "202", "429", "memory MiB")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/default", help="where jobd and the tools were built")
    parser.add_argument("--out", default=HERE / "results", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true", help="1 s of warm-up and 2 s measured")
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


def line(context, connections, name):
    runs = context.of("do", name, connections)
    good = [run for run in runs if run.good]
    title = context.peers[name].title
    if not good:
        return [connections, title, runs[0].problem if runs else context.peers[name].missing] + [""] * 7
    return [
        connections,
        title,
        of(good, "per_second").text("{:,.0f}"),
        of(good, "cpu_us").text("{:.2f}"),
        f"{of(good, 'core_percent').median:.0f} %",
        f"{of(good, 'p50_us').median / 1000:.2f}",
        f"{of(good, 'p99_us').median / 1000:.2f}",
        f"{of(good, 'n202').median:,.0f}",
        f"{of(good, 'n429').median:,.0f}",
        f"{of(good, 'rss_kib').median / 1024:.1f}",
    ]


def page(context, took_s):
    p = context.protocol
    yield "# The experiment"
    yield ""
    yield (
        f"Written by `make bench-experiment`: rounds: {p.rounds}, {p.warmup} s of warm-up and {p.seconds} s measured a run, "
        f"{took_s / 60:.0f} min in all. Median, with the least and the most where there is room. "
        "What is measured: [the benchmark's README](../README.md#the-experiment)."
    )
    if p.quick:
        yield "**A quick run: its figures show that the rows work, they are not to be quoted.**"
    yield ""
    yield from report.table(["", ""], machine.facts(context.build / "jobd"))
    yield ""
    yield from report.table(
        HEAD, [line(context, connections, name) for connections in do.MAIN for name in SERVERS]
    )
    yield ""
    yield "## Honesty"
    yield ""
    yield from report.honesty(context)


def main():
    given = arguments()
    protocol = Protocol(given.quick, given.rounds, *((1, 2) if given.quick else WINDOWS))
    machine.raise_open_files()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # a benchmark that is ended ends its servers too
    given.out.mkdir(parents=True, exist_ok=True)
    scratch = os.path.abspath(tempfile.mkdtemp(prefix="experiment-", dir=given.build))
    context = Context(given.build, scratch, protocol, peers.all_peers(given.build))
    begun = time.monotonic()
    try:
        for round in range(1, protocol.rounds + 1):
            for connections in do.MAIN:
                for peer in do.rotated(context.here(*SERVERS), round):
                    do.measure(context, "do", round, peer, connections, protocol.warmup, protocol.seconds)
    finally:
        servers.stop_all()
        shutil.rmtree(scratch, ignore_errors=True)
    text = "\n".join(page(context, time.monotonic() - begun)) + "\n"
    (given.out / "experiment.md").write_text(text)
    print(text)
    return 0 if all(run.good for run in context.runs) else 1


if __name__ == "__main__":
    sys.exit(main())
