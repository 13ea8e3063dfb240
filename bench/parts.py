# SPDX-License-Identifier: MIT
"""What a request costs by part, `make bench-parts`: kernel, libraries and jobd, by sampling; the page of it.

    parts.py BUILD FOLDER [SECONDS]

The server has the first core, the load the last. perf looks at the server's program counter 1,999 times a
second of its CPU time, as its user or as root: which object it is in is the part. CPU time is that of
/proc. Writes FOLDER/parts.md, and prints it."""

import collections
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

from harness import do, machine, peers, report, servers
from harness.context import Context, Protocol
from harness.jobs import BYTES, start_waiting_room
from harness.load import Watch, client_run, wrk

PARTS = (
    ("kernel", ("[kernel", "[vdso", "[guest")),
    ("libmicrohttpd", ("libmicrohttpd",)),
    ("libc", ("libc.", "libc-", "ld-linux")),
    ("SQLite", ("libsqlite3",)),
    ("zlib", ("libz.",)),
    ("jobd", ("jobd",)),
)
TAKEN = 200000
# A list, and what else the page asks for.
READ = (
    ("a list of 50 jobs", "/jobs?order=newest&limit=50"),
    ("one job", "/jobs/{job}"),
    ("`/status`", "/status"),
    ("`/leases`, one", "/leases"),
    ("`/schedules`, none", "/schedules"),
)


class Sampled:
    """perf, at a server's threads, for as long as it is not left."""

    def __init__(self, pid, folder):
        self.file = folder / f"perf-{pid}"
        command = ["perf", "record", "-q", "-e", "cpu-clock", "-F", "1999", "-o", self.file, "-p", pid]
        self.process = subprocess.Popen(
            machine.pinned(machine.LOAD_CORE, command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + 10
        while not (self.file.exists() and self.file.stat().st_size) and time.monotonic() < end:
            time.sleep(0.02)

    def parts(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        command = ["perf", "report", "-i", self.file, "--stdio", "--sort", "dso", "-t", "|"]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        found = collections.Counter()
        for line in done.stdout.splitlines():
            share, bar, name = line.strip().partition("|")
            if bar and not line.startswith("#"):
                part = next((part for part, starts in PARTS if name.strip().startswith(starts)), "other")
                found[part] += float(share.strip().rstrip("%"))
        return found  # nothing, when the server hardly ran


def asked(context, name, connections, seconds):
    """GET /do, nearly all refused."""
    run = context.new_run(name, 1, "jobd", connections)
    with context.peers["jobd"].start(context.folder, *do.allow(context.peers["jobd"], connections)) as server:
        wrk(server.port, connections, 1)
        sampled, watch = Sampled(server.pid, context.folder), Watch(server)
        figures = wrk(server.port, connections, seconds)
        watch.stop(run)
        parts = sampled.parts()
    run.seconds, run.operations = figures["duration_us"] / 1e6, int(figures["requests"])
    return run, parts


def put(context, name, connections, seconds, *options):
    run = context.new_run(name, 1, "jobd", connections)
    with start_waiting_room(context, *options) as server:
        sampled = Sampled(server.pid, context.folder)
        words = f"-n {connections} -d {seconds} -m POST -s {BYTES}"
        client_run(context.build, server, run, words, "/do", seconds)
        return run, sampled.parts()


def take(context, name, connections, _, *options):
    run, fill = (context.new_run(what, 1, "jobd", connections) for what in (name, "filling"))
    with start_waiting_room(context, *options) as server:
        count = TAKEN // 10 if context.protocol.quick or connections == 1 else TAKEN
        client_run(context.build, server, fill, f"-n 8 -c {count // 100} -m POST -s {BYTES} -b 100", "/do?batch=lines", 60)
        sampled = Sampled(server.pid, context.folder)
        words = f"-n {connections} -c {count - connections} -m POST -f POST -F /done"
        client_run(context.build, server, run, words, "/take", 120)
        return run, sampled.parts()


def looked(context, name, connections, seconds, path, method="GET"):
    """One address, asked again and again, of a server with jobs that wait and one that is leased."""
    run = context.new_run(name, 1, "jobd", connections)
    allowed = do.allow(context.peers["jobd"], connections)
    with start_waiting_room(context, *allowed) as server:
        client_run(context.build, server, context.new_run("filling", 1, "jobd", 1), f"-c 10 -m POST -s {BYTES} -b 100", "/do?batch=lines", 60)
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/take", b"") as taken:
            path = path.format(lease=taken.headers["Location"], job=taken.headers["Jobd-Id"])
        sampled = Sampled(server.pid, context.folder)
        client_run(context.build, server, run, f"-n {connections} -d {seconds} -m {method}", path, seconds)
        return run, sampled.parts()


def works(context):
    few = (1, 64, 1024)
    data = (("--data", context.folder / f"data-{n}") for n in range(2 * len(few)))
    yield from (("`/do`", connections, asked, ()) for connections in few)
    yield from (("put of 100 bytes", connections, put, ()) for connections in few)
    yield from (("take + done", connections, take, ()) for connections in few)
    yield from (("durable put", connections, put, next(data)) for connections in few)
    yield from (("durable take + done", connections, take, next(data)) for connections in few)
    yield from (("extend", connections, looked, ("{lease}/extend?lease=60s", "POST")) for connections in few)
    for name, path in READ:
        yield from ((name, connections, looked, (path,)) for connections in few)


def page(context, lines, seconds):
    names = [name for name, _ in PARTS]
    yield "# What a request costs, by part"
    yield ""
    yield f"Written by `make bench-parts`; {seconds} s of each. Shares of the server's CPU time, sampled, in µs an operation."
    yield ""
    yield from report.table(["", ""], machine.facts_of_machine())
    yield ""
    yield from report.table(["work", "connections", "CPU µs", *names, "other"], lines)


def main():
    build, out = sys.argv[1], pathlib.Path(sys.argv[2])
    seconds = int(sys.argv[3]) if len(sys.argv) > 3 else 4
    if shutil.which("perf") is None:
        sys.exit("perf is missing, of Debian's linux-perf")
    machine.raise_open_files()
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="parts-", dir=build)).resolve()
    context = Context(build, scratch, Protocol(seconds < 2, 1, 1, seconds), peers.all_peers(build))
    lines = []
    try:
        for name, connections, measure, options in works(context):
            run, parts = measure(context, name, connections, seconds, *options)
            context.finish(run)
            whole = sum(parts.values())
            names = [*(part for part, _ in PARTS), "other"]
            cells = [f"{run.cpu_us * parts[part] / whole:.2f}" if whole else "" for part in names]
            lines.append([name, connections, f"{run.cpu_us:.2f}", *cells])
    finally:
        servers.stop_all()
        shutil.rmtree(scratch, ignore_errors=True)
    text = "\n".join(page(context, lines, seconds)) + "\n"
    out.mkdir(parents=True, exist_ok=True)
    (out / "parts.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
