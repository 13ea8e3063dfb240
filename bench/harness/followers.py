# SPDX-License-Identifier: MIT
"""Those who follow an output or the events, and what they leave to the others: streams.py, in the table."""

import os
import re
import signal
import subprocess
import sys

from .figures import Figure, Row
from .load import HERE

LAST = re.compile(r"^/do beside them: ([\d.]+) \(([\d.]+) to ([\d.]+)\); ([\d.]+) KiB each at most$", re.M)


def whole(command, seconds):
    """What it writes, or why it did not end well. Those that it has started end with it."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            said, problem = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said, problem = "", "did not end in time"
    return said, problem.strip()[-200:]


def run(context):
    protocol = context.protocol
    command = [sys.executable, HERE / "streams.py", context.build / "jobd", protocol.rounds, protocol.seconds]
    said, problem = whole(list(map(str, command)), 120 + protocol.rounds * (60 + 3 * protocol.seconds))
    found = LAST.search(said)
    context.say(f"followers: {found[0] if found else problem}")
    middle, low, high, kib = map(float, found.groups()) if found else (0, 0, 0, 0)
    work = "1,000 who follow an output, 1,000 at `/events`"
    context.rows += [
        Row(
            work,
            "`/do` beside them, at 10,000 changes a second, of what it has without",
            Figure(middle, low, high, protocol.rounds) if found else None,
            0.95,
            least=True,
        ),
        Row(work, "memory each, the most", Figure(kib, kib, kib, 1) if found else None, 16, form="{:.1f}", unit=" KiB"),
    ]
