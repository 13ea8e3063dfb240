# SPDX-License-Identifier: MIT
"""What all parts of a benchmark share: its protocol, its peers, the runs made so far."""

import dataclasses
import pathlib
import sys
import time

from .load import Run


@dataclasses.dataclass
class Protocol:
    quick: bool
    rounds: int
    warmup: int
    seconds: int


class Context:
    def __init__(self, build, folder, protocol, peers):
        self.build = pathlib.Path(build)
        self.folder = pathlib.Path(folder)
        self.protocol = protocol
        self.peers = peers
        self.runs = []
        self.rows = []
        self.extras = []  # further tables: (title, text before, header, lines)
        self.left_out = {}
        self.begun = time.monotonic()

    def say(self, text):
        print(f"[{time.monotonic() - self.begun:6.0f} s] {text}", file=sys.stderr, flush=True)

    def here(self, *names):
        """Those peers that are there; the others are said once."""
        found = []
        for name in names:
            peer = self.peers[name]
            if peer.missing is None:
                found.append(peer)
            elif name not in self.left_out:
                self.left_out[name] = peer.missing
                self.say(f"{peer.title} is left out: {peer.missing}")
        return found

    def new_run(self, row, round, peer, connections):
        run = Run(row, round, peer, connections)
        self.runs.append(run)
        return run

    def finish(self, run):
        if run.good and run.operations == 0:
            run.fail("nothing was answered in the window")
        noise = f", others {run.others_percent:.0f} %" if run.others_percent > 5 else ""
        self.say(
            f"{run.row} round {run.round}: {run.peer} at {run.connections}: {run.per_second:,.0f}/s, "
            f"{run.cpu_us:.2f} µs{noise}{' FAILED: ' + run.problem if run.problem else ''}"
        )

    def of(self, row, peer, connections=None):
        return [
            run
            for run in self.runs
            if run.row == row and run.peer == peer and connections in (None, run.connections)
        ]
