# SPDX-License-Identifier: MIT
"""Several jobd on one PostgreSQL, beside jobd with --data DIR, jobd in memory, PostgreSQL by itself, and River.

    cluster.py BUILD OUT [ROUNDS [SECONDS [JOBS]]]

Each round has a turn of each: puts of 100 bytes by 64 connections, batches of 100 lines, take and done,
GET of a job, a put at one server that a parked taker of another waits for, take and done while another
transaction holds a snapshot, puts with a synchronous standby, River's puts and its worker. Then, once, a start
with so many JOBS, and a promotion. Ratios are taken within a round; their medians are said with the least and
the greatest. Servers, databases and load share all cores, and the databases are on the same machine: what
holds elsewhere is CPU a job, and the bytes of its log.

Writes OUT/cluster.md. The last lines that it prints are what bench/reckon.py begins with."""

import atexit
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

from harness import machine, report
from harness.figures import Row, figure

BUILD, OUT = sys.argv[1], sys.argv[2]
ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 5
SECONDS = int(sys.argv[4]) if len(sys.argv) > 4 else 6
JOBS = int(sys.argv[5]) if len(sys.argv) > 5 else 1000000
CLIENTS, BYTES, LINES, NODES = 64, 100, 100, 3
TICK = os.sysconf("SC_CLK_TCK")
PROGRAMS = "/usr/lib/postgresql"
RIVER = "build/queues/river-peer"
SYNCHRONOUS = {**os.environ, "POSTGRES_OPTIONS": "-c synchronous_standby_names=*"}
OPTIONS = ["-l", "127.0.0.1:0", "-w", "0", "-q", "10000000", "--memory", "8GiB", "--grace", "0s", "--keep", "10"]

# 64 rows, one commit: what PostgreSQL itself does at its best.
RAW = (
    "\\startpipeline\nBEGIN;\n"
    + "INSERT INTO raw (body) VALUES (convert_to(repeat('x', 100), 'UTF8'));\n" * 64
    + "COMMIT;\n\\endpipeline\n"
)


def seconds_of(pids):
    """CPU of these processes, and of those that they have waited for."""
    ticks = 0
    for pid in pids:
        try:
            fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(map(int, fields[11:15]))
    return ticks / TICK


