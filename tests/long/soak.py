# SPDX-License-Identifier: MIT
"""Minutes of mixed traffic against the binary: soak.py BINARY, with MINUTES, SEED and DATA=1 from the
environment. Prints a summary and a verdict; the exit status is 0 when all was as it must be. With
--self-test the checks are shown what they must complain of."""
import asyncio, json, os, random, re, shutil, socket, struct, subprocess, sys, tempfile, time, zlib
import http.client
import soak_plans
from soak_plans import BEAT, CALLBACKS, GUEST, OWN, TICK
from soak_ledger import Ledger, descriptors, marked, rss_kib, sanitized, self_test
from soak_server import Server

QUEUES = ["now", "cat", "late", "far", "web"]
BLIND = "blind"  # for those who leave before they are answered: only in it the counts may differ
MAX_CONNECTIONS = 900
HEADER_S, IDLE_S = 3, 20
CROWD = {"polite": 300, "slow": 130, "rude": 120, "parked": 330, "worker": 80, "vanishing": 60,
         "teller": 12, "graph": 12, "tenants": 6, "taker": 16, "clerk": 8}
PROCESSES = 4


class Cut(Exception):
    """The connection ended before the answer."""


class Connection:
    def __init__(self, soak, kind, port=None):
        self.soak, self.ledger, self.kind, self.writer = soak, soak.ledger, kind, None
        self.port = port or soak.port

    async def __aenter__(self):
        self.reader, self.writer = await asyncio.wait_for(
            asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20), 30)
        self.ledger.connections += 1
        self.ledger.connections_max = max(self.ledger.connections_max, self.ledger.connections)
        return self

    async def __aexit__(self, *_):
        self.ledger.connections -= 1
        self.writer.transport.abort()

    def reset(self):
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.ledger.resets += 1
        self.writer.transport.abort()

    async def send(self, data):
        try:
            self.writer.write(data)
            await self.writer.drain()
        except OSError as error:
            raise Cut from error

    async def answer(self, name, head=False, patience=60, slow=False):
        """Reads one answer: status, fields, body."""
        try:
            text = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), patience)
            lines = text.decode("latin-1").split("\r\n")
            status = int(lines[0].split()[1])
            fields = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:] if line)}
            length = 0 if head or status in (204, 304) else int(fields.get("content-length", 0))
            body = b""
            while slow and len(body) < min(length, 40):
                body += await asyncio.wait_for(self.reader.readexactly(1), patience)
                await asyncio.sleep(0.05)
            body += await asyncio.wait_for(self.reader.readexactly(length - len(body)), patience)
        except asyncio.TimeoutError:
            self.ledger.fault(f"no answer in {patience} s: {self.kind} {name}")
            raise Cut from None
        except (OSError, asyncio.IncompleteReadError) as error:
            raise Cut from error
        self.ledger.judge_answer(self.kind, name, status, fields, body)
        return status, fields, body

    async def ask(self, name, method, path, body=b"", fields="", entries=0, queue="", key=False, slow=False):
        """One request and its answer. `entries` jobs go into `queue` when it succeeds; as long as that
        is not known they are unsure."""
        ledger = self.ledger
        ledger.requests[self.kind] += 1
        ledger.unsure[queue] += entries
        length = f"Content-Length: {len(body)}\r\n" if method == "POST" else ""
        await self.send(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{length}{fields}\r\n".encode() + body)
        status, got, text = await self.answer(name, method == "HEAD", slow=slow)
        ledger.unsure[queue] -= entries
        if entries and (status == 202 or "jobd-state" in got):
            location = got.get("location", "")
            if key:
                ledger.keyed[queue].add(location)
            else:
                ledger.sure[queue] += entries
            if location and queue not in OWN:
                ledger.jobs.append((location, queue))
        if got.get("connection", "").lower() == "close":
            raise Cut
        return status, got, text


class Soak(soak_plans.Plans):
    def __init__(self, binary, minutes, data, seed):
        self.binary, self.seconds, self.data = binary, minutes * 60, data
        self.chance = random.Random(seed)
        self.ledger = Ledger()
        self.folder = tempfile.mkdtemp(prefix="jobd-soak-")
        self.mark = f"JOBD_SOAK_MARK={os.getpid()}.{seed}"
        self.running, self.quiet, self.frail_down = True, False, False
        self.servers, self.hosts, self.buffers_kib = [], set(), 0

    def connection(self, kind):
        return Connection(self, kind)

    # ---- the server

    @property
    def port(self):
        """That of some server."""
        return self.chance.choice(self.servers).port

    def configure(self, number):
        """A new file, for that server."""
        text = {
            "capacity": 2000, "workers": 2, "max-connections": MAX_CONNECTIONS, "header-timeout": f"{HEADER_S}s",
            "idle-timeout": f"{IDLE_S}s", "keep": 300, "memory": "16MiB", "max-body": "16KiB", "output-limit": "4KiB",
            "grace": "60s", "queues": {
                "now": {"sleep": self.chance.choice(["0ms", "1ms"])},
                "cat": {"exec": ["/bin/cat"], "timeout": "5s", "capacity": 100},
                "late": {"exec": ["/bin/sh", "-c", "sleep 1 & wait"], "timeout": "200ms", "capacity": 20, "workers": 1},
                "far": {"workers": 0, "attempts": 3, "backoff": "10ms..200ms", "capacity": 300},
                BLIND: {"sleep": "5ms", "capacity": 20},
                TICK: {"sleep": "1ms", "capacity": 20},
                "web": {"post": f"http://127.0.0.1:{self.web_port}/work", "timeout": "1s", "attempts": 3,
                        "backoff": "10ms..200ms", "capacity": 200, "workers": 4, "pass-headers": ["X-Soak"]}},
            "schedules": {"fixed": {"every": "1s", "queue": TICK}}}
        for key, value in self.configure_plans(number).items():
            text[key] = {**text[key], **value} if key in text else value
        with open(f"{self.folder}/new.json", "w", encoding="ascii") as out:
            json.dump(text, out)
        return f"{self.folder}/new.json"

    async def start(self):
        self.web_server = await asyncio.start_server(self.web, "127.0.0.1", 0)
        self.web_port = self.web_server.sockets[0].getsockname()[1]
        await self.start_servers()

    async def start_servers(self):
        self.servers = [Server(self, 1, *(["-d", f"{self.folder}/data"] if self.data else []))]
        await self.servers[0].listens()

    async def web(self, reader, writer):
        """The web service that does the jobs of some queues, and is told of ends, now and then badly."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                fields = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
                body = await reader.readexactly(int(fields.get("content-length", 0)))
                status = self.web_answer(head[0].split()[1], fields, body)
                if status is None:
                    break
                if self.chance.random() < 0.05:
                    await asyncio.sleep(self.chance.random() * 1.5)
                writer.write(f"HTTP/1.1 {status} So\r\nLocation: /elsewhere\r\n".encode() +
                             (b"\r\n" if status == 204 else b"Content-Length: 4\r\n\r\ndone"))
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    # ---- polite clients

    async def put(self, c, slow=False):
        chance = self.chance
        queue, fields, entries, key, query = chance.choice(QUEUES), "", 1, False, []
        method = chance.choice(["GET", "POST", "POST"])
        body = chance.randbytes(chance.choice([0, 10, 100, 3000])) if method == "POST" else b""
        if chance.random() < 0.3:
            query.append(f"delay={chance.randrange(1500)}ms")
        if chance.random() < 0.3:
            query.append(f"priority={chance.randrange(8)}")
        if chance.random() < 0.2:
            query.append(f"attempts={chance.randrange(1, 4)}")
        if chance.random() < 0.2:
            query.append(f"timeout={chance.randrange(100, 900)}ms")
        if chance.random() < 0.1:
            query.append(f"expires={chance.randrange(1, 3000)}ms")
        if chance.random() < 0.1:
            query.append(f"keep={chance.randrange(1, 9000)}ms")
        if chance.random() < 0.2:
            query.append(f"block={chance.randrange(2000)}ms")
        if chance.random() < 0.4:
            fields += "Accept: application/json\r\n"
        kind = chance.random()
        if kind < 0.1 and method == "POST":
            entries = chance.randrange(1, 15)
            lines = chance.random() < 0.5
            query.append("batch=lines" if lines else "batch=jobs")
            body = (b"a line\n\n" if lines else b'{"payload":{"n":1.50},"tag":["a","b"],"delay":"9ms"}\n\n') * entries
        elif kind < 0.25 and method == "POST":
            key, name = True, chance.randrange(3000)
            queue, body = QUEUES[name % len(QUEUES)], b"%d" % (name + (chance.random() < 0.05))
            fields += f"Idempotency-Key: k{name}\r\n"
            if chance.random() < 0.6:
                query.append("unique=" + chance.choice(["waiting", "active", "1s"]))
                query.append("again=" + chance.choice(["keep", "replace"]))
        elif kind < 0.35:
            fields += f"Prefer: wait={chance.randrange(1, 4)}\r\n"
        if queue == "web" and "batch" not in "".join(query):
            fields += f"X-Soak: {zlib.crc32(body)}\r\n"
        await c.ask("put", method, f"/do/{queue}" + "?" * bool(query) + "&".join(query), body, fields, entries,
                    queue, key, slow)

    def some_job(self):
        return self.chance.choice(self.ledger.jobs) if self.ledger.jobs else ("/jobs/1", "now")

    async def about_job(self, c):
        chance = self.chance
        job, queue = self.some_job()
        dice, forget = chance.randrange(8), chance.choice(["", "?forget=true"]) if "/jobs/" in job else ""
        if dice < 4:
            await c.ask("look", chance.choice(["GET", "HEAD"]), job + ["", "?wait=1s", "/payload", "/output"][dice])
        elif dice == 4:
            await c.ask("delete", "DELETE", job + forget)
        elif dice == 5:
            await c.ask("retry", "POST", job + "/retry", entries=1, queue=queue)
        elif dice == 6 and "/jobs/" in job:
            change = chance.choice(["delay=0s", "delay=300ms", "priority=1", "expires=1s", "at=2026-01-01T00:00:00Z"])
            await c.ask("patch", "PATCH", f"{job}?{change}")
        else:
            state = chance.choice(["queued", "scheduled", "running", "done", "failed", "cancelled"])
            await c.ask("list", "GET", f"/jobs?queue={chance.choice(QUEUES)}&state={state}&limit={chance.randrange(1, 60)}")

    async def about_server(self, c):
        chance = self.chance
        dice = chance.random()
        queue = f"/queues/{chance.choice(QUEUES)}"
        if dice < 0.02:
            await c.ask("queues", "POST", queue + "/purge")
        elif dice < 0.05:
            try:
                await c.ask("queues", "POST", queue + "/pause")
                await asyncio.sleep(0.3)
            finally:
                async with Connection(self, c.kind) as other:
                    await other.ask("queues", "POST", queue + "/resume")
        elif dice < 0.1:
            await self.about_schedules(c)
        elif dice < 0.2:
            await c.ask("wrong", *chance.choice([("GET", "/nothing"), ("POST", "/do/nowhere"), ("GET", "/do?delay=x"),
                                                 ("HEAD", "/do"), ("POST", "/jobs/1"), ("GET", "/jobs?limit=0")]))
        else:
            path = chance.choice(["/healthz", "/readyz", "/metrics", "/queues", queue])
            await c.ask("health" if path.endswith("z") else "queues", chance.choice(["GET", "GET", "HEAD"]), path)

    async def about_schedules(self, c):
        chance = self.chance
        one = f"/schedules/s{chance.randrange(40)}"
        plan = chance.choice(["every=1s", "every=2s&overlap=skip", "cron=*/1+*+*+*+*&tz=Europe/Paris&missed=all"])
        method, path = chance.choice([("PUT", f"{one}?{plan}&queue={TICK}")] * 3 + [
            ("DELETE", one), ("POST", one + "/run"), ("POST", one + "/pause"), ("POST", one + "/resume"), ("GET", one),
            ("GET", "/schedules")])
        runs = path.endswith("/run")
        self.ledger.runs_unsure += runs
        status, _, _ = await c.ask("schedules", method, path)
        self.ledger.runs_unsure -= runs
        self.ledger.runs += runs and status == 202

    async def polite(self, c):
        for _ in range(self.chance.randrange(1, 60)):
            await self.chance.choice([self.put, self.put, self.about_job, self.about_server])(c)
            await asyncio.sleep(self.chance.expovariate(2))

    # ---- the others

    async def slow(self, c):
        dice = self.chance.randrange(3)
        if dice == 0:
            await self.put(c, slow=True)
            return
        text = b"POST /do/now HTTP/1.1\r\nHost: localhost\r\nContent-Length: 30\r\n\r\n" + b"x" * 30
        at = 0 if dice == 1 else len(text) - 30
        c.ledger.requests[c.kind] += 1
        await c.send(text[:at])
        reading = asyncio.create_task(c.answer("put"))
        pause = self.chance.choice([0.02, 0.5])
        whole = False
        try:
            while at < len(text) and not reading.done():
                whole = at + 1 == len(text)
                c.ledger.unsure["now"] += whole
                await c.send(text[at:at + 1])
                at += 1
                await asyncio.sleep(pause)
        except Cut:
            pass  # there may be an answer all the same
        status, _, _ = await reading
        c.ledger.unsure["now"] -= whole
        c.ledger.sure["now"] += status == 202

    async def rude(self, c):
        chance = self.chance
        dice, whole = chance.randrange(8), False
        if dice == 0:  # more in a header than is usual, and than there may be
            fields = "X: " + "z" * chance.choice([5000, 30000]) + "\r\n"
            await c.ask("long", "GET", "/do/now", fields=fields, entries=1, queue="now")
            return
        c.ledger.requests[c.kind] += 1
        put, blind = (f"POST /do/{queue} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello".encode()
                      for queue in ("now", BLIND))
        if dice == 1:  # a reset in any phase
            sent = chance.choice([chance.randrange(len(blind)), len(blind)])
            c.ledger.unsure[BLIND] += sent == len(blind)
            await c.send(blind[:sent])
            await asyncio.sleep(chance.choice([0, 0.001, 0.1]))
            c.reset()
            return
        elif dice == 2:  # half-closed: who is not answered at once is taken for gone
            sent = chance.choice([20, len(blind) - 2, len(blind)])
            whole = sent == len(blind)
            c.ledger.unsure[BLIND] += whole
            await c.send(blind[:sent])
            c.writer.write_eof()
        elif dice == 3:  # pipelined, some not read
            count = chance.randrange(2, 30)
            queue, text, reads = chance.choice([("now", put, count)] * 3 + [(BLIND, blind, count // 2)])
            c.ledger.unsure[queue] += count
            await c.send(text * count)
            for left in range(count, count - reads, -1):
                status, got, _ = await c.answer("put")
                closed = got.get("connection", "").lower() == "close"
                c.ledger.unsure[queue] -= left if closed else 1  # behind that nothing is taken up
                c.ledger.sure[queue] += status == 202
                if closed:
                    break
            c.reset()
            return
        elif dice == 4:
            await c.send(b"POST /do/now HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999\r\n\r\n" + b"y" * 99999)
        elif dice == 5:
            await c.send(chance.randbytes(chance.randrange(1, 3000)) + b"\r\n\r\n")
        elif dice == 6:
            await c.send(b"POST /do/now HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5x\r\nhello\r\nq\r\n")
        else:
            await c.send(b"POST /do/now HTTP/1.1\r\nHost: localhost\r\nHost: b\r\nContent-Length: 1\r\n"
                         b"Content-Length: 2\r\n\r\nab")
        status, _, _ = await c.answer("raw", patience=30)
        c.ledger.unsure[BLIND] -= whole
        c.ledger.sure[BLIND] += whole and status == 202

    async def parked(self, c):
        chance = self.chance
        path = chance.choice(["/take/now", "/take/cat", "/do/far?block=9s", f"/do/{BLIND}?block=9s", "/jobs?wait"])
        if path.startswith("/do/far"):  # waits to the end
            await c.ask("put", "POST", path, entries=1, queue="far")
            return
        if path.startswith("/jobs"):
            path, method = self.some_job()[0] + "?wait=20s", "GET"
        else:
            method = "POST"
        c.ledger.requests[c.kind] += 1
        c.ledger.unsure[BLIND] += path.startswith("/do")
        if path.startswith("/take"):
            path = "/take/far?lease=1s&wait=20s" if chance.random() < 0.2 else path + "?wait=20s&lease=1s"
        await c.send(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{'Content-Length: 0' if method == 'POST' else 'A: b'}"
                     "\r\n\r\n".encode())
        await asyncio.sleep(chance.random() * 8)
        if chance.random() < 0.5:
            c.reset()

    async def worker(self, c):
        chance = self.chance
        for _ in range(20):
            status, got, _ = await c.ask("take", "POST", "/take/far?wait=2s&lease=2s")
            if status != 200:
                continue
            lease = got["location"]
            if chance.random() < 0.3:
                await c.ask("lease", "POST", lease + "/extend?lease=3s")
            end = chance.choice(["/done", "/done", "/done", "/fail?delay=100ms", "/fail", "/release", "/release?delay=50ms"])
            await c.ask("lease", "POST", lease + end, b"put out")
            await asyncio.sleep(chance.random())

    async def vanishing(self, c):
        if self.chance.random() < 0.3:
            await c.ask("take", "POST", "/take/far?wait=1s&lease=1s&max=3", fields="Accept: application/json\r\n")
        else:
            await c.ask("take", "POST", f"/take/{self.chance.choice(QUEUES)}?wait=1s&lease=1s")
        await asyncio.sleep(self.chance.random())

    # ---- all at once

    async def again(self, kind):
        """One client of a kind after the other, each on a connection of its own."""
        await asyncio.sleep(self.chance.random() * 3)
        while self.running:
            try:
                async with Connection(self, kind) as c:
                    await getattr(self, kind)(c)
            except Cut:
                self.ledger.cuts += 1
            except (OSError, asyncio.TimeoutError):
                self.ledger.cuts += 1
            await asyncio.sleep(self.chance.random() * 0.5)

    async def probe(self):
        """One connection throughout, which must be answered always. Another one only when this driver has stood still
        for so long that the server may take it for idle."""
        last = time.monotonic()
        while not self.quiet:
            async with Connection(self, "prober") as c:
                patience = HEADER_S  # of the server, until it has seen a request
                while not self.quiet:
                    begin = time.monotonic()
                    try:
                        status, _, _ = await asyncio.wait_for(c.ask("health", "GET", "/healthz"), 5)
                    except (Cut, asyncio.TimeoutError) as error:
                        if time.monotonic() - last > patience:
                            break
                        self.ledger.judge_probe(type(error).__name__)
                        return
                    self.ledger.judge_probe(status)
                    self.ledger.probe_worst = max(self.ledger.probe_worst, time.monotonic() - begin)
                    last, patience = begin, IDLE_S
                    await asyncio.sleep(0.1)
            last = time.monotonic()

    async def measure(self):
        while self.running:
            for server in self.servers:
                server.samples.append(rss_kib(server.pid))
            await asyncio.sleep(2)

    async def reread(self):
        while self.running:
            await asyncio.sleep(5 + 5 * self.chance.random())
            self.chance.choice(self.servers).reread()
            self.ledger.reread += 1

    async def kill_workers(self):
        workers = []
        while self.running:
            while len(workers) < PROCESSES:
                workers.append(subprocess.Popen([sys.executable, __file__, "--worker", str(self.port)]))
            await asyncio.sleep(1 + 2 * self.chance.random())
            victim = workers.pop(self.chance.randrange(len(workers)))
            victim.kill()
            victim.wait()
            self.ledger.killed += 1
        for worker in workers:
            worker.kill()
            worker.wait()

    async def settle(self):
        """Purges and waits until nothing is in any queue; the counts then: queue, admitted, ended."""
        for _ in range(240):
            try:
                async with Connection(self, "settler") as c:
                    for name in ("fixed", "beat"):
                        await c.ask("schedules", "POST", f"/schedules/{name}/pause")
                    for number in range(40):
                        await c.ask("schedules", "DELETE", f"/schedules/s{number}")
                    await c.ask("queues", "POST", "/queues/resume")
                    for queue in QUEUES + OWN + [BLIND, TICK, BEAT]:
                        await c.ask("queues", "POST", f"/queues/{queue}/purge")
                    _, _, text = await c.ask("queues", "GET", "/queues")
                metrics = await self.metrics()
                queues = json.loads(text)["queues"]
                if not any(q[state] for q in queues for state in ("queued", "scheduled", "blocked", "running")):
                    await self.judge_plans(queues, metrics, time.monotonic() - self.begin)
                    admitted = dict(re.findall(r'jobd_jobs_admitted_total\{queue="(\w+)"\} (\d+)', metrics[0]))
                    return [(q["name"], int(admitted[q["name"]]), q["done"] + q["failed"] + q["cancelled"])
                            for q in queues if q["name"] not in (TICK, BEAT, GUEST, CALLBACKS)]
            except (Cut, ValueError):
                pass
            await asyncio.sleep(0.5)
        self.ledger.fault("the queues did not become empty in two minutes")
        return []

    async def metrics(self):
        """What each server says."""
        texts = []
        for server in self.servers:
            async with Connection(self, "settler", server.port) as c:
                _, _, text = await c.ask("queues", "GET", "/metrics")
                texts.append(text.decode())
        return texts

    async def stop(self):
        for server in self.servers:
            await server.stop(self.ledger)
        self.ledger.judge_children(marked(self.mark), "behind it")

    def tasks(self):
        """What goes on beside the clients."""
        return [self.measure, self.reread, self.kill_workers, self.fail_at_times]

    async def judge_more(self, counts):
        """Before the servers end."""

    def ended(self):
        return [server for server in self.servers if server.process.poll() is not None]

    async def run(self):
        ledger = self.ledger
        self.begin = time.monotonic()
        await self.start()
        self.beat_began = await self.first_beat()
        for server in self.servers:
            server.descriptors = descriptors(server.pid)
        prober = asyncio.create_task(self.probe())
        await asyncio.sleep(0.5)
        tasks = [asyncio.create_task(task()) for task in self.tasks()]
        tasks += [asyncio.create_task(self.again(kind)) for kind, count in CROWD.items() for _ in range(count)]
        end = time.monotonic() + self.seconds
        while time.monotonic() < end and not self.ended():
            await asyncio.sleep(1)
        self.running = False
        _, late = await asyncio.wait(tasks, timeout=90)
        for task in tasks:
            if task in late:
                task.cancel()
            elif task.exception():
                ledger.fault(f"the driver itself: {task.exception()!r}")
        memory = []
        for server in self.ended():
            ledger.fault(f"the server ended by itself: {server.process.poll()}; {server.log_path}")
        if not self.ended():
            kind = "sanitized" if sanitized(self.binary) else "plain"
            memory = [ledger.judge_memory(server.samples, kind, self.buffers_kib) for server in self.servers]
            counts = await self.settle()
            self.quiet = True
            await prober
            for queue, admitted, ended in counts:
                ledger.judge_counts(queue, admitted, ended)
            await self.judge_more(counts)
            await self.stop()
        print(f"{self.seconds / 60:g} minutes; requests", dict(ledger.requests))
        print("statuses", dict(sorted(ledger.statuses.items())))
        print(f"connections {ledger.connections_max} at most; {ledger.resets} resets, {ledger.cuts} cut, {ledger.killed} "
              f"workers killed, {ledger.reread} SIGHUP, /healthz at worst {ledger.probe_worst * 1000:.0f} ms; {'; '.join(memory)}")
        if not ledger.faults:
            shutil.rmtree(self.folder)
        for text, count in ledger.faults.items():
            print(f"fault, {count} times: {text}")
        print("soak: FAILED" if ledger.faults else "soak: all as it must be", flush=True)
        return bool(ledger.faults)


def worker(port):
    """A worker in a process of its own, which is killed at any moment."""
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            while True:
                connection.request("POST", "/take/far?wait=2s&lease=1s")
                answer = connection.getresponse()
                answer.read()
                if answer.status == 200:
                    time.sleep(0.02)
                    connection.request("POST", answer.headers["Location"] + "/done", b"by a process")
                    connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            time.sleep(0.5)


if __name__ == "__main__":
    if sys.argv[1] == "--worker":
        worker(int(sys.argv[2]))
    if sys.argv[1] == "--self-test":
        sys.exit(self_test())
    the_seed = int(os.environ.get("SEED") or random.randrange(1 << 31))
    on_disk = os.environ.get("DATA") == "1"
    print(f"soak: {sys.argv[1]}, {'on disk' if on_disk else 'in memory'}, SEED={the_seed}", flush=True)
    sys.exit(asyncio.run(Soak(sys.argv[1], float(os.environ.get("MINUTES") or 10), on_disk, the_seed).run()))
