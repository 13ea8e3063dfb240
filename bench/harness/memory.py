# SPDX-License-Identifier: MIT
"""Memory: idle, a connection, a parked request, a waiting job; and `/do` beside parked requests."""

import re
import shutil
import subprocess
import time
import urllib.request

from .do import measure
from .figures import Row, figure, ratios
from .jobs import BYTES, CLIENTS
from .load import Watch, client_run, own_client, wrk
from .peers import get, prometheus

HELD = 10000
JOBS = 1000000


def idle(context):
    """After a handful of requests, so that what the first of them allocates is in."""
    for name, reach in (("jobd", 6), ("static", 2)):
        peer = context.peers[name]
        row = Row("idle" if name == "jobd" else f"{peer.title}: idle", "resident memory", reach=reach)
        row.form, row.unit = "{:.1f}", " MiB"
        context.rows.append(row)
        if peer.missing:
            row.missing = f"left out: {peer.missing}"
            continue
        values, private = [], []
        for _ in range(3):
            with peer.start(context.folder) as server:
                for _ in range(10):
                    get(server.port, "/healthz")
                values.append(server.memory() / 1024)
                private.append(server.memory("RssAnon") / 1024)
        row.value = figure(values)
        row.beside = f"{figure(private).median:.1f} MiB without what it maps from files"


def binary(context):
    stripped = context.folder / "stripped"
    shutil.copy(context.build / "jobd", stripped)
    subprocess.run(["strip", stripped], check=True)
    context.rows.append(
        Row(
            "idle",
            "binary, stripped, without its libraries",
            figure([stripped.stat().st_size / 1024]),
            500,
            form="{:.0f}",
            unit=" KiB",
        )
    )


def hold(context, server, path):
    """10,000 connections that have asked once and stay."""
    client = own_client(context.build, f"-H -n {HELD}", server.port, path, subprocess.PIPE)
    client.wait_for("asked")
    return client


def until(what, seconds=20):
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise RuntimeError(f"did not come to {HELD} held requests")
        time.sleep(0.05)


def connections(context):
    with context.peers["jobd"].start(context.folder) as server:
        get(server.port, "/healthz")
        before = server.memory()
        with hold(context, server, "/healthz") as client:
            client.wait_for("answered")
            each = (server.memory() - before) / HELD
            client.process.stdin.close()
    context.rows.append(
        Row(f"{HELD:,} idle connections", "memory each", figure([each]), form="{:.1f}", unit=" KiB")
    )


