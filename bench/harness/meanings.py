# SPDX-License-Identifier: MIT
"""What the peers' two meanings of full, and their two kinds of concurrency, do to those who ask."""

from .do import measure
from .figures import figure, of
from .load import client_run

RATES = (5, 10, 20, 40, 80, 160, 320, 640, 1280)
QUICK_RATES = (5, 20, 80, 320, 1280)  # also of short windows
CONNECTIONS = 256


def offered(context, peer, rate):
    """An open loop: requests come at their rate, whether or not those before are answered."""
    protocol = context.protocol
    run = context.new_run("offered", 1, peer.name, rate)
    warmup, seconds = min(protocol.warmup, 3), min(protocol.seconds, 6)
    try:
        with peer.start(context.folder) as server:
            client_run(
                context.build,
                server,
                run,
                f"-n {CONNECTIONS} -r {rate} -w {warmup} -d {seconds}",
                "/do",
                warmup + seconds,
            )
            total = peer.counts(server)
            server.stop()
            if server.done_lines() != total.accepted:
                run.fail(f"{total.accepted} times 202, {server.done_lines()} jobs done after the drain")
    except (RuntimeError, OSError) as error:
        run.fail(str(error))
    context.finish(run)


def run(context):
    for rate in QUICK_RATES if context.protocol.seconds < 5 else RATES:
        for peer in context.here("jobd", "go", "axum", "axum-wait"):
            offered(context, peer, rate)
    protocol = context.protocol
    for round in range(1, protocol.rounds + 1):
        for peer in context.here("axum-wait", "go-spin", "axum-spin"):
            measure(context, "meaning", round, peer, 64, max(2, protocol.warmup // 4), protocol.seconds)
    tables(context)


def line(context, title, runs):
    good = [run for run in runs if run.good]
    if not good:
        return [title, runs[0].problem if runs else "left out"] + [""] * 6
    ms = lambda what: figure(getattr(run, what) / 1000 for run in good).text()
    return [
        title,
        of(good, "per_second").text("{:,.0f}"),
        of(good, "cpu_us").text("{:.1f}"),
        ms("p50_us"),
        ms("p99_us"),
        ms("p999_us"),
        f"{of(good, 'n202').median:,.0f}",
        f"{of(good, 'n429').median:,.0f}",
    ]


def tables(context):
    head = ["who", "answers/s", "CPU µs", "p50 ms", "p99 ms", "p99.9 ms", "202", "429"]
    rows = [(context.peers[name].title, context.of("do", name, 64)) for name in ("jobd", "go", "axum")]
    rows += [
        (context.peers[name].title, context.of("meaning", name))
        for name in ("go-spin", "axum-spin", "axum-wait")
    ]
    context.extras.append(
        (
            "Sleeping, computing, waiting",
            "64 connections. Jobs sleep 50 ms, or compute for 50 ms, or the one who asks waits for room. Where 20 a second are answered, no latency can be longer than the window: the true ones are.",
            head,
            [line(context, title, runs) for title, runs in rows if runs],
        )
    )
    head = (
        ["offered/s"]
        + [
            f"{context.peers[name].title}: {what}"
            for name in ("jobd", "go", "axum")
            for what in ("202/s", "429/s")
        ]
        + ["axum, send().await: 202/s", "its p50 ms"]
    )
    lines = []
    for rate in RATES:
        if not any(run.row == "offered" and run.connections == rate for run in context.runs):
            continue
        cells = [rate]
        for name in ("jobd", "go", "axum"):
            run = next((r for r in context.of("offered", name, rate) if r.good), None)
            cells += [f"{run.n202 / run.seconds:.1f}", f"{run.n429 / run.seconds:.1f}"] if run else ["", ""]
        run = next((r for r in context.of("offered", "axum-wait", rate) if r.good), None)
        cells += [f"{run.n202 / run.seconds:.1f}", f"{run.p50_us / 1000:.1f}"] if run else ["", ""]
        lines.append(cells)
    context.extras.append(
        (
            "Backpressure",
            f"Requests come at a fixed rate over {CONNECTIONS} connections; the one worker can do 20 jobs a second.",
            head,
            lines,
        )
    )
