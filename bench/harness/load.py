# SPDX-License-Identifier: MIT
"""The load: wrk where it can, our own client for the rest; and one measured run of either."""

import dataclasses
import pathlib
import resource
import subprocess
import time

from . import machine

HERE = pathlib.Path(__file__).resolve().parent.parent
MARGIN = 60  # seconds a load may overstay before it is ended


@dataclasses.dataclass
class Run:
    """A line of runs.tsv."""

    row: str
    round: int
    peer: str
    connections: int
    seconds: float = 0
    operations: int = 0
    user_s: float = 0
    system_s: float = 0
    p50_us: float = 0
    p90_us: float = 0
    p99_us: float = 0
    p999_us: float = 0
    rss_kib: int = 0
    n202: int = 0
    n429: int = 0
    jobs_done: int = 0
    others_percent: float = 0  # of the two cores' time, used by anybody else
    stolen_percent: float = 0
    client_s: float = 0  # CPU time of the load
    problem: str = ""
    note: str = ""

    @property
    def per_second(self):
        return self.operations / self.seconds if self.seconds else 0

    @property
    def cpu_us(self):
        return (self.user_s + self.system_s) * 1e6 / self.operations if self.operations else 0

    @property
    def core_percent(self):
        """How much of its core the server used: below 100 the load was the limit, not the server."""
        return 100 * (self.user_s + self.system_s) / self.seconds if self.seconds else 0

    @property
    def good(self):
        return not self.problem

    def fail(self, why):
        self.problem = f"{self.problem}; {why}" if self.problem else why


class Watch:
    """CPU time of a server, and of everybody else, between two moments."""

    def __init__(self, server):
        self.server = server
        self.start = self._look()

    def _look(self):
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        own = resource.getrusage(resource.RUSAGE_SELF)
        known = sum(u.ru_utime + u.ru_stime for u in (children, own))
        return time.monotonic(), self.server.cpu(), machine.busy_seconds(), known

    def stop(self, run, earlier=0):
        """After the load has ended; `earlier`: what it had used before the window."""
        at, (user0, system0), (busy0, stolen0), known0 = self.start
        end, (user, system), (busy, stolen), known = self._look()
        run.user_s, run.system_s = user - user0, system - system0
        run.client_s = known - known0 - earlier
        ours = run.user_s + run.system_s + run.client_s
        whole = 2 * (end - at)
        run.others_percent = max(0.0, 100 * (busy - busy0 - ours) / whole)
        run.stolen_percent = 100 * (stolen - stolen0) / whole
        run.rss_kib = self.server.memory("VmHWM")


def wrk(port, connections, seconds, path="/do"):
    """Name to figure, as wrk.lua says them."""
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "--timeout",
        "60s",
        "-s",
        HERE / "wrk.lua",
        f"http://127.0.0.1:{port}{path}",
    ]
    done = subprocess.run(
        machine.pinned(machine.LOAD_CORE, command),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        timeout=seconds + MARGIN,
    )
    if done.returncode != 0 or "figures\n" not in done.stdout:
        raise RuntimeError(f"wrk: {done.stderr.strip() or done.stdout.strip()}")
    lines = done.stdout.partition("figures\n")[2].splitlines()
    return {name: float(value) for name, value in (line.split() for line in lines)}


class Client:
    """A load client; its first line, `window` or `asked N`, says that it is under way."""

    def __init__(self, command, stdin=subprocess.DEVNULL):
        self.process = subprocess.Popen(
            machine.pinned(machine.LOAD_CORE, command),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, word):
        for line in self.process.stdout:
            if line.split()[0] == word:
                return line.split()[1:]
        raise RuntimeError(f"load: {self.process.stderr.read().strip()}")

    def cpu(self):
        fields = open(f"/proc/{self.process.pid}/stat").read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / machine.TICK

    def figures(self, seconds):
        try:
            out, err = self.process.communicate(timeout=seconds + MARGIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise RuntimeError("load: did not end in time") from None
        found = {name: float(value) for name, value in (line.split() for line in out.splitlines())}
        if "operations" not in found:
            raise RuntimeError(f"load: {err.strip()}")
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def own_client(build, options, port, path, stdin=subprocess.DEVNULL):
    return Client([pathlib.Path(build).resolve() / "bench/load", *options.split(), port, path], stdin)


def client_run(build, server, run, options, path, seconds):
    """One measured run of our own client, which takes about so many seconds; fills `run`."""
    measured_run(own_client(build, options, server.port, path), server, run, seconds)


def measured_run(client, server, run, seconds):
    """The same of a client that has just been started."""
    with client:
        client.wait_for("window")
        earlier = client.cpu()
        watch = Watch(server)
        figures = client.figures(seconds)
        watch.stop(run, earlier)
    run.seconds, run.operations = figures["seconds"], int(figures["operations"])
    run.p50_us, run.p90_us = figures.get("took_p50", 0), figures.get("took_p90", 0)
    run.p99_us, run.p999_us = figures.get("took_p99", 0), figures.get("took_p999", 0)
    run.n202, run.n429 = int(figures.get("status_202", 0)), int(figures.get("status_429", 0))
    if figures["errors"]:
        run.fail(f"{figures['errors']:.0f} lost connections")
    strange = [
        name
        for name in figures
        if name.startswith("status_") and name not in ("status_200", "status_202", "status_429")
    ]
    if strange:
        run.fail("answers " + ", ".join(f"{name[7:]} ×{figures[name]:.0f}" for name in strange))
