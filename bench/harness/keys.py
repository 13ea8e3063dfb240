# SPDX-License-Identifier: MIT
"""Keys that take turns, in the engine alone: a million jobs of one beside one job of another."""

import subprocess

from . import machine
from .figures import Row, figure

JOBS = 1000000
QUICK_JOBS = 100000


def run(context):
    protocol = context.protocol
    jobs = QUICK_JOBS if protocol.quick else JOBS
    command = [context.build / "bench/turns", jobs, protocol.rounds]
    done = subprocess.run(machine.pinned(machine.SERVER_CORE, command), capture_output=True, text=True, timeout=600)
    context.say(f"keys: {done.stdout.splitlines()[-1] if done.returncode == 0 else done.stderr.strip()}")
    lines = done.stdout.splitlines()
    of = lambda start: [line.removeprefix(start).split() for line in lines if line.startswith(start)]
    plain, fair = of("in order of coming"), of("keys take turns")
    latest = max((int(line[4]) for line in fair), default=0)
    ratio = lambda at: figure(float(f[at]) / float(p[at]) for f, p in zip(fair, plain))
    put = ratio(0)
    context.rows += [
        Row(
            f"keys: {jobs:,} jobs of one beside a job of another",
            "CPU of the engine a take and its end, against no keys",
            ratio(1),
            1.1,
            beside=f"a put: {put.text()}" if put else "",
        ),
        Row(
            f"keys: {jobs:,} jobs of one beside a job of another",
            "takes until the one job's turn",
            figure([latest]) if latest else None,
            2,
            form="{:.0f}",
        ),
    ]
