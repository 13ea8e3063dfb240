# SPDX-License-Identifier: MIT
"""The soak's clients that plan, limit and tell: jobs after others, callbacks, limits and turns by key, verbs for many
jobs, rates, a service that is down for a while. Each has queues of its own, so that its counts are exact."""
import asyncio, datetime, json, re, time, zlib
from soak_ledger import AT_ONCE, HANDS, PER_KEY, PROBE_S, TRIP, signed

TICK = "tick"  # for the jobs of schedules, which no client puts in
BEAT = "beat"  # for one schedule, whose instants are counted
TELL, GRAPH, TURNS, PACED, FRAIL = "tell", "graph", "turns", "paced", "frail"
PAIR = ["here", "there"]  # between these two jobs are moved
CALLBACKS = "callbacks"
GUEST = "guest"  # comes and goes, but at servers that are its hosts
OWN = [TELL, GRAPH, TURNS, PACED, FRAIL] + PAIR
RATE = 20  # jobs a second
SECRET = "whsec_" + "c29hayBzb2FrIHNvYWsgc29hayBzb2FrIHNvYWs="
KEYS = 10000


def wall(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Plans:
    """Part of the soak: the same ledger, chance and connections."""

    def configure_plans(self, number):
        """The queues, and what the server needs beside."""
        with open(f"{self.folder}/secret", "w", encoding="ascii") as out:
            out.write(SECRET + "\n")
        web = f"http://127.0.0.1:{self.web_port}"
        queues = {
            TELL: {"sleep": "1ms", "capacity": 200, "attempts": 2},
            GRAPH: {"sleep": "1ms", "capacity": 300},
            TURNS: {"workers": 0, "capacity": 400, "running": self.chance.choice(AT_ONCE), "attempts": 3,
                    "backoff": "10ms..100ms", "per-key": {"running": PER_KEY, "waiting": 5}},
            PACED: {"sleep": "0ms", "capacity": 50, "rate": f"{RATE}/1s"},
            FRAIL: {"post": f"{web}/frail", "attempts": 3, "backoff": "10ms..100ms", "timeout": "5s", "workers": HANDS,
                    "capacity": 60, "breaker": f"{TRIP}/{PROBE_S * 1000:.0f}ms"},
            BEAT: {"sleep": "0ms", "capacity": 100},
            CALLBACKS: {"backoff": "10ms..200ms", "timeout": "5s", "capacity": 3000}}
        for queue in PAIR:
            queues[queue] = {"sleep": "1ms", "capacity": self.chance.choice([150, 250])}
        if number in self.hosts or self.chance.random() < 0.5:
            queues[GUEST] = {"sleep": "1ms"}
        return {"callback-allow": web + "/told", "callback-secret": f"{self.folder}/secret", "queues": queues,
                "schedules": {"beat": {"every": "1s", "queue": BEAT, "callback": web + "/told"}}}

    # ---- the web service

    def web_answer(self, path, fields, body):
        """Status, or None where the connection ends without one; and where else to look."""
        dice = self.chance.random()
        ledger = self.ledger
        if path == "/told":
            ledger.judge_told(fields.get("jobd-id"), json.loads(body), signed(SECRET, fields, body))
            return None if dice < 0.05 else 302 if dice < 0.1 else 500 if dice < 0.2 else 410 if dice < 0.25 else 204
        if path == "/frail":
            ledger.frail_asked += 1
            return 503 if self.frail_down else 200
        if path != "/work":
            ledger.fault(f"a service was asked for {path}")
        passed = fields.get("x-soak")
        if passed is not None and passed != f"{zlib.crc32(body)}":
            ledger.fault("a field was passed on with another payload than its own")
        return None if dice < 0.05 else 500 if dice > 0.9 else 503 if dice > 0.8 else 200

    async def fail_at_times(self):
        """The service of one queue is down, and up again."""
        while self.running:
            await asyncio.sleep(1 + 3 * self.chance.random())
            asked, begin, self.frail_down = self.ledger.frail_asked, time.monotonic(), True
            await asyncio.sleep(1 + 4 * self.chance.random())
            self.frail_down = False
            self.ledger.judge_breaker(self.ledger.frail_asked - asked, time.monotonic() - begin, len(self.servers))

    # ---- who is told

    async def tell(self, c, path, body=b"", fields=""):
        """One put with a callback, of a job or a batch."""
        ledger = self.ledger
        ledger.unsure_calls += 1
        jobs = body.count(b"\n") if "batch=" in path else 1
        status, got, _ = await c.ask("put", "POST", f"{path}&callback=http://127.0.0.1:{self.web_port}/told", body,
                                     fields, jobs, TELL, key="Idempotency-Key" in fields)
        ledger.unsure_calls -= 1
        if status == 202:
            ledger.calls.add(got["location"])
            return got["location"]
        return None

    async def teller(self, c):
        chance, ledger = self.chance, self.ledger
        for _ in range(10):
            dice, said = chance.randrange(10), None
            if dice < 4:
                said = await self.tell(c, f"/do/{TELL}?tag=t{chance.randrange(9)}&delay={chance.randrange(900)}ms")
            elif dice < 6:
                said = await self.tell(c, f"/do/{TELL}?batch=lines&delay={chance.randrange(300)}ms", b"a line\n" * 7)
            elif dice < 7:
                await self.tell(c, f"/do/{TELL}?unique=waiting&again=replace&delay=200ms", b"%d" % chance.randrange(9),
                                f"Idempotency-Key: t{chance.randrange(50)}\r\n")
            elif dice < 8:
                await c.ask("bulk", "DELETE", f"/jobs?queue={TELL}&state=scheduled&tag=t{chance.randrange(9)}")
            elif dice < 9:
                await c.ask("callbacks", *chance.choice([
                    ("GET", f"/jobs?queue={CALLBACKS}&limit=5"), ("POST", f"/queues/{CALLBACKS}/pause"),
                    ("POST", f"/queues/{CALLBACKS}/resume"), ("POST", f"/do/{CALLBACKS}"),
                    ("POST", f"/take/{CALLBACKS}"), ("POST", f"/queues/{CALLBACKS}/move?to={TELL}")]))
                await c.ask("queues", "POST", f"/queues/{CALLBACKS}/resume")
            if said and chance.random() < 0.3:
                await c.ask("delete", "DELETE", said + chance.choice(["", "?forget=true"] if "/jobs/" in said else [""]))
            if said and said.startswith("/batches"):
                status, _, text = await c.ask("batch", "GET", said + chance.choice(["", "?wait=1s"]))
                if status == 200:
                    ledger.judge_batch(json.loads(text))
            await asyncio.sleep(chance.random() * 0.3)

    # ---- jobs after others

    async def job(self, c, path):
        """As it is now, or None."""
        status, _, text = await c.ask("look", "GET", path)
        return json.loads(text) if status == 200 else None

    async def graph(self, c):
        """Parents, one of them perhaps cancelled; a child, and a child of that; in the end they must agree."""
        chance, parents, child = self.chance, [], None
        for _ in range(chance.randrange(1, 6)):
            query = chance.choice([f"delay={chance.randrange(300)}ms", "expires=20ms", "batch=lines", "attempts=1"])
            batch = query == "batch=lines"
            status, got, _ = await c.ask("put", "POST", f"/do/{GRAPH}?{query}", b"x\n" * 3 if batch else b"", "",
                                         3 if batch else 1, GRAPH)
            parents += [got["location"]] * (status == 202)
        if not parents:
            return
        want = chance.choice(["done", "ended"])
        status, got, _ = await c.ask("child", "POST", f"/do/{GRAPH}?after={','.join(parents)}&if={want}", b"", "", 1, GRAPH)
        if chance.random() < 0.4:
            await c.ask("batch" if "/batches" in parents[0] else "delete", "DELETE", parents[0])
        if status != 202:
            return
        child = got["location"]
        status, got, _ = await c.ask("child", "POST", f"/do/{GRAPH}?after={child}", b"", "", 1, GRAPH)
        grandchild = got["location"] if status == 202 else child
        last = await self.job(c, grandchild + "?wait=9s")
        # A server that ends answers at once, so nothing may have ended yet: each is seen before what it waits for.
        one = await self.job(c, child)
        if last and grandchild != child:
            self.ledger.judge_child(last, {child: one}, "done")
        if one:
            self.ledger.judge_child(one, {path: await self.job(c, path) for path in parents}, want)

    # ---- limits and turns

    async def tenants(self, c):
        """Jobs of many keys, mostly of few."""
        chance = self.chance
        for _ in range(20):
            key = chance.randrange(KEYS) if chance.random() < 0.3 else chance.randrange(5)
            await c.ask("put", "POST", f"/do/{TURNS}?key=k{key}&priority={chance.randrange(2, 4)}", b"for %d" % key, "",
                        1, TURNS)
            await c.ask("put", "POST", f"/do/{PACED}?expires=20s", b"", "", 1, PACED)
            if chance.random() < 0.3:
                await c.ask("put", "POST", f"/do/{FRAIL}", b"", "", 1, FRAIL)
            await asyncio.sleep(chance.random() * 0.4)

    async def taker(self, c):
        """Takes of the queue with turns, and holds jobs as long as their leases are good."""
        chance, ledger = self.chance, self.ledger
        for _ in range(10):
            status, _, text = await c.ask(
                "take", "POST", f"/take?queue={TURNS},far&wait=1s&lease={chance.choice(['300ms', '2s'])}&worker=w{id(c) % 7}"
                f"&max={chance.randrange(1, 5)}", b"", "Accept: application/json\r\n")
            if status != 200:
                continue
            jobs = json.loads(text)["jobs"]
            for job in jobs:
                if job["queue"] == TURNS:
                    ledger.judge_held(job["lease"], job["key"], wall(job["expires_at"]), time.time())
            await asyncio.sleep(chance.random() * 0.1)
            if chance.random() < 0.3:
                await c.ask("leases", "GET", f"/leases?queue={TURNS}&limit=20")
            if chance.random() < 0.2:
                continue  # as if it had died
            if chance.random() < 0.5:
                await self.end_many(c, jobs)
            else:
                for job in jobs:
                    await self.end_one(c, job)

    async def end_many(self, c, jobs):
        lines = []
        for job in jobs:
            self.ledger.held.pop(job["lease"], None)
            bad = self.chance.random() < 0.2
            lines.append({"lease": job["lease"], **({"error": "no", "delay": "10ms"} if bad else {"output": "put out"})})
        status, _, text = await c.ask("reports", "POST", "/leases/done", json.dumps(lines).encode(),
                                      "Accept: application/json\r\n")
        if status == 200:
            self.ledger.judge_reports(lines, json.loads(text))

    async def end_one(self, c, job):
        lease, ledger = job["lease"], self.ledger
        said = f"{self.chance.randrange(1 << 30)}".encode()
        await c.ask("lease", "POST", lease + "/progress", b"half " + said)
        first, _, _ = await c.ask("lease", "POST", lease + "/output", said)
        second, _, _ = await c.ask("lease", "POST", lease + "/output", said)
        ledger.held.pop(lease, None)
        status, got, _ = await c.ask("lease", "POST", lease + "/done")
        if job["queue"] == TURNS and first == second == status == 200 and "jobd-repeated" not in got:
            status, _, text = await c.ask("look", "GET", f"/jobs/{job['id']}/output")
            one = await self.job(c, f"/jobs/{job['id']}")
            if status == 200 and one and one["attempt"] == job["attempt"]:
                ledger.judge_output(said * 2, text, b"half " + said, one.get("progress", "").encode())

    # ---- many jobs by one request

    async def clerk(self, c):
        chance = self.chance
        for _ in range(15):
            queue, tag = chance.choice(PAIR), f"tag=c{chance.randrange(6)}"
            dice = chance.randrange(8)
            if dice < 4:
                body = b"".join(b'{"payload":%d,"delay":"%dms","tag":"c%d","priority":%d}\n' %
                                (i, chance.randrange(2000), chance.randrange(6), i % 8) for i in range(9))
                await c.ask("put", "POST", f"/do/{queue}?batch=jobs", body, "", 9, queue)
            elif dice == 4:
                await self.move(c, queue)
            elif dice == 5:
                await self.retry_many(c, queue, tag)
            elif dice == 6:
                what = chance.choice(["state=scheduled", "state=cancelled", "before=1s&running=true", "state=done"])
                await c.ask("bulk", "DELETE", f"/jobs?queue={queue}&{tag}&{what}")
            else:
                await self.pages(c, queue, tag)
            await c.ask("guest", "POST", f"/do/{GUEST}")
            await asyncio.sleep(chance.random() * 0.3)

    async def move(self, c, queue):
        other, ledger = PAIR[1 - PAIR.index(queue)], self.ledger
        ledger.moves_unsure += 1
        status, _, text = await c.ask("bulk", "POST", f"/queues/{queue}/move?to={other}", b"", "Accept: application/json\r\n")
        ledger.moves_unsure -= 1
        if status == 200:
            ledger.moved[queue] -= json.loads(text)["moved"]
            ledger.moved[other] += json.loads(text)["moved"]

    async def retry_many(self, c, queue, tag):
        ledger = self.ledger
        ledger.unsure[queue] += 1000  # more than end and are remembered
        status, _, text = await c.ask("bulk", "POST", f"/jobs/retry?queue={queue}&{tag}")
        ledger.unsure[queue] -= 1000
        if status == 200:
            answer = json.loads(text)
            ledger.sure[queue] += answer["changed"]
            ledger.judge_many(answer)

    async def pages(self, c, queue, tag):
        """A list page by page: no job twice, and in order."""
        order, after, seen = self.chance.choice(["oldest", "newest"]), "", []
        while after is not None and len(seen) < 3000:
            status, _, text = await c.ask("list", "GET", f"/jobs?queue={queue}&{tag}&order={order}&limit=7&since=1h{after}")
            if status != 200:
                return
            page = json.loads(text)
            # One that is forgotten while the list is written has no tags any more.
            seen += [(job["id"], tag[4:] in job.get("tags", [tag[4:]])) for job in page["jobs"]]
            after = f"&after={page['next']}" if page["next"] else None
        self.ledger.judge_pages(seen, order)

    # ---- in the end

    async def first_beat(self):
        """When the first instant of the schedule was that is counted."""
        while True:
            async with self.connection("settler") as c:
                one = await self.job(c, "/schedules/beat")
                if one and "last" in one:
                    return wall(one["last"]["at"])
            await asyncio.sleep(0.05)

    async def judge_plans(self, queues, metrics, seconds):
        """When nothing waits or runs any more; `metrics` of each server."""
        ledger, by = self.ledger, {queue["name"]: queue for queue in queues}
        text = metrics[0]
        admitted = {name: int(number) for name, number in re.findall(r'jobd_jobs_admitted_total\{queue="(\w+)"\} (\d+)', text)}
        fired = sum(int(re.search(r'instants_total\{result="fired"\} (\d+)', one).group(1)) for one in metrics)
        async with self.connection("settler") as c:
            beat = await self.job(c, "/schedules/beat")
        ledger.judge_instants(admitted[BEAT] + beat["missed"], self.beat_began, wall(beat["last"]["at"]))
        ledger.judge_fired(fired, admitted[TICK] + admitted[BEAT])
        ledger.judge_calls(admitted[CALLBACKS], admitted[BEAT])
        ledger.judge_rate(by[PACED]["done"] + by[PACED]["failed"], RATE, seconds)
        ledger.judge_keys(await self.keys_left())

    async def keys_left(self):
        async with self.connection("settler") as c:
            return (await self.job(c, f"/queues/{TURNS}"))["keys"]["count"]
