# SPDX-License-Identifier: MIT
"""The soak's traffic against three servers that share a PostgreSQL: soak_cluster.py BINARY, with MINUTES and SEED from the
environment. Each client works with any of them. In the second third of the time somebody holds a snapshot of the
database, so that nothing that is deleted makes room. Prints a summary and a verdict, as soak.py."""
import asyncio, json, os, random, re, shutil, statistics, subprocess, sys, tempfile, time
import soak
from soak_ledger import BUFFERS_KIB, MIB, descriptors
from soak_server import Server

SERVERS = 3
POSTGRES = f"{os.path.dirname(__file__)}/../postgres.sh"
SIZES = """SELECT (SELECT coalesce(sum(octet_length(body)), 0) FROM jobd_log), (SELECT coalesce(max(seq), 0) FROM jobd_log),
 (SELECT coalesce(sum(octet_length(body)), 0) FROM jobd_snapshot), (SELECT count(*) FROM jobd_snapshot WHERE part = -1),
 pg_total_relation_size('jobd_log') + pg_total_relation_size('jobd_snapshot')"""
HOLD = b"BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 'held' FROM jobd_head;\n"


class ClusterSoak(soak.Soak):
    def __init__(self, binary, minutes, seed):
        super().__init__(binary, minutes, False, seed)
        self.database = tempfile.mkdtemp(prefix="jobd-soak-postgres-")
        os.chmod(self.database, 0o755)
        self.hosts = {1}  # it knows all jobs that there are, so that it can write snapshots
        self.phase, self.sizes, self.waits, self.buffers_kib = "before", {}, {}, BUFFERS_KIB

    def postgres(self, what):
        subprocess.run(["sh", POSTGRES, what, self.database], check=True)

    def url(self):
        return f"postgres://jobd@/postgres?host={self.database}"

    async def start_servers(self):
        self.postgres("start")
        for number in range(SERVERS):
            self.servers.append(Server(self, number + 1, "-d", self.url()))
            await self.servers[-1].listens()

    def psql(self, *arguments):
        return asyncio.create_subprocess_exec("psql", "-XAtq", "-F", " ", self.url(), *arguments,
                                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    # ---- beside the clients

    def tasks(self):
        return super().tasks() + [self.sample, self.hold, self.ask_at_leisure]

    async def sample(self):
        while self.running:
            psql = await self.psql("-c", SIZES)
            said, _ = await psql.communicate()
            log, last, snapshots, whole, tables = (int(number) for number in said.split())
            self.ledger.judge_log(log, snapshots)
            self.sizes.setdefault(self.phase, []).append((log, last, snapshots, whole, tables))
            await asyncio.sleep(10)

    async def hold(self):
        await asyncio.sleep(self.seconds / 3)
        psql = await self.psql()
        psql.stdin.write(HOLD)
        assert await psql.stdout.readline() == b"held\n"
        self.phase = "held"
        await asyncio.sleep(self.seconds / 3)
        psql.stdin.close()
        await psql.wait()
        self.phase = "after"

    async def ask_at_leisure(self):
        """How long a put waits, from time to time."""
        while self.running:
            try:
                async with self.connection("leisure") as c:
                    while self.running:
                        begin = time.monotonic()
                        await c.ask("put", "POST", "/do/now", b"at leisure", "", 1, "now")
                        self.waits.setdefault(self.phase, []).append(time.monotonic() - begin)
                        await asyncio.sleep(0.5)
            except (soak.Cut, OSError):
                pass

    # ---- in the end

    async def queues(self, server):
        """Of each queue all that counts its jobs."""
        async with soak.Connection(self, "settler", server.port) as c:
            _, _, text = await c.ask("queues", "GET", "/queues")
        return {queue["name"]: [queue[state] for state in ("queued", "scheduled", "blocked", "running", "done", "failed",
                                                           "cancelled")]
                for queue in json.loads(text)["queues"] if queue["name"] != soak.GUEST}

    async def judge_more(self, counts):
        """All servers say the same, and so does one that reads it all from the database."""
        metrics = await self.metrics()
        self.servers.append(Server(self, SERVERS + 1, "-d", self.url()))
        await self.servers[-1].listens()
        self.servers[-1].descriptors = descriptors(self.servers[-1].pid)
        self.ledger.judge_alike("/queues", [await self.queues(server) for server in self.servers])
        tables = {phase: [size[4] for size in sizes] for phase, sizes in self.sizes.items()}
        self.ledger.judge_tables(*(tables.get(phase, []) for phase in ("before", "held", "after")))
        for name in ("turns", "lost", "anew", "adopted"):
            print(f"{name} of each server:", *re.findall(rf"jobd_ledger_{name}_total (\d+)", "\n".join(metrics)))
        for phase, sizes in self.sizes.items():
            waits = self.waits.get(phase, [0])
            print(f"{phase}: entries {sizes[0][1]} to {sizes[-1][1]}, in the log at most {max(s[0] for s in sizes) // MIB} MiB, "
                  f"{max(s[3] for s in sizes)} snapshots of {max(s[2] for s in sizes) / MIB:.1f} MiB; the tables take "
                  f"{sizes[0][4] // MIB} MiB first, {max(s[4] for s in sizes) // MIB} at most, {sizes[-1][4] // MIB} at last; "
                  f"a put waits {statistics.median(waits) * 1000:.1f} ms")

    async def run(self):
        try:
            return await super().run()
        finally:
            for server in self.servers:
                server.process.kill()
            self.postgres("stop")
            shutil.rmtree(self.database)


if __name__ == "__main__":
    the_seed = int(os.environ.get("SEED") or random.randrange(1 << 31))
    print(f"soak: {SERVERS} of {sys.argv[1]}, in PostgreSQL, SEED={the_seed}", flush=True)
    sys.exit(asyncio.run(ClusterSoak(sys.argv[1], float(os.environ.get("MINUTES") or 10), the_seed).run()))
