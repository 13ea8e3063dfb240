# SPDX-License-Identifier: MIT
"""Real jobs: puts of 100 bytes beside beanstalkd's, and what a put costs as the queue grows."""

import time

from .figures import Row, of, ratios
from .load import client_run
from .peers import beanstalkd_figures, prometheus

CLIENTS = 64
FEW = 8
BYTES = 100
ROOM = 10000000  # jobs that may wait: more than any window puts
TAKEN = 500000  # at most, of what was put
BATCH = 100
BATCHES = 20000
TAKES = 160  # of BATCH jobs: as many as may be leased
TAKE_TURNS = 10


def start_waiting_room(context, *extra):
    """A jobd whose jobs only wait; it is not to wait for them in turn when it is stopped."""
    return context.peers["jobd"].start(
        context.folder, "-q", ROOM, "-w", 0, "--memory", "4GiB", "--grace", "1ms", *extra
    )


def put_jobd(context, round):
    """Puts for the usual window, then takes what was put, at most so much, each with its lease ended."""
    protocol = context.protocol
    run = context.new_run("put", round, "jobd", CLIENTS)
    take = context.new_run("take", round, "jobd", CLIENTS)
    try:
        with start_waiting_room(context) as server:
            client_run(
                context.build,
                server,
                run,
                f"-n {CLIENTS} -w {protocol.warmup} -d {protocol.seconds} -m POST -s {BYTES}",
                "/do",
                protocol.warmup + protocol.seconds,
            )
            waiting = prometheus(server.port)['jobd_queue_queued{queue="default"}']
            if waiting < run.n202:
                run.fail(f"{run.n202} times 202, {waiting:.0f} jobs wait")
            if run.n429:
                run.fail(f"{run.n429} times 429: the queue was too small")
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
        (take if run.operations else run).fail(str(error))
    context.finish(run)
    context.finish(take)


def put_batches(context, round):
    """Many jobs a request: so many requests, not so long, as the queue would overflow."""
    run = context.new_run("batch", round, "jobd", CLIENTS)
    try:
        with start_waiting_room(context) as server:
            client_run(
                context.build,
                server,
                run,
                f"-n {CLIENTS} -c {BATCHES} -m POST -s {BYTES} -b {BATCH}",
                "/do?batch=lines",
                120,
            )
            waiting = prometheus(server.port)['jobd_queue_queued{queue="default"}']
            if waiting != run.n202 * BATCH:
                run.fail(f"{run.n202} times 202, {waiting:.0f} jobs wait")
            run.operations *= BATCH
    except (RuntimeError, OSError) as error:
        run.fail(str(error))
    context.finish(run)


def beanstalkd_put_and_take(context, round):
    """Puts for the usual window, then takes what was put, at most so much."""
    protocol = context.protocol
    run = context.new_run("put", round, "beanstalkd", CLIENTS)
    take = context.new_run("take", round, "beanstalkd", CLIENTS)
    try:
        with context.peers["beanstalkd"].start(context.folder) as server:
            client_run(
                context.build,
                server,
                run,
                f"-p put -n {CLIENTS} -w {protocol.warmup} -d {protocol.seconds} -s {BYTES}",
                "",
                protocol.warmup + protocol.seconds,
            )
            waiting = int(beanstalkd_figures(server.port)["current-jobs-ready"])
            if waiting < run.n202:
                run.fail(f"{run.n202} puts, {waiting} jobs wait")
            count = min(waiting - CLIENTS, TAKEN)
            client_run(context.build, server, take, f"-p take -n {CLIENTS} -c {count}", "", 600)
            left = int(beanstalkd_figures(server.port)["current-jobs-ready"])
            if waiting - left != take.operations:
                take.fail(f"{take.operations} jobs taken, {waiting - left} gone")
    except (RuntimeError, OSError) as error:
        (take if run.operations else run).fail(str(error))
    context.finish(run)
    context.finish(take)


def take_many(context, round):
    """Up to 100 jobs a request. Only so many leases may be out: takes as many, lets them run out, and again."""
    run = context.new_run("take many", round, "jobd", FEW)
    operations, seconds, user, system = 0, 0.0, 0.0, 0.0
    try:
        with start_waiting_room(context, "--keep", 0) as server:
            for _ in range(TAKE_TURNS):
                fill = context.new_run("fill to take", round, "jobd", CLIENTS)
                context.runs.remove(fill)
                client_run(
                    context.build,
                    server,
                    fill,
                    f"-n {FEW} -c {TAKES} -m POST -s {BYTES} -b {BATCH}",
                    "/do?batch=lines",
                    60,
                )
                client_run(
                    context.build,
                    server,
                    run,
                    f"-n {FEW} -c {TAKES} -m POST -j",
                    f"/take?max={BATCH}&lease=1s",
                    60,
                )
                leased = prometheus(server.port)['jobd_queue_leased{queue="default"}']
                if leased != run.operations * BATCH:
                    run.fail(f"{run.operations} times {BATCH} jobs taken, {leased:.0f} are")
                operations, seconds = operations + run.operations * BATCH, seconds + run.seconds
                user, system = user + run.user_s, system + run.system_s
                while prometheus(server.port)['jobd_queue_leased{queue="default"}']:
                    time.sleep(0.1)
    except (RuntimeError, OSError) as error:
        run.fail(str(error))
    run.operations, run.seconds, run.user_s, run.system_s = operations, seconds, user, system
    context.finish(run)


