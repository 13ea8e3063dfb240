# SPDX-License-Identifier: MIT
"""Jobs on disk: puts beside beanstalkd's with a sync each and jobd's own in memory; a start with a million."""

import os
import shutil
import subprocess

from . import machine
from .figures import Row, figure, of, ratios
from .jobs import BATCH, BYTES, CLIENTS, rate_and_cpu, start_waiting_room
from .load import client_run
from .peers import prometheus
from .servers import free_port

JOBS = 1000000
TAKEN = 100000  # at most, of what was put


def put_and_take(context, round, kind, *options):
    """Puts for the usual window, then takes some of them, each with its lease ended."""
    protocol = context.protocol
    put = context.new_run(f"{kind} put", round, "jobd", CLIENTS)
    take = context.new_run(f"{kind} take", round, "jobd", CLIENTS)
    try:
        with start_waiting_room(context, *options) as server:
            client_run(
                context.build,
                server,
                put,
                f"-n {CLIENTS} -w {min(protocol.warmup, 5)} -d {protocol.seconds} -m POST -s {BYTES}",
                "/do",
                protocol.warmup + protocol.seconds,
            )
            waiting = prometheus(server.port)['jobd_queue_queued{queue="default"}']
            if waiting < put.n202 or put.n429:
                put.fail(f"{put.n202} times 202, {put.n429} times 429, {waiting:.0f} jobs wait")
            client_run(
                context.build,
                server,
                take,
                f"-n {CLIENTS} -c {min(int(waiting) - CLIENTS, TAKEN)} -m POST -f POST -F /done",
                "/take",
                600,
            )
            done = prometheus(server.port)['jobd_jobs_done_total{queue="default"}']
            if done != take.operations:
                take.fail(f"{take.operations} jobs taken and done, {done:.0f} are")
    except (RuntimeError, OSError) as error:
        (take if put.operations else put).fail(str(error))
    context.finish(put)
    context.finish(take)


def durable(context, round):
    data = context.folder / f"durable-{round}"
    put_and_take(context, round, "durable", "--data", data)
    shutil.rmtree(data, ignore_errors=True)


def beanstalkd(context, round):
    protocol = context.protocol
    run = context.new_run("durable put", round, "beanstalkd", CLIENTS)
    data = context.folder / f"beanstalkd-{round}"
    data.mkdir(exist_ok=True)
    try:
        with context.peers["beanstalkd"].start(context.folder, "-b", data, "-f0") as server:
            client_run(
                context.build,
                server,
                run,
                f"-p put -n {CLIENTS} -w {min(protocol.warmup, 5)} -d {protocol.seconds} -s {BYTES}",
                "",
                protocol.warmup + protocol.seconds,
            )
    except (RuntimeError, OSError) as error:
        run.fail(str(error))
    shutil.rmtree(data, ignore_errors=True)
    context.finish(run)


def latencies(context, runs):
    good = [run for run in runs if run.good]
    if not good:
        return ""
    p50, p99 = figure(run.p50_us / 1000 for run in good), figure(run.p99_us / 1000 for run in good)
    return f"p50 {p50.median:.1f} ms, p99 {p99.text('{:.1f}', ' ms')}"


def put_rows(context):
    left_out = context.peers["beanstalkd"].missing
    here, theirs = context.of("durable put", "jobd"), context.of("durable put", "beanstalkd")
    memory = context.of("volatile put", "jobd")
    take, memory_take = context.of("durable take", "jobd"), context.of("volatile take", "jobd")
    context.rows += [
        Row(
            f"durable put, {CLIENTS} clients",
            "puts/s, against beanstalkd `-f0`",
            ratios(here, theirs, "per_second"),
            10,
            15,
            least=True,
            form="{:.1f}",
            beside=f"{rate_and_cpu(here)}; beanstalkd: {rate_and_cpu(theirs)}",
            missing=f"left out: {left_out}" if left_out else "",
        ),
        Row(
            f"durable put, {CLIENTS} clients",
            "puts/s, against jobd in memory",
            ratios(here, memory, "per_second"),
            0.6,
            0.8,
            least=True,
            beside=f"{rate_and_cpu(memory)}; durable: {latencies(context, here)}",
        ),
        Row(
            f"durable take + done, {CLIENTS} clients",
            "jobs/s, against jobd in memory",
            ratios(take, memory_take, "per_second"),
            0.6,
            0.8,
            least=True,
            beside=f"{rate_and_cpu(take)}; in memory: {rate_and_cpu(memory_take)}; {latencies(context, take)}",
        ),
    ]


def start_with(context, data, times):
    """Seconds from exec to the first answer."""
    port = free_port()
    options = ("-q", JOBS, "-w", 0, "--memory", "1GiB", "--data", data)
    command = [
        context.build.resolve() / "bench/first_answer",
        times,
        port,
        "/healthz",
        *machine.pinned(machine.SERVER_CORE, [*context.peers["jobd"].command(port, context.folder), *options]),
    ]
    done = subprocess.run(
        machine.pinned(machine.LOAD_CORE, command), capture_output=True, text=True, timeout=120
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return [float(line) / 1e6 for line in done.stdout.split()]


def forget_pages(data):
    """So that what is read next comes from the disk."""
    for path in data.iterdir():
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def a_million(context):
    run = context.new_run("a million jobs on disk", 1, "jobd", CLIENTS)
    data = context.folder / "a-million"
    warm, cold, each, kib = [], [], 0, 0
    try:
        with context.peers["jobd"].start(context.folder) as server:
            idle_kib = server.memory()
        with start_waiting_room(context, "--data", data) as server:
            options = f"-n {CLIENTS} -c {JOBS // BATCH} -m POST -s {BYTES} -b {BATCH}"
            client_run(context.build, server, run, options, "/do?batch=lines", 120)
            waiting = prometheus(server.port)['jobd_queue_queued{queue="default"}']
            if waiting != JOBS:
                run.fail(f"{waiting:.0f} jobs wait, not {JOBS}")
        run.operations *= BATCH
        each = sum(file.stat().st_size for file in data.iterdir() if file.name != "ballast") / JOBS
        warm = start_with(context, data, 3 if context.protocol.quick else 10)
        for _ in range(3):
            forget_pages(data)
            cold += start_with(context, data, 1)
        with start_waiting_room(context, "--data", data) as server:
            prometheus(server.port)  # answered when all are there
            kib = (server.memory() - idle_kib) * 1024 / JOBS
    except (RuntimeError, OSError) as error:
        run.fail(str(error))
    shutil.rmtree(data, ignore_errors=True)
    context.finish(run)
    context.rows += [
        Row(
            "start with a million jobs on disk",
            "from exec to the first answer",
            figure(warm),
            1.2,
            0.8,
            form="{:.1f}",
            unit=" s",
            beside=f"{figure(cold).median:.1f} s when the file is not in the page cache" if cold else "",
        ),
        Row(
            "a million jobs of 100 bytes on disk",
            "bytes of the file each",
            figure([each]) if run.good else None,
            form="{:.0f}",
            unit=" B",
            beside=f"memory each, after a start with them: {kib:.0f} B",
        ),
    ]


def run(context):
    peers = context.here("jobd", "beanstalkd")
    for round in range(1, context.protocol.rounds + 1):
        durable(context, round)
        if len(peers) == 2:
            beanstalkd(context, round)
        put_and_take(context, round, "volatile")
    put_rows(context)
    a_million(context)