class Postgres:
    def __init__(self, folder, environment=None):
        self.folder = folder
        subprocess.run(["sh", "tests/postgres.sh", "start", folder], check=True, env=environment)
        self.pid = int(open(f"{folder}/data/postmaster.pid").readline())
        self.programs = f"{PROGRAMS}/{max(os.listdir(PROGRAMS), key=int)}/bin"
        self.schemas = 0

    def pids(self):
        return [self.pid, *map(int, open(f"/proc/{self.pid}/task/{self.pid}/children").read().split())]

    def cpu_s(self):
        return seconds_of(self.pids())

    def ask(self, statement):
        command = [f"{self.programs}/psql", "-h", self.folder, "-U", "jobd", "-qAtc", statement, "postgres"]
        return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout.strip()

    def log_bytes(self):
        return int(self.ask("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))

    def schema(self, standby=None):
        """A fresh one: its address, that of a standby too."""
        self.schemas += 1
        self.ask(f"CREATE SCHEMA s{self.schemas}")
        hosts = f"{self.folder},{standby}&target_session_attrs=read-write" if standby else self.folder
        return f"postgres://jobd@/postgres?host={hosts}&options=-csearch_path%3Ds{self.schemas}"

    def pgbench(self, script, clients, seconds):
        """Transactions, and how long one took, in microseconds."""
        path = os.path.join(self.folder, "script")
        with open(path, "w") as file:
            file.write(script)
        command = [f"{self.programs}/pgbench", "-h", self.folder, "-U", "jobd", "-n", "-M", "prepared", "-f", path]
        command += ["-c", str(clients), "-T", str(seconds), "postgres"]
        said = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        done = int(re.search(r"actually processed: (\d+)", said)[1])
        return done, float(re.search(r"latency average = ([\d.]+) ms", said)[1]) * 1000

    def stop(self):
        subprocess.run(["sh", "tests/postgres.sh", "stop", self.folder], check=True)


class Pair:
    """A primary that answers a commit when its standby has it."""

    def __init__(self, folder):
        self.primary = Postgres(os.path.join(folder, "primary"))
        self.standby = os.path.join(folder, "standby")
        self.promoted = False
        subprocess.run(["sh", "tests/postgres.sh", "standby", self.standby, self.primary.folder], check=True)
        self.primary.stop()
        subprocess.run(["sh", "tests/postgres.sh", "again", self.primary.folder], check=True, env=SYNCHRONOUS)
        self.primary.pid = int(open(f"{self.primary.folder}/data/postmaster.pid").readline())

    def schema(self):
        return self.primary.schema(self.standby)

    def promote(self):
        """All of the primary is killed, and the standby takes its place: the time when it has."""
        self.primary.stop()
        self.promoted = True
        subprocess.run(["sh", "tests/postgres.sh", "promote", self.standby], check=True)
        return time.monotonic()

    def stop(self):
        if not self.promoted:
            self.primary.stop()
        subprocess.run(["sh", "tests/postgres.sh", "stop", self.standby], check=True)


class Server:
    def __init__(self, data=None):
        self.log = tempfile.NamedTemporaryFile("w+")
        environment = {**os.environ, **({"JOBD_DATA": data} if data else {})}
        began = time.monotonic()
        self.process = subprocess.Popen(
            [f"{BUILD}/jobd", *OPTIONS], env=environment, stdout=subprocess.DEVNULL, stderr=self.log
        )
        atexit.register(self.process.kill)  # when a round fails
        found = None
        while not found:
            if self.process.poll() is not None:
                raise RuntimeError(open(self.log.name).read())
            time.sleep(0.005)
            found = re.search(r"listening on \S+:(\d+)", open(self.log.name).read())
        self.started_s = time.monotonic() - began
        self.port = int(found[1])

    def ask(self, method, path, body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, method=method)
        with urllib.request.urlopen(request, timeout=120) as reply:
            return reply.read(), reply.headers

    def figure(self, name):
        return float(re.search(rf"^{name} (\S+)$", self.ask("GET", "/metrics")[0].decode(), re.M)[1])

    def cpu_s(self):
        return seconds_of([self.process.pid])

    def stop(self):
        self.process.terminate()
        self.process.wait()


def load(servers, options, path="/do"):
    """The servers share the connections: operations a second, and the medians of what one took, in µs."""
    share = CLIENTS // len(servers)
    clients = [
        subprocess.Popen(
            [f"{BUILD}/bench/load", "-n", str(share), *options.split(), str(server.port), path],
            stdout=subprocess.PIPE,
            text=True,
        )
        for server in servers
    ]
    rate, took, operations = 0, [], 0
    for client in clients:
        figures = {words[0]: float(words[1]) for words in map(str.split, client.communicate()[0].splitlines()) if len(words) == 2}
        if client.returncode != 0 or figures["errors"] > 0:
            raise RuntimeError(f"load: {figures}")
        rate += figures["operations"] / figures["seconds"]
        operations += figures["operations"]
        took.append(figures["took_p50"])
    return rate, statistics.median(took), operations


def put_rate(servers, postgres, extra=""):
    """Operations a second; µs of CPU a put, in jobd and in the database; bytes of its log; puts a turn."""
    jobd_s, database_s = sum(one.cpu_s() for one in servers), postgres.cpu_s()
    written = postgres.log_bytes()
    turns = sum(one.figure("jobd_ledger_turns_total") for one in servers) if extra != "dir" else 0
    rate, took, operations = load(servers, f"-d {SECONDS} -m POST -s {BYTES}")
    jobd_s = sum(one.cpu_s() for one in servers) - jobd_s
    turns = sum(one.figure("jobd_ledger_turns_total") for one in servers) - turns if extra != "dir" else 0
    return {
        "rate": rate,
        "p50": took,
        "jobd": jobd_s / operations * 1e6,
        "database": (postgres.cpu_s() - database_s) / operations * 1e6,
        "log": (postgres.log_bytes() - written) / operations,
        "turns": turns,
        "operations": operations,
    }


def take_rate(server, seconds):
    """Take and done: lives a second, µs for one."""
    rate, took, _ = load([server], f"-d {seconds} -m POST -f POST -F /done", "/take")
    return rate, took


def across(one, other, times=300):
    """A put at one server to a take that is parked at the other, and a put by itself: medians in µs."""
    put, take = http.client.HTTPConnection("127.0.0.1", one.port), http.client.HTTPConnection("127.0.0.1", other.port)
    alone, both = [], []
    arrived = threading.Semaphore(0)
    at = [0.0]

    def wait_for_jobs():
        for _ in range(times):
            take.request("POST", "/take?wait=60s&lease=1h")
            reply = take.getresponse()
            at[0] = time.monotonic()
            reply.read()
            assert reply.status == 200
            arrived.release()

    taker = threading.Thread(target=wait_for_jobs)
    taker.start()
    for _ in range(times):
        while other.figure("jobd_requests_parked") < 1:
            time.sleep(0.001)
        began = time.monotonic()
        put.request("POST", "/do", b"x" * BYTES)
        put.getresponse().read()
        alone.append(time.monotonic() - began)
        arrived.acquire()
        both.append(at[0] - began)
    taker.join()
    return statistics.median(both) * 1e6, statistics.median(alone) * 1e6


def fill(server, jobs):
    body = b"x" * BYTES + b"\n"
    for _ in range(jobs // 500):
        server.ask("POST", "/do?batch=lines", body * 500)


def hold_snapshot(postgres, server):
    """Take and done before and while a transaction holds a snapshot: µs of one."""
    before = take_rate(server, SECONDS)[1]
    command = [f"{postgres.programs}/psql", "-h", postgres.folder, "-U", "jobd", "-qAt", "postgres"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as holder:
        holder.stdin.write("BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT count(*) FROM raw;\n")
        holder.stdin.flush()
        take_rate(server, 2 * SECONDS)
        held = take_rate(server, SECONDS)[1]
        holder.stdin.write("COMMIT;\n")
        holder.stdin.close()
    return held / before


def river(postgres):
    """CPU of the database and bytes of its log, a job: put in by one of 64 clients, done by a worker of 64."""
    address = f"postgres://jobd@/postgres?host={postgres.folder}"
    cost = {"database": 0, "log": 0}
    for words in (["put", "0", str(SECONDS)], ["take", str(1000 * SECONDS), "60"]):
        database_s, written = postgres.cpu_s(), postgres.log_bytes()
        said = subprocess.run([RIVER, address, *words], check=True, text=True, stdout=subprocess.PIPE).stdout
        operations = int(re.search(r"operations (\d+)", said)[1])
        cost["database"] += (postgres.cpu_s() - database_s) / operations * 1e6
        cost["log"] += (postgres.log_bytes() - written) / operations
    return cost


def one_round(postgres, pair, folder, number):
    found = {}
    postgres.pgbench(RAW, 1, 1)
    database_s, written = postgres.cpu_s(), postgres.log_bytes()
    rows, _ = postgres.pgbench(RAW, 1, SECONDS)
    rows *= 64
    found["raw"] = {
        "rate": rows / SECONDS,
        "database": (postgres.cpu_s() - database_s) / rows * 1e6,
        "log": (postgres.log_bytes() - written) / rows,
    }
    found["commit"] = postgres.pgbench("INSERT INTO raw (body) VALUES ('x');\n", 1, 2)[1]
    found["way"] = postgres.pgbench("SELECT 1;\n", 1, 1)[1]
    directory = Server(os.path.join(folder, f"data-{number}"))
    found["dir"] = put_rate([directory], postgres, "dir")
    found["dir batch"] = load([directory], f"-d {SECONDS} -m POST -s 100 -b {LINES}", "/do?batch=lines")[0] * LINES
    found["dir take"] = take_rate(directory, SECONDS)
    directory.stop()
    memory = Server()
    found["memory"] = put_rate([memory], postgres, "dir")
    where = memory.ask("POST", "/do", b"x")[1]["Location"]
    found["memory get"] = load([memory], f"-d {SECONDS}", where)[0]
    memory.stop()

    data = postgres.schema()
    nodes = [Server(data)]
    found["one"] = put_rate(nodes, postgres)
    found["one batch"] = load(nodes, f"-d {SECONDS} -m POST -s 100 -b {LINES}", "/do?batch=lines")[0] * LINES
    database_s, written = postgres.cpu_s(), postgres.log_bytes()
    found["one take"] = take_rate(nodes[0], SECONDS)
    lives = found["one take"][0] * SECONDS
    found["life log"] = (postgres.log_bytes() - written) / lives
    found["life database"] = (postgres.cpu_s() - database_s) / lives * 1e6
    found["held"] = hold_snapshot(postgres, nodes[0])
    where = nodes[0].ask("POST", "/do", b"x")[1]["Location"]
    found["one get"] = load(nodes, f"-d {SECONDS}", where)[0]
    nodes[0].stop()
    data = postgres.schema()
    nodes = [Server(data) for _ in range(NODES)]
    found["three"] = put_rate(nodes, postgres)
    nodes[0].ask("POST", "/queues/default/purge")
    found["across"] = across(nodes[0], nodes[1])
    for node in nodes:
        node.stop()
    safe = Server(pair.schema())
    found["safe"] = put_rate([safe], pair.primary)
    safe.stop()
    if os.path.exists(RIVER):
        found["river"] = river(postgres)
    return found


def promotion(pair):
    """Seconds from when the standby has taken over until the first put is answered."""
    server = Server(pair.schema())
    server.ask("POST", "/do", b"before")
    promoted = pair.promote()
    while True:
        try:
            server.ask("POST", "/do", b"after")
            break
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
            time.sleep(0.005)
    took = time.monotonic() - promoted
    server.stop()
    return took


def starts(postgres, folder):
    """Seconds of a start with so many jobs: from a directory, from the database."""
    took = []
    for data in (os.path.join(folder, "many"), postgres.schema()):
        server = Server(data)
        fill(server, JOBS)
        server.stop()
        server = Server(data)
        assert server.figure('jobd_queue_queued{queue="default"}') == JOBS // 500 * 500
        took.append(server.started_s)
        server.stop()
    return took


def table(rounds, started, promoted):
    each = lambda top, name, below, other: [one[top][name] / one[below][other] for one in rounds]
    rows = []

    def row(work, measure, values, **goal):
        rows.append(Row(work, measure, figure(values), **goal))

    one, more = "POST of 100 bytes, 64 connections", {"least": True}
    row(one, "puts/s, of `--data DIR`", each("one", "rate", "dir", "rate"), reach=0.75, beyond=1.0, **more)
    row(f"{one}, a synchronous standby", "puts/s, of `--data DIR`", each("safe", "rate", "dir", "rate"), reach=0.5, beyond=0.7, **more)
    row(f"{one}, {NODES} servers", "puts/s, of one server, on these cores", each("three", "rate", "one", "rate"), reach=0.65, **more)
    row("`batch=lines`, 100 a request", "jobs/s, of `--data DIR`", [r["one batch"] / r["dir batch"] for r in rounds], reach=1.0, **more)
    row("`batch=lines`, 100 a request", "jobs/s, of raw INSERTs of 64 a commit", [r["one batch"] / r["raw"]["rate"] for r in rounds], reach=3, **more)
    row(one, "CPU of PostgreSQL a put, of a raw INSERT of 64 a commit", each("one", "database", "raw", "database"), reach=2.0, beyond=1.0)
    row(one, "bytes of PostgreSQL's log a put, of a raw INSERT", each("one", "log", "raw", "log"))
    rivers = [r for r in rounds if "river" in r]
    missing = "" if rivers else "left out: River's program is not built, see `make bench-deps`"
    row("put, take, done", "CPU of PostgreSQL a job, of River's", [(r["one"]["database"] + r["life database"]) / r["river"]["database"] for r in rivers], reach=0.25, beyond=0.12, missing=missing)
    row("put, take, done", "bytes of PostgreSQL's log a job, of River's", [(r["one"]["log"] + r["life log"]) / r["river"]["log"] for r in rivers], reach=0.25, beyond=0.12, missing=missing)
    row("take + done, 64 connections", "jobs/s, of `--data DIR`", [r["one take"][0] / r["dir take"][0] for r in rounds], least=True)
    row("take + done, a snapshot held", "p50, of before", [r["held"] for r in rounds], reach=1.2)
    row("put at one server, a parked take at another", "p50, of a put", [r["across"][0] / r["across"][1] for r in rounds], reach=2.5, beyond=2)
    row("GET of a job, 64 connections", "answers/s, of one in memory", [r["one get"] / r["memory get"] for r in rounds], reach=0.5, **more)
    if started:
        row(f"start with {JOBS:,} jobs", "time, of `--data DIR`", [started[1] / started[0]], reach=1.0)
        rows[-1].beside = f"{started[1]:.1f} against {started[0]:.1f} s"
    row("a standby is promoted", "until a put is answered again", [promoted], reach=1, unit=" s")
    return rows


def page(rows, took_s):
    yield "# Several servers"
    yield ""
    yield (
        f"Written by `make bench-cluster`: rounds: {ROUNDS}, {SECONDS} s a window, {took_s / 60:.0f} min in all. Median "
        "(least–most). Servers, PostgreSQL and load share all cores, on one machine."
    )
    yield ""
    yield from report.table(["", ""], machine.facts(f"{BUILD}/jobd"))
    yield ""
    head = ["work", "measure", "figure", "goal", "stretch goal", ""]
    yield from report.table(head, [[r.work, r.measure, r.figure_text(), r.goal(r.reach), r.goal(r.beyond), r.verdict()] for r in rows])


def main():
    rounds, begun = [], time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        postgres = Postgres(os.path.join(folder, "postgres"))
        postgres.ask("CREATE TABLE raw (id bigserial PRIMARY KEY, body bytea NOT NULL)")
        pair = Pair(folder)
        try:
            if os.path.exists(RIVER):
                subprocess.run([RIVER, f"postgres://jobd@/postgres?host={postgres.folder}", "prepare"], check=True)
            for number in range(ROUNDS):
                rounds.append(one_round(postgres, pair, folder, number))
                print(f"round {number + 1}: {json.dumps(rounds[-1])}", file=sys.stderr, flush=True)
            started = starts(postgres, folder) if JOBS > 0 else None
            promoted = promotion(pair)
        finally:
            postgres.stop()
            pair.stop()
    text = "\n".join(page(table(rounds, started, promoted), time.monotonic() - begun)) + "\n"
    with open(f"{OUT}/cluster.md", "w") as file:
        file.write(text)
    print(text)
    middle = lambda values: statistics.median(list(values))
    print("\n# for reckon.py: microseconds")
    print(
        json.dumps(
            {
                "way_us": round(middle(one["way"] for one in rounds)),
                "commit_us": round(middle(one["commit"] - one["way"] for one in rounds)),
                "http_us": round(middle(one["memory"]["jobd"] for one in rounds), 1),
                "op_us": round(middle(one["one"]["jobd"] - one["memory"]["jobd"] for one in rounds), 1),
                "turn_us": round(
                    middle(one["one"]["database"] * one["one"]["operations"] / one["one"]["turns"] for one in rounds), 1
                ),
                "measured": {
                    "1": round(middle(one["one"]["rate"] for one in rounds)),
                    "3": round(middle(one["three"]["rate"] for one in rounds)),
                },
            }
        )
    )


main()
