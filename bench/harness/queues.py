# SPDX-License-Identifier: MIT
"""Other queues, each as its own users run it: what keeps the jobs, and their library beside it.

A put is one job of 100 bytes by one of 64 producers, answered before that producer puts the next. Take
and done is what their worker does with 64 jobs at a time, whose work is nothing."""

import contextlib
import dataclasses
import os
import shutil
import subprocess

from . import machine
from .jobs import BYTES, CLIENTS, start_waiting_room
from .load import HERE, Client, measured_run, own_client
from .peers import beanstalkd_figures, prometheus
from .servers import Server, free_port

BUILT = HERE.parent / "build/queues"
BUN = BUILT / "bunqueue/node_modules/@oven/bun-linux-x64/bin/bun"
TAKEN = 50000  # at most, of what was put
QUICK_TAKEN = 5000
LONGEST = 10  # seconds of that
PROGRAMS = "/usr/sbin:/usr/bin:/sbin:/bin"


@dataclasses.dataclass
class Queue:
    title: str
    keeps: str  # with what, and how often it is synced
    killed: str  # what a kill -9 of the server loses, of what was acknowledged
    power: str  # what a power cut loses
    start: object  # from context and folder to a context manager, whose value is a Session
    missing: str = None


@dataclasses.dataclass
class Session:
    """A server that runs, and how its clients are started: `put` from warm-up and seconds, `take` from a count."""

    server: object
    put: object
    take: object
    waiting: object  # how many jobs wait


class Postgres:
    """Looked at like a Server. Its processes come and go: those that have ended count too."""

    def __init__(self, folder):
        self.folder = folder
        for one in (folder.parent, folder.parent.parent):
            os.chmod(one, 0o755)  # it may run as somebody else
        command = machine.pinned(machine.SERVER_CORE, ["sh", HERE.parent / "tests/postgres.sh", "start", folder])
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"PostgreSQL does not start: {done.stderr.strip()[-200:]}")
        self.pid = int(open(folder / "data/postmaster.pid").readline())
        self.address = f"postgres://jobd@/postgres?host={folder}"

    pids = Server.pids
    memory = Server.memory

    def cpu(self):
        user = system = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
                user += int(fields[11]) + int(fields[13])
                system += int(fields[12]) + int(fields[14])
        return user / machine.TICK, system / machine.TICK

    def ask(self, statement):
        command = ["psql", "-h", self.folder, "-U", "jobd", "-qAtc", statement, "postgres"]
        return subprocess.run(list(map(str, command)), check=True, text=True, stdout=subprocess.PIPE).stdout.strip()

    def stop(self):
        subprocess.run(["sh", HERE.parent / "tests/postgres.sh", "stop", self.folder], check=True)


def redis_answer(port, *words):
    done = subprocess.run(["redis-cli", "-p", str(port), *words], capture_output=True, text=True, timeout=10)
    return done.stdout.strip()


@contextlib.contextmanager
def redis(folder, sync):
    port = free_port()
    options = f"--port {port} --bind 127.0.0.1 --dir {folder} --maxmemory-policy noeviction --appendonly yes"
    server = Server(["redis-server", *options.split(), "--save", "", "--appendfsync", sync], port, folder)
    try:
        yield server
    finally:
        server.stop()


def _jobd(*options):
    @contextlib.contextmanager
    def start(context, folder):
        data = [str(word).replace("FOLDER", str(folder / "data")) for word in options]
        with start_waiting_room(context, *data) as server:
            ask = lambda words, path: own_client(context.build, f"-n {CLIENTS} {words} -m POST", server.port, path)
            yield Session(
                server,
                lambda warmup, seconds: ask(f"-w {warmup} -d {seconds} -s {BYTES}", "/do"),
                lambda count: ask(f"-c {count} -f POST -F /done", "/take"),
                lambda: int(prometheus(server.port)['jobd_queue_queued{queue="default"}']),
            )

    return start


def _beanstalkd(*options):
    @contextlib.contextmanager
    def start(context, folder):
        words = [str(word).replace("FOLDER", str(folder)) for word in options]
        with context.peers["beanstalkd"].start(folder, *words) as server:
            ask = lambda words: own_client(context.build, f"-n {CLIENTS} {words}", server.port, "")
            yield Session(
                server,
                lambda warmup, seconds: ask(f"-p put -w {warmup} -d {seconds} -s {BYTES}"),
                lambda count: ask(f"-p take -c {count}"),
                lambda: int(beanstalkd_figures(server.port)["current-jobs-ready"]),
            )

    return start


def _asynq(sync):
    @contextlib.contextmanager
    def start(_, folder):
        with redis(folder, sync) as server:
            ask = lambda *words: Client([BUILT / "asynq-peer", f"127.0.0.1:{server.port}", *words])
            yield Session(
                server,
                lambda warmup, seconds: ask("put", warmup, seconds),
                lambda count: ask("take", count, LONGEST),
                lambda: int(redis_answer(server.port, "llen", "asynq:{default}:pending")),
            )

    return start


