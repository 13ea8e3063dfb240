# SPDX-License-Identifier: MIT
"""Several jobd on one PostgreSQL, beside jobd with --data DIR, jobd in memory, and PostgreSQL by itself.

    cluster.py BUILD [ROUNDS [SECONDS [JOBS]]]

Each round has a turn of each: puts of 100 bytes by 64 connections, batches of 100 lines, take and done,
GET of a job, a put at one server that a parked taker of another waits for, take and done while another
transaction holds a snapshot, a start with so many JOBS. Ratios are taken within a round; their medians are
said with the least and the greatest. Server, database and load share all cores, and the database is on
the same machine: what holds elsewhere is CPU a job, and the bytes of its log.

The last lines are what bench/reckon.py begins with."""

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
import urllib.request

BUILD = sys.argv[1]
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
SECONDS = int(sys.argv[3]) if len(sys.argv) > 3 else 6
JOBS = int(sys.argv[4]) if len(sys.argv) > 4 else 1000000
CLIENTS, BYTES, LINES, NODES = 64, 100, 100, 3
TICK = os.sysconf("SC_CLK_TCK")
PROGRAMS = "/usr/lib/postgresql"
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
    def __init__(self, folder):
        self.folder = folder
        subprocess.run(["sh", "tests/postgres.sh", "start", folder], check=True)
        self.pid = int(open(f"{folder}/data/postmaster.pid").readline())
        self.programs = f"{PROGRAMS}/{max(os.listdir(PROGRAMS), key=int)}/bin"
        self.schemas = 0
        self.ask("CREATE TABLE raw (id bigserial PRIMARY KEY, body bytea NOT NULL)")

    def pids(self):
        return [self.pid, *map(int, open(f"/proc/{self.pid}/task/{self.pid}/children").read().split())]

    def cpu_s(self):
        return seconds_of(self.pids())

    def ask(self, statement):
        command = [f"{self.programs}/psql", "-h", self.folder, "-U", "jobd", "-qAtc", statement, "postgres"]
        return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout.strip()

    def log_bytes(self):
        return int(self.ask("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))

    def schema(self):
        """A fresh one: its address."""
        self.schemas += 1
        self.ask(f"CREATE SCHEMA s{self.schemas}")
        return f"postgres://jobd@/postgres?host={self.folder}&options=-csearch_path%3Ds{self.schemas}"

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


def one_round(postgres, folder, number):
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
    return found


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


def say(what, values, goal):
    """Goals: at least, or at most, so much."""
    values = list(values)
    middle = statistics.median(values)
    print(f"{what:58} {middle:8.2f}  ({min(values):.2f} to {max(values):.2f})  goal {goal}")


def main():
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        postgres = Postgres(os.path.join(folder, "postgres"))
        try:
            for number in range(ROUNDS):
                rounds.append(one_round(postgres, folder, number))
                print(f"round {number + 1}: {json.dumps(rounds[-1])}", file=sys.stderr, flush=True)
            started = starts(postgres, folder) if JOBS > 0 else None
        finally:
            postgres.stop()
    each = lambda top, name, below, other: [one[top][name] / one[below][other] for one in rounds]
    say("put, one server: of --data DIR", each("one", "rate", "dir", "rate"), "0.75 at least")
    say(f"put, {NODES} servers: of one", each("three", "rate", "one", "rate"), "0.65 at least on 2 cores")
    say("batches of 100, jobs: of --data DIR", [one["one batch"] / one["dir batch"] for one in rounds], "1.0 at least")
    say("batches of 100, jobs: of raw INSERTs", [one["one batch"] / one["raw"]["rate"] for one in rounds], "3 at least")
    say("CPU of PostgreSQL a put: of a raw INSERT", each("one", "database", "raw", "database"), "2.0 at most")
    say("CPU of PostgreSQL for take and done, µs", [one["life database"] for one in rounds], "-")
    say("bytes of its log a put: of a raw INSERT", each("one", "log", "raw", "log"), "-")
    say("bytes of its log for take and done", [one["life log"] for one in rounds], "-")
    say("take + done, one server: of --data DIR", [one["one take"][0] / one["dir take"][0] for one in rounds], "-")
    say("take + done, a snapshot held: time of before", [one["held"] for one in rounds], "1.2 at most")
    say("put here to a take there: of a put", [one["across"][0] / one["across"][1] for one in rounds], "2.5 at most")
    say("GET of a job: of one in memory", [one["one get"] / one["memory get"] for one in rounds], "0.5 at least")
    if started:
        say(f"start with {JOBS} jobs: of --data DIR", [started[1] / started[0]], "1.0 at most")
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
