# SPDX-License-Identifier: MIT
"""Three servers, a PostgreSQL with a synchronous standby, and a load: failover.py BINARY, with SECONDS from the environment.
A server is killed and started again, then all of the primary is, and the standby takes its place. In the end what the
clients were told must be what a server says that reads it all from the database: to the last job."""
import collections, http.client, json, os, random, re, shutil, signal, subprocess, sys, tempfile, threading, time

CLIENTS, SERVERS, PATIENCE_S = 8, 3, 60
POSTGRES = f"{os.path.dirname(__file__)}/../postgres.sh"
OPTIONS = ["-w", "0", "-q", "1000000", "--keep", "1000000", "--memory", "1GiB", "--attempts", "1000"]


class Server:
    def __init__(self, binary, url, folder, address="127.0.0.1:0"):
        self.log = f"{folder}/log{random.randrange(1 << 30)}"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([binary, "-l", address, "-d", url, *OPTIONS], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=log)
        until, found = time.monotonic() + PATIENCE_S, None
        while not found and time.monotonic() < until:
            time.sleep(0.05)
            with open(self.log, encoding="utf-8") as log:
                found = re.search(r"listening on (127\.0\.0\.1:\d+)", log.read())
        self.address = found.group(1) if found else sys.exit("a server does not start")


def ask(address, method, path, body=b""):
    """Status, fields and body; status 0 when nobody has answered."""
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, {}, b""
    finally:
        connection.close()


class Client(threading.Thread):
    """Puts jobs and takes some, at any server, and remembers what it was told."""

    def __init__(self, addresses, number):
        super().__init__(daemon=True)
        self.addresses, self.chance, self.over = addresses, random.Random(number), False
        self.told, self.ended, self.statuses = [], collections.Counter(), collections.Counter()
        self.unsure_puts, self.asked = 0, set()

    def ask(self, *what):
        answer = ask(self.chance.choice(self.addresses), *what)
        self.statuses[answer[0]] += 1
        return answer

    def put(self):
        status, fields, _ = self.ask("POST", "/do", b"x")
        self.unsure_puts += status not in (202, 503)
        if status == 202:
            self.told.append(fields["Location"])

    def work(self):
        status, fields, _ = self.ask("POST", "/take?lease=3s")
        if status != 200:
            return
        job = "/jobs/" + fields["Jobd-Id"]
        self.asked.add(job)
        for _ in range(20):
            status, got, _ = self.ask("POST", fields["Location"] + "/done", b"result")
            if status not in (0, 503):
                break
        if status == 200 and "Jobd-Repeated" not in got:
            self.ended[job] += 1

    def run(self):
        while not self.over:
            self.put()
            self.work() if self.chance.random() < 0.8 else None


def postgres(*what):
    subprocess.run(["sh", POSTGRES, *what], check=True, stdout=subprocess.DEVNULL)


def judge(clients, servers, fresh):
    """What they were told, and what is there; the number of faults."""
    told = [job for client in clients for job in client.told]
    unsure, asked = sum(client.unsure_puts for client in clients), set().union(*(client.asked for client in clients))
    ended = sum((client.ended for client in clients), collections.Counter())
    states = {}
    for job in set(told) | set(ended):
        status, _, text = ask(fresh.address, "GET", job)
        states[job] = json.loads(text)["state"] if status == 200 else "lost"
    queues = [json.loads(ask(server.address, "GET", "/queues/default")[2]) for server in servers + [fresh]]
    counts = [[queue[state] for state in ("queued", "running", "done", "failed", "cancelled")] for queue in queues]
    there, done = sum(counts[-1]), counts[-1][2]
    print(f"clients: {len(told)} jobs acknowledged, {unsure} more that nobody answered; {sum(ended.values())} ends acknowledged")
    print(f"database: {there} jobs, {done} of them done; the servers say", *counts)
    faults = {
        "jobs that are lost": sum(state == "lost" for state in states.values()),
        "ids given twice": len(told) - len(set(told)),
        "jobs ended twice": sum(times > 1 for times in ended.values()),
        "ends that are lost": sum(states[job] != "done" for job in ended),
        "ends that nobody has asked for": sum(states[job] == "done" and job not in asked for job in states),
        "jobs too few or too many": not len(told) <= there <= len(told) + unsure,
        "servers that say something else": sum(one != counts[-1] for one in counts),
    }
    for what, times in faults.items():
        print(f"{what}: {int(times)}")
    return sum(faults.values())


def main(binary, seconds):
    folder = tempfile.mkdtemp(prefix="jobd-failover-")
    os.chmod(folder, 0o755)
    one, other = f"{folder}/one", f"{folder}/other"
    os.environ["POSTGRES_OPTIONS"] = "-c synchronous_standby_names=* -c wal_retrieve_retry_interval=100"
    url = f"postgres://jobd@/postgres?host={one},{other}&target_session_attrs=read-write"
    postgres("start", one)
    postgres("standby", other, one)
    servers = [Server(binary, url, folder) for _ in range(SERVERS)]
    clients = [Client([server.address for server in servers], number) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    time.sleep(seconds / 3)
    servers[0].process.kill()
    print("a server is killed with", sum(len(client.told) for client in clients), "jobs acknowledged", flush=True)
    servers[0].process.wait()
    servers[0] = Server(binary, url, folder, servers[0].address)
    time.sleep(seconds / 3)
    postgres("stop", one)
    print("the primary is killed with", sum(len(client.told) for client in clients), "jobs acknowledged", flush=True)
    postgres("promote", other)
    postgres("standby", one, other)
    time.sleep(seconds / 3)
    for client in clients:
        client.over = True
    for client in clients:
        client.join()
    servers.append(Server(binary, url, folder))
    faults = judge(clients, servers[:-1], servers[-1])
    print("statuses", dict(sum((client.statuses for client in clients), collections.Counter())))
    for server in servers:
        server.process.send_signal(signal.SIGTERM)
        server.process.wait()
    postgres("stop", one)
    postgres("stop", other)
    shutil.rmtree(folder)
    print("failover: FAILED" if faults else "failover: all as it must be")
    return faults > 0


sys.exit(main(sys.argv[1], float(os.environ.get("SECONDS") or 30)))