def depth(context, round):
    """A put and its cancellation, so that the queue stays about as deep as it was made; by few clients,
    as each adds a job of its own, but enough of them that the server does not fall asleep in between."""
    protocol = context.protocol
    for jobs in (10, 1000, 1000000):
        run = context.new_run(f"depth {jobs}", round, "jobd", FEW)
        fill = context.new_run(f"fill to {jobs}", round, "jobd", 1)
        try:
            with start_waiting_room(context) as server:
                client_run(
                    context.build,
                    server,
                    fill,
                    f"-n {min(jobs, CLIENTS)} -c {jobs} -m POST -s {BYTES}",
                    "/do",
                    120,
                )
                warmup, seconds = max(1, protocol.warmup // 4), max(2, protocol.seconds // 2)
                client_run(
                    context.build,
                    server,
                    run,
                    f"-n {FEW} -w {warmup} -d {seconds} -m POST -s {BYTES} -f DELETE",
                    "/do",
                    warmup + seconds,
                )
                waiting = prometheus(server.port)['jobd_queue_queued{queue="default"}']
                if not jobs <= waiting <= jobs + FEW:
                    run.fail(f"{waiting:.0f} jobs wait, not {jobs}")
        except (RuntimeError, OSError) as error:
            run.fail(str(error))
        context.runs.remove(fill)
        context.finish(run)


def run(context):
    peers = context.here("jobd", "beanstalkd")
    beanstalkd = len(peers) == 2
    for round in range(1, context.protocol.rounds + 1):
        if round % 2:
            put_jobd(context, round)
        if beanstalkd:
            beanstalkd_put_and_take(context, round)
        if not round % 2:
            put_jobd(context, round)
        put_batches(context, round)
        take_many(context, round)
        depth(context, round)
    rows(context)


def rate_and_cpu(runs):
    rate, cpu = of(runs, "per_second"), of(runs, "cpu_us")
    return f"{rate.median:,.0f}/s, {cpu.median:.1f} µs" if rate else "no valid run"


def rows(context):
    left_out = context.peers["beanstalkd"].missing
    missing = f"left out: {left_out}" if left_out else ""
    put, put_b = context.of("put", "jobd"), context.of("put", "beanstalkd")
    batch, take = context.of("batch", "jobd"), context.of("take", "jobd")
    take_b, many = context.of("take", "beanstalkd"), context.of("take many", "jobd")
    cpu, theirs = of(put, "cpu_us"), of(put_b, "cpu_us")
    beside = f"{cpu.median:.1f} against {theirs.median:.1f} µs" if cpu and theirs else ""
    later = lambda runs: f"beanstalkd: {rate_and_cpu(runs)}" if not left_out else ""
    context.rows += [
        Row(
            "POST of 100 bytes, 64 clients",
            "CPU a put, against beanstalkd's put",
            ratios(put, put_b),
            1.0,
            0.9,
            beside=beside,
            missing=missing,
        ),
        Row(
            "take + done, 64 clients",
            "CPU a job, against beanstalkd's reserve + delete",
            ratios(take, take_b),
            1.0,
            0.9,
            beside=f"{rate_and_cpu(take)}; {later(take_b)}",
            missing=missing,
        ),
        Row(
            f"`batch=lines`, {BATCH} a request",
            "jobs/s, against beanstalkd's one by one",
            ratios(batch, put_b, "per_second"),
            8,
            20,
            least=True,
            form="{:.1f}",
            beside=f"{rate_and_cpu(batch)}; {later(put_b)}",
            missing=missing,
        ),
        Row(
            "take with `max=100`",
            "jobs/s, against beanstalkd's one by one",
            ratios(many, take_b, "per_second"),
            8,
            20,
            least=True,
            form="{:.1f}",
            beside=f"{rate_and_cpu(many)}, without their `done`; {later(take_b)}",
            missing=missing,
        ),
    ]
    cost = {jobs: context.of(f"depth {jobs}", "jobd") for jobs in (10, 1000, 1000000)}
    for jobs in (1000, 1000000):
        cpu, base = of(cost[jobs], "cpu_us"), of(cost[10], "cpu_us")
        context.rows.append(
            Row(
                f"queue {jobs:,} deep",
                "CPU of a put and its cancel, against depth 10",
                ratios(cost[jobs], cost[10]),
                1.15,
                beside=f"{cpu.median:.1f} against {base.median:.1f} µs" if cpu and base else "",
            )
        )