def _bullmq(sync):
    @contextlib.contextmanager
    def start(_, folder):
        with redis(folder, sync) as server:
            ask = lambda *words: Client(["node", BUILT / "bullmq/main.mjs", server.port, *words])
            yield Session(
                server,
                lambda warmup, seconds: ask("put", warmup, seconds),
                lambda count: ask("take", count, LONGEST),
                lambda: int(redis_answer(server.port, "llen", "bull:nothing:wait")),
            )

    return start


@contextlib.contextmanager
def _river(_, folder):
    server = Postgres(folder / "postgres")
    try:
        program = BUILT / "river-peer"
        subprocess.run([program, server.address, "prepare"], check=True)
        ask = lambda *words: Client([program, server.address, *words])
        yield Session(
            server,
            lambda warmup, seconds: ask("put", warmup, seconds),
            lambda count: ask("take", count, LONGEST),
            lambda: int(server.ask("SELECT count(*) FROM river_job WHERE state = 'available'")),
        )
    finally:
        server.stop()


def _bunqueue(*durable):
    @contextlib.contextmanager
    def start(_, folder):
        port = free_port()
        options = ("--tcp-port", port, "--http-port", free_port(), "--host", "127.0.0.1", "--data-path", folder / "jobs.db")
        server = Server([BUN, BUILT / "bunqueue/node_modules/bunqueue/dist/cli/index.js", "start", *options], port, folder)
        ask = lambda *words: Client([BUN, BUILT / "bunqueue/main.mjs", port, *words])
        try:
            yield Session(
                server,
                lambda warmup, seconds: ask("put", warmup, seconds, *durable),
                lambda count: ask("take", count, LONGEST),
                None,
            )
        finally:
            server.stop()

    return start


def _lacks(*needed):
    """What of these programs and files is not there."""
    for one in needed:
        if not (one.exists() if hasattr(one, "exists") else shutil.which(one, path=f"{PROGRAMS}:{os.environ['PATH']}")):
            return f"{getattr(one, 'name', one)} is not there: make bench-deps"
    return None


def all_queues():
    go, node = _lacks("redis-server", BUILT / "asynq-peer"), _lacks("redis-server", "node", BUILT / "bullmq/node_modules")
    beanstalkd, everything, nothing = _lacks("beanstalkd"), "all", "nothing"
    second, group = "up to a second", "nothing: answered after the sync"
    written = "nothing, or what waited behind a sync"
    return [
        Queue("jobd", "memory", everything, everything, _jobd()),
        Queue("jobd", "`--data`: SQLite, a sync a group", nothing, group, _jobd("--data", "FOLDER")),
        Queue("beanstalkd", "memory", everything, everything, _beanstalkd(), beanstalkd),
        Queue("beanstalkd", "`-b -f0`: a sync each", nothing, group, _beanstalkd("-b", "FOLDER", "-f0"), beanstalkd),
        Queue("asynq", "Redis, `appendfsync everysec`", written, second, _asynq("everysec"), go),
        Queue("asynq", "Redis, `appendfsync always`", nothing, group, _asynq("always"), go),
        Queue("BullMQ", "Redis, `appendfsync everysec`", written, second, _bullmq("everysec"), node),
        Queue("BullMQ", "Redis, `appendfsync always`", nothing, group, _bullmq("always"), node),
        Queue("River", "PostgreSQL, a commit each", nothing, group, _river, _lacks("psql", BUILT / "river-peer")),
        Queue("bunqueue", "SQLite, written every 10 ms", "up to 10 ms", "what SQLite had not synced", _bunqueue(), _lacks(BUN)),
        Queue(
            "bunqueue",
            "SQLite, `durable: true`",
            nothing,
            "what SQLite had not synced",
            _bunqueue("durable"),
            _lacks(BUN),
        ),
    ]


def measure(context, round, queue):
    """Puts for the usual window, then the worker; the row of a run is what keeps the jobs."""
    protocol = context.protocol
    put, take = (context.new_run(f"{what} {queue.keeps}", round, queue.title, CLIENTS) for what in ("put", "take"))
    folder = context.folder / f"queue-{len(context.runs)}"
    folder.mkdir()
    try:
        with queue.start(context, folder) as session:
            measured_run(session.put(protocol.warmup, protocol.seconds), session.server, put, protocol.warmup + protocol.seconds)
            waiting = session.waiting() if session.waiting else put.operations
            if waiting < put.operations:
                put.fail(f"{put.operations} puts, {waiting} jobs wait")
            count = min(max(1, waiting - CLIENTS), QUICK_TAKEN if protocol.quick else TAKEN)
            measured_run(session.take(count), session.server, take, 120)
            # What was under way at the end of the puts came later.
            if session.waiting and waiting - session.waiting() < take.operations - CLIENTS:
                take.fail(f"{take.operations} jobs taken, {waiting - session.waiting()} are gone")
    except (RuntimeError, OSError, subprocess.SubprocessError, ValueError) as error:
        for run in (put, take) if not put.operations else (take,):
            run.fail(str(error))
    shutil.rmtree(folder, ignore_errors=True)
    context.finish(put)
    context.finish(take)
