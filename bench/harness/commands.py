# SPDX-License-Identifier: MIT
"""Commands as jobs: jobd's exec runner beside a bare loop that starts the same command."""

import subprocess
import time

from . import machine
from .figures import Row, ratios
from .load import Watch, client_run
from .peers import prometheus

COMMAND = ("/bin/true",)
MOST_A_SECOND = 10000  # more than any machine runs


def by_jobd(context, round):
    """One worker, a queue that is never empty: how many commands end in the window."""
    protocol = context.protocol
    run = context.new_run("exec", round, "jobd", 1)
    fill = context.new_run("exec, filling", round, "jobd", 1)
    jobs = protocol.seconds * MOST_A_SECOND
    try:
        with context.peers["jobd"].start(
            context.folder, "-q", jobs, "--grace", "1ms", "--", *COMMAND
        ) as server:
            client_run(context.build, server, fill, f"-n 16 -c {jobs} -m POST", "/do", 120)
            done = 'jobd_jobs_done_total{queue="default"}'
            before, begun = prometheus(server.port), time.monotonic()
            watch = Watch(server)
            time.sleep(protocol.seconds)
            watch.stop(run)
            after, run.seconds = prometheus(server.port), time.monotonic() - begun
            run.operations = int(after[done] - before[done])
            if after['jobd_queue_queued{queue="default"}'] == 0:
                run.fail("the queue ran empty")
            if after['jobd_jobs_failed_total{queue="default"}']:
                run.fail("commands failed")
    except (RuntimeError, OSError) as error:
        run.fail(str(error))
    context.runs.remove(fill)
    context.finish(run)


def bare(context, round):
    run = context.new_run("exec", round, "bare loop", 1)
    done = subprocess.run(
        machine.pinned(
            machine.SERVER_CORE,
            [context.build / "bench/spawn_loop", context.protocol.seconds, *COMMAND],
        ),
        capture_output=True,
        text=True,
        timeout=context.protocol.seconds + 60,
    )
    if done.returncode == 0:
        seconds, runs = done.stdout.split()
        run.seconds, run.operations = float(seconds), int(runs)
    else:
        run.fail(done.stderr.strip())
    context.finish(run)


def run(context):
    for round in range(1, context.protocol.rounds + 1):
        order = (by_jobd, bare) if round % 2 else (bare, by_jobd)
        for measure in order:
            measure(context, round)
    mine, theirs = context.of("exec", "jobd"), context.of("exec", "bare loop")
    rates = [sorted(r.per_second for r in runs if r.good) for runs in (mine, theirs)]
    beside = (
        " against ".join(f"{rate[len(rate) // 2]:,.0f}" for rate in rates) + " a second" if all(rates) else ""
    )
    context.rows.append(
        Row(
            "exec of a trivial command",
            "commands/s, against a bare posix_spawn loop",
            ratios(mine, theirs, "per_second"),
            1.0,
            least=True,
            beside=beside,
        )
    )