def far_job(port):
    """The id of a job that will not run while we measure."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/do?delay=1d", method="POST", data=b"")
    with urllib.request.urlopen(request, timeout=10) as reply:
        return int(re.search(r"\d+$", reply.headers["Location"]).group())


def parked_after_an_answer(context):
    """A connection that has answered once holds more than a fresh one, and a client that puts a job
    and then waits for it on the same connection is the usual case. Each parked request has its own job."""
    with context.peers["jobd"].start(context.folder, "-q", HELD, "--grace", "1ms") as server:
        get(server.port, "/healthz")
        before = server.memory()
        options = f"-H -n {HELD} -m POST -f GET -F ?wait=1h"
        with own_client(context.build, options, server.port, "/do?delay=1d", subprocess.PIPE) as client:
            client.wait_for("asked")
            until(lambda: prometheus(server.port)["jobd_requests_parked"] == HELD)
            each = (server.memory() - before) / HELD
            client.process.stdin.close()
    return each


def parked_at(context, path, waiting):
    """Puts of 100 bytes that wait for room, or takers who wait for a job, at a queue that holds so many."""
    with context.peers["jobd"].start(context.folder, "-q", 1, "-w", 0, "--grace", "1ms") as server:
        get(server.port, "/healthz")
        for _ in range(waiting):
            far_job(server.port)
        before = server.memory()
        options = f"-H -n {HELD} -m POST -s {BYTES if waiting else 0}"
        with own_client(context.build, options, server.port, path, subprocess.PIPE) as client:
            client.wait_for("asked")
            until(lambda: prometheus(server.port)["jobd_requests_parked"] == HELD)
            each = (server.memory() - before) / HELD
            client.process.stdin.close()
    return each


def parked(context):
    """`/do` with and without 10,000 parked requests, turn and turn about."""
    protocol = context.protocol
    each = []
    for round in range(1, protocol.rounds + 1):
        measure(
            context,
            "do beside nothing",
            round,
            context.peers["jobd"],
            64,
            max(1, protocol.warmup // 4),
            protocol.seconds,
        )
        run = context.new_run("do beside parked", round, "jobd", 64)
        try:
            with context.peers["jobd"].start(context.folder, "--grace", "1s") as server:
                job = far_job(server.port)
                before = server.memory()
                with hold(context, server, f"/jobs/{job}?wait=1h") as client:
                    until(lambda: prometheus(server.port)["jobd_requests_parked"] == HELD)
                    each.append((server.memory() - before) / HELD)
                    wrk(server.port, 64, max(1, protocol.warmup // 4))
                    watch = Watch(server)
                    figures = wrk(server.port, 64, protocol.seconds)
                    watch.stop(run)
                    if prometheus(server.port)["jobd_requests_parked"] != HELD:
                        run.fail("not all requests stayed parked")
                    client.process.stdin.close()
                run.seconds, run.operations = figures["duration_us"] / 1e6, int(figures["requests"])
                run.p50_us, run.p99_us, run.p999_us = figures["p50"], figures["p99"], figures["p999"]
                if any(
                    figures[name] for name in ("connect_errors", "read_errors", "write_errors", "timeouts")
                ):
                    run.fail("socket errors")
        except (RuntimeError, OSError) as error:
            run.fail(str(error))
        context.finish(run)
    blocked = [parked_at(context, "/do?block=1h", 1) for _ in range(protocol.rounds)]
    taking = [parked_at(context, "/take?wait=1h", 0) for _ in range(protocol.rounds)]
    beside, alone = context.of("do beside parked", "jobd"), context.of("do beside nothing", "jobd")
    context.rows += [
        Row(
            f"{HELD:,} requests parked at `?wait=`",
            "memory each, its connection and its job included",
            figure(parked_after_an_answer(context) for _ in range(protocol.rounds)),
            6,
            4,
            form="{:.1f}",
            unit=" KiB",
            beside=f"{figure(each).median:.1f} on connections that have answered nothing yet" if each else "",
        ),
        Row(
            f"`/do` beside {HELD:,} parked requests",
            "CPU a request, against none parked",
            ratios(beside, alone),
            1.10,
        ),
        Row(
            f"`/do` beside {HELD:,} parked requests",
            "requests/s, against none parked",
            ratios(beside, alone, "per_second"),
            0.90,
            least=True,
        ),
        Row(
            f"{HELD:,} requests parked at `?block=`, at take",
            "memory each",
            figure(blocked),
            6,
            4,
            form="{:.1f}",
            unit=" KiB",
            beside=f"at take: {figure(taking).median:.1f}",
        ),
    ]


def waiting_jobs(context):
    """A million jobs, against the same server when it holds none and against one that is left at its defaults."""
    run = context.new_run("a million jobs", 1, "jobd", CLIENTS)
    value, beside = None, ""
    try:
        with context.peers["jobd"].start(context.folder) as server:
            idle_kib = server.memory()
        with context.peers["jobd"].start(
            context.folder, "-q", JOBS, "-w", 0, "--memory", "256MiB", "--grace", "1ms"
        ) as server:
            empty_kib = server.memory()
            client_run(context.build, server, run, f"-n {CLIENTS} -c {JOBS} -m POST -s {BYTES}", "/do", 120)
            held = prometheus(server.port)['jobd_queue_queued{queue="default"}']
            if held != JOBS:
                run.fail(f"{held:.0f} jobs wait, not {JOBS}")
            value = (server.memory() - idle_kib) * 1024 / JOBS
            beside = f"an empty server with room for them: {empty_kib / 1024:.1f} MiB"
    except (RuntimeError, OSError) as error:
        run.fail(str(error))
    context.finish(run)
    context.rows.append(
        Row(
            f"{JOBS:,} waiting jobs of {BYTES} bytes",
            "memory each, payload included",
            figure([value]) if run.good else None,
            220,
            180,
            form="{:.0f}",
            unit=" B",
            beside=beside,
        )
    )


def run(context):
    for part in (idle, binary, connections, parked, waiting_jobs):
        context.say(f"memory: {part.__name__}")
        part(context)
