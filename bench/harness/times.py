# SPDX-License-Identifier: MIT
"""Times: from exec to the first answer, and from a put to its worker's start at half load."""

import subprocess

from . import machine
from .figures import Row, figure
from .load import Watch, own_client
from .peers import prometheus
from .servers import free_port


def first_answer(context):
    times = 5 if context.protocol.quick else 20
    found = {}
    for peer in context.here("jobd", "nginx", "axum", "go"):
        port = free_port()
        path = "/healthz" if peer.name == "jobd" else "/stats"
        command = [
            context.build.resolve() / "bench/first_answer",
            times,
            port,
            path,
            *machine.pinned(machine.SERVER_CORE, peer.command(port, context.folder)),
        ]
        done = subprocess.run(
            machine.pinned(machine.LOAD_CORE, command), capture_output=True, text=True, timeout=120
        )
        if done.returncode == 0:
            found[peer.name] = figure(float(line) / 1000 for line in done.stdout.split())
        context.say(
            f"start-up of {peer.name}: {found[peer.name].text() + ' ms' if peer.name in found else done.stderr.strip()}"
        )
    others = ", ".join(
        f"{context.peers[name].title} {value.median:.1f}" for name, value in found.items() if name != "jobd"
    )
    context.rows += [
        Row(
            "start",
            "from exec to the first answer",
            found.get("jobd"),
            form="{:.1f}",
            unit=" ms",
            beside=others,
        ),
    ]


def lines_client(context, server, run, options, seconds):
    """The load client, which reads what the server writes: a line a job."""
    options = f"{options} -l -m POST -s 100"
    with own_client(context.build, options, server.port, "/do", server.process.stdout) as client:
        client.wait_for("window")
        earlier, watch = client.cpu(), Watch(server)
        figures = client.figures(seconds)
        watch.stop(run, earlier)
        return figures


def upper_bound(figures, permille):
    """The histogram's bucket in which that part of the jobs had started: the server's own view, in µs."""
    buckets = [
        (name.partition('le="')[2].rstrip('"}'), value)
        for name, value in figures.items()
        if name.startswith("jobd_job_wait_seconds_bucket")
    ]
    whole = buckets[-1][1]
    return next(float(bound) * 1e6 for bound, value in buckets if value >= whole * permille / 1000)


def put_to_start(context):
    """Jobs that take no time, so that the line which a worker writes is written as it starts."""
    protocol = context.protocol
    p50, p99, own, rates = [], [], [], []
    for round in range(1, protocol.rounds + 1):
        start = lambda: context.peers["jobd"].start(context.folder, "-q", 100000, "--sleep", "0ms", pipe=True)
        run = context.new_run("put to start", round, "jobd", 64)
        try:
            with start() as server:
                full = lines_client(context, server, run, "-n 64 -w 1 -d 2", 3)
            rate = full["started_count"] / full["seconds"] / 2
            with start() as server:
                half = lines_client(
                    context,
                    server,
                    run,
                    f"-n {64} -r {rate:.0f} -w {max(1, protocol.warmup // 4)} -d {protocol.seconds}",
                    protocol.warmup + protocol.seconds,
                )
                own.append(upper_bound(prometheus(server.port), 990))
            run.seconds, run.operations = half["seconds"], int(half["operations"])
            run.n202, run.n429 = int(half.get("status_202", 0)), int(half.get("status_429", 0))
            run.jobs_done = int(half["started_count"])
            run.p50_us, run.p90_us = half["started_p50"], half["started_p90"]
            run.p99_us, run.p999_us = half["started_p99"], half["started_p999"]
            if half["errors"] or run.n429:
                run.fail(f"{half['errors']:.0f} errors, {run.n429} times 429")
            if abs(run.per_second - rate) > rate / 50:
                run.fail(f"{run.per_second:.0f} a second, not {rate:.0f}")
            if run.good:
                p50.append(run.p50_us)
                p99.append(run.p99_us)
                rates.append(rate)
        except (RuntimeError, OSError) as error:
            run.fail(str(error))
        context.finish(run)
    row = Row(
        "from put to the worker's start, half load",
        "p99, seen from outside",
        figure(p99),
        200,
        100,
        form="{:.0f}",
        unit=" µs",
    )
    if p99:
        row.beside = (
            f"p50 {figure(p50).median:.0f} µs, at {figure(rates).median:,.0f} jobs/s; by jobd's own histogram "
            f"p99 is at most {max(own):.0f} µs"
        )
    context.rows.append(row)


def run(context):
    first_answer(context)
    put_to_start(context)
