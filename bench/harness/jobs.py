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
TAKES = 10000  # of BATCH jobs


def start_waiting_room(context, *extra, peer="jobd"):
    """A jobd whose jobs only wait; it is not to wait for them in turn when it is stopped."""
    return context.peers[peer].start(
        context.folder, "-q", ROOM, "-w", 0, "--memory", "4GiB", "--grace", "1ms", *extra
    )


def put_jobd(context, round, peer):
    """Puts for the usual window, then takes what was put, at most so much, each with its lease ended."""
    protocol = context.protocol
    run = context.new_run("put", round, peer, CLIENTS)
    take = context.new_run("take", round, peer, CLIENTS)
    try:
        with start_waiting_room(context, peer=peer) as server:
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
    """100 jobs a request, in JSON, and one request more that ends them all."""
    run = context.new_run("take many", round, "jobd", FEW)
    fill = context.new_run("fill to take", round, "jobd", CLIENTS)
    context.runs.remove(fill)
    try:
        with start_waiting_room(context) as server:
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
                f"-n {FEW} -c {TAKES} -m POST -j -e /leases/done",
                f"/take?max={BATCH}",
                60,
            )
            run.operations *= BATCH
            done = prometheus(server.port)['jobd_jobs_done_total{queue="default"}']
            if done != run.operations:
                run.fail(f"{run.operations} jobs taken and done, {done:.0f} are")
    except (RuntimeError, OSError) as error:
        run.fail(str(error))
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
                few = jobs < BATCH
                client_run(
                    context.build,
                    server,
                    fill,
                    f"-n {FEW} -m POST -s {BYTES} " + (f"-c {jobs}" if few else f"-c {jobs // BATCH} -b {BATCH}"),
                    "/do" if few else "/do?batch=lines",
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
    own = [peer.name for peer in context.here("jobd", "static")]
    for round in range(1, context.protocol.rounds + 1):
        turns = [lambda name=name: put_jobd(context, round, name) for name in own]
        if beanstalkd:
            turns.insert(1, lambda: beanstalkd_put_and_take(context, round))
        for turn in turns if round % 2 else reversed(turns):
            turn()
        put_batches(context, round)
        take_many(context, round)
        depth(context, round)
    rows(context)


def rate_and_cpu(runs):
    rate, cpu = of(runs, "per_second"), of(runs, "cpu_us")
    return f"{rate.median:,.0f}/s, {cpu.median:.1f} µs" if rate else "no valid run"


def beside_beanstalkd(context, peer):
    """A put, and a job's whole life, one job a request."""
    left_out = context.peers["beanstalkd"].missing or context.peers[peer].missing
    missing = f"left out: {left_out}" if left_out else ""
    put, put_b = context.of("put", peer), context.of("put", "beanstalkd")
    take, take_b = context.of("take", peer), context.of("take", "beanstalkd")
    cpu, theirs = of(put, "cpu_us"), of(put_b, "cpu_us")
    of_whom = "" if peer == "jobd" else f"{context.peers[peer].title}: "
    return [
        Row(
            f"{of_whom}POST of 100 bytes, 64 clients",
            "CPU a put, against beanstalkd's put",
            ratios(put, put_b),
            0.95,
            0.85,
            beside=f"{cpu.median:.1f} against {theirs.median:.1f} µs" if cpu and theirs else "",
            missing=missing,
        ),
        Row(
            f"{of_whom}take + done, 64 clients",
            "CPU a job, against beanstalkd's reserve + delete",
            ratios(take, take_b),
            0.9,
            0.8,
            beside=f"{rate_and_cpu(take)}; beanstalkd: {rate_and_cpu(take_b)}" if not missing else "",
            missing=missing,
        ),
    ]


def rows(context):
    left_out = context.peers["beanstalkd"].missing
    missing = f"left out: {left_out}" if left_out else ""
    put_b, take_b = context.of("put", "beanstalkd"), context.of("take", "beanstalkd")
    batch, many = context.of("batch", "jobd"), context.of("take many", "jobd")
    later = lambda runs: f"beanstalkd: {rate_and_cpu(runs)}" if not left_out else ""
    context.rows += [
        *beside_beanstalkd(context, "jobd"),
        *beside_beanstalkd(context, "static"),
        Row(
            f"`batch=lines`, {BATCH} a request",
            "jobs/s, against beanstalkd's one by one",
            ratios(batch, put_b, "per_second"),
            20,
            30,
            least=True,
            form="{:.1f}",
            beside=f"{rate_and_cpu(batch)}; {later(put_b)}",
            missing=missing,
        ),
        Row(
            "take with `max=100`, `/leases/done` for all",
            "jobs/s, against beanstalkd's one by one",
            ratios(many, take_b, "per_second"),
            10,
            20,
            least=True,
            form="{:.1f}",
            beside=f"{rate_and_cpu(many)}; {later(take_b)}",
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
