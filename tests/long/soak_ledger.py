# SPDX-License-Identifier: MIT
"""What the soak's clients were told and what is seen of the server, and the complaints that follow from both.
self_test() shows each check something bad: a check that cannot complain is none."""
import base64, collections, hashlib, hmac, os, re, statistics, subprocess, sys

# How much memory may grow after the warm-up, the first third of the time: in proportion, and in KiB. Sanitizers keep what
# was freed. The rest is cut into pieces. What is lost bit by bit makes each higher than the one before, also when the
# server is as warm as it gets: so the second half of the pieces is judged by the step that is the one in the middle. What a
# server needs for the first time makes one step: with PostgreSQL the buffers of libpq, as large as the largest turn (4 MiB,
# which makes 8) and what comes of others or a snapshot (1 MiB, which makes 2, on two connections).
GROWTH = {"plain": (1, 3 * 1024), "sanitized": (1.1, 24 * 1024)}
PIECES, BUFFERS_KIB = 12, 12 * 1024
WEB_DESCRIPTORS = 11 * 3 + 2  # what libcurl keeps open in the workers that ask a web service; a queue that came later
REPORTS = re.compile(rb"ERROR: AddressSanitizer|runtime error|WARNING: ThreadSanitizer|LeakSanitizer"
                     rb"|broken invariant|Assertion")

# Of the log that servers share: it is trimmed when it has grown by so much, or by twice a snapshot; what comes until
# that is done; and how much room its table may take where nothing holds up the vacuum.
MIB = 1 << 20
LOG_MIB, LATE_MIB, TABLE_MIB = 64, 48, 256

FINAL = ("done", "failed", "cancelled")
PER_KEY, AT_ONCE = 2, [6, 8]  # of the queue with turns
TRIP, PROBE_S, HANDS = 3, 0.2, 3  # the breaker of the service that is down at times, and how many ask it

# What each kind of request may be answered; 408 and 503 are for those who are slow or too many.
ALWAYS = {408, 503}
ALLOWED = {
    "put": {200, 202, 409, 413, 422, 429, 500}, "retry": {202, 404, 409, 429}, "delete": {200, 202, 404, 409},
    "look": {200, 404}, "list": {200}, "take": {200, 204}, "lease": {200, 404, 409}, "queues": {200}, 
    "schedules": {200, 201, 202, 404, 429}, "child": {202, 400, 429}, "batch": {200, 404}, "bulk": {200}, "reports": {200},
    "leases": {200}, "patch": {200, 404, 409}, "callbacks": {200, 403}, "guest": {202, 404, 429},
    "health": {200}, "wrong": {400, 404, 405, 413, 414, 415, 422, 431, 501},
    "long": {202, 429, 431}, "raw": {200, 202, 204, 400, 403, 404, 405, 411, 413, 414, 415, 429, 431, 501, 505},
}


# ---- what is seen of a process

def rss_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def processes(where):
    """How many there are, `where` of their /proc/PID holds; those that end meanwhile are none."""
    found = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            found += where(f"/proc/{pid}")
        except OSError:
            pass
    return found


def read(path):
    with open(path, "rb") as file:
        return file.read()


def children(pid):
    """The dead that nobody has waited for included."""
    return processes(lambda folder: int(read(f"{folder}/stat").rpartition(b")")[2].split()[1]) == pid)


def marked(mark):
    """Those with this in their environment, whose children they may be."""
    return processes(lambda folder: mark.encode() in read(f"{folder}/environ"))


def signed(secret, fields, body):
    """As Standard Webhooks say."""
    text = ".".join(fields.get(name, "") for name in ("webhook-id", "webhook-timestamp")).encode() + b"." + body
    mac = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), text, hashlib.sha256).digest()
    return fields.get("webhook-signature") == "v1," + base64.b64encode(mac).decode()


def sanitized(binary):
    return any(name in read(binary) for name in (b"__asan_init", b"__tsan_init"))


# ---- what follows

class Ledger:
    def __init__(self, says=True):
        # Entries into each queue: acknowledged; sent but never answered.
        self.sure, self.unsure = collections.Counter(), collections.Counter()
        self.keyed = collections.defaultdict(set)  # ids of puts that a key makes repeatable: each counts once
        self.says, self.faults = says, collections.Counter()
        self.requests = collections.Counter()
        self.statuses = collections.Counter()
        self.resets = self.killed = self.reread = self.cuts = self.connections = self.connections_max = 0
        self.probe_worst = 0.0
        self.jobs = collections.deque(maxlen=500)
        self.calls, self.unsure_calls = set(), 0  # who has a callback; puts with one that were never answered
        self.told, self.deliveries = set(), set()  # who was told of, and by which jobs
        self.moved, self.moves_unsure = collections.Counter(), 0
        self.runs = self.runs_unsure = self.frail_asked = 0
        self.held = {}  # leases of the queue with turns: key, and until when at least

    def fault(self, text):
        if self.says and not self.faults[text] and len(self.faults) < 40:
            print("fault:", text, flush=True)
        self.faults[text] += 1

    def judge_answer(self, kind, name, status, fields, body):
        self.statuses[status] += 1
        if status not in ALLOWED[name] and status not in ALWAYS:
            self.fault(f"{kind} {name}: status {status} {body[:80]!r}")
        if status == 500 and "jobd-state" not in fields:
            self.fault(f"{kind} {name}: 500 {body[:80]!r}")

    def judge_counts(self, queue, admitted, ended):
        """When nothing is left in it. Both figures are the server's; the first must agree with the clients', and the
        second with what was moved."""
        sure = self.sure[queue] + len(self.keyed[queue])
        most = sure + self.unsure[queue]
        if self.says:
            print(f"queue {queue}: {sure} jobs acknowledged, {most} put at most, {admitted} admitted, {ended} ended")
        if not sure <= admitted <= most:
            self.fault(f"queue {queue}: {sure} to {most} put, {admitted} admitted")
        moved = self.moved[queue]
        if admitted + moved != ended and not (moved and self.moves_unsure):
            self.fault(f"queue {queue}: {admitted} admitted, {moved} moved into it, {ended} ended")

    def judge_memory(self, samples, kind, buffers_kib=0):
        rest = samples[len(samples) // 3:]
        pieces = min(PIECES, len(rest))
        levels = [statistics.median(rest[n * len(rest) // pieces:(n + 1) * len(rest) // pieces]) for n in range(pieces)]
        steps = [after - before for before, after in zip(levels, levels[1:])] or [0]
        first, last, steady = levels[0], levels[-1], statistics.median(steps[len(steps) // 2:]) * len(steps)
        factor, slack = GROWTH[kind]
        most = first * (factor - 1) + slack
        if steady > most or last - first > most + buffers_kib:
            self.fault(f"memory grows: {first:.0f} to {last:.0f} KiB, {steady:.0f} of it steadily")
        return (f"RSS {first / 1024:.1f} MiB after the warm-up, {last / 1024:.1f} at the end, {steady / 1024:.1f} more "
                "steadily")

    def judge_descriptors(self, before, after):
        if after > before + WEB_DESCRIPTORS:
            self.fault(f"descriptors: {before} at the start, {after} at the end")

    def judge_children(self, left, when):
        if left:
            self.fault(f"{left} child processes left {when}")

    def judge_probe(self, status):
        if status != 200:
            self.fault(f"/healthz: {status}")

    def judge_end(self, status, log, path):
        if status != 0:
            self.fault(f"exit status {status}")
        if REPORTS.search(log):
            self.fault(f"a report in {path}")


    # ---- what was planned, limited and told

    def judge_told(self, delivery, body, good):
        """One callback that has come."""
        self.deliveries.add(delivery)
        self.told.add(f"/{'batches' if 'jobs' in body else 'jobs'}/{body['id']}")
        if not good:
            self.fault("a callback is not signed")
        if body["state"] not in FINAL:
            self.fault(f"a callback tells of one that is {body['state']}")

    def judge_calls(self, admitted, others):
        """Each end with a callback has brought one, which was told; so many are of `others`."""
        sure = len(self.calls) + others
        if self.says:
            print(f"callbacks: {sure} ends acknowledged, {self.unsure_calls} more at most, {admitted} admitted, "
                  f"{len(self.deliveries)} told")
        if not sure <= admitted <= sure + self.unsure_calls:
            self.fault(f"{sure} to {sure + self.unsure_calls} ends with a callback, {admitted} callbacks")
        if admitted != len(self.deliveries):
            self.fault(f"{admitted} callbacks, {len(self.deliveries)} told")
        if not self.calls <= self.told:
            self.fault(f"{len(self.calls - self.told)} ends were not told")

    def judge_child(self, child, parents, want):
        """Parents that are forgotten are None."""
        failed = child.get("error", "").partition("a job it waits for failed: ")[2]
        for path, parent in parents.items():
            if parent and "started_at" in child and not ("finished_at" in parent and
                                                         parent["finished_at"] <= child["started_at"]):
                self.fault(f"a job has begun before the end of one that it waits for: {child} {parent}")
            if parent and "started_at" in child and want == "done" and parent["state"] != "done":
                self.fault(f"a job has begun behind one that is {parent['state']}")
            if failed == path and (want != "done" or parent and parent["state"] == "done"):
                self.fault(f"a job is cancelled for one that is {parent and parent['state']}, with if={want}")
        if failed and failed not in parents:
            self.fault("a job is cancelled for one that it does not wait for")

    def judge_batch(self, batch):
        states = {state: batch[state] for state in ("queued", "scheduled", "blocked", "running", *FINAL)}
        if sum(states.values()) != batch["jobs"]:
            self.fault(f"a batch of {batch['jobs']} jobs: {states}")
        if ("finished_at" in batch) != (batch["state"] in FINAL) or ("finished_at" in batch) != (
                sum(states[state] for state in FINAL) == batch["jobs"]):
            self.fault(f"a batch that is {batch['state']}: {states}")

    def judge_held(self, lease, key, until, now):
        """A lease was given; with those that were not over yet there may be no more than the limits say. It may be over
        itself, when this driver comes to it late: then others may have been given since."""
        self.held = {one: rest for one, rest in {**self.held, lease: (key, until)}.items() if rest[1] > now + 0.1}
        of_key = sum(rest[0] == key for rest in self.held.values())
        if of_key > PER_KEY:
            self.fault(f"{of_key} jobs of a key run, {PER_KEY} may")
        if len(self.held) > max(AT_ONCE):
            self.fault(f"{len(self.held)} jobs run, {max(AT_ONCE)} may")

    def judge_reports(self, lines, answers):
        if [line["lease"] for line in lines] != [answer["lease"] for answer in answers]:
            self.fault("reports are answered in another order")
        for answer in answers:
            if answer["status"] not in (200, 409) and answer["status"] not in ALWAYS:
                self.fault(f"a report: status {answer['status']}")

    def judge_output(self, appended, output, said, progress):
        if appended != output:
            self.fault(f"appended {appended!r}, output {output!r}")
        if said != progress:
            self.fault(f"said {said!r}, progress {progress!r}")

    def judge_many(self, answer):
        if not 0 <= answer["changed"] <= answer["matched"]:
            self.fault(f"{answer['matched']} matched, {answer['changed']} changed")

    def judge_pages(self, seen, order):
        """Ids, and whether each is one that was asked for."""
        ids = [number for number, _ in seen]
        if ids != sorted(set(ids), reverse=order == "newest"):
            self.fault("a list has a job twice, or in another order")
        if not all(wanted for _, wanted in seen):
            self.fault("a list has a job that was not asked for")

    def judge_instants(self, happened, first, last):
        """Of a schedule of every second, missed ones included."""
        if self.says:
            print(f"schedule: {happened} instants")
        if happened != round(last - first) + 1:
            self.fault(f"{round(last - first) + 1} instants, {happened} have happened or were missed")

    def judge_fired(self, fired, admitted):
        sure = fired + self.runs
        if self.says:
            print(f"schedules: {fired} instants and {self.runs} runs, {admitted} jobs")
        if not sure <= admitted <= sure + self.runs_unsure:
            self.fault(f"{sure} to {sure + self.runs_unsure} instants and runs, {admitted} jobs of schedules")

    def judge_rate(self, begun, rate, seconds):
        if begun > rate * (1 + seconds):
            self.fault(f"{begun} jobs have begun in {seconds:.1f} s at {rate} a second")

    def judge_breaker(self, asked, seconds, servers=1):
        """A service that was down for so long: each server finds that out by itself."""
        most = servers * (TRIP + HANDS + seconds / PROBE_S + 2)
        if asked > most:
            self.fault(f"a service that was down for {seconds:.1f} s was asked {asked} times, {most:.0f} at most")

    def judge_keys(self, left):
        if left:
            self.fault(f"{left} keys are left of jobs that have ended")


    # ---- several servers, one database

    def judge_log(self, log, snapshots):
        """Bytes of the entries that are in the log, and of the snapshots."""
        if log > max(LOG_MIB * MIB, 2 * snapshots) + LATE_MIB * MIB:
            self.fault(f"the log has {log // MIB} MiB, snapshots {snapshots // MIB}")

    def judge_tables(self, before, held, after):
        """Bytes that the tables take: samples before somebody holds a snapshot of the database, while what is deleted
        cannot go, and when it can again."""
        if max(before, default=0) > TABLE_MIB * MIB:
            self.fault(f"the tables take {max(before) // MIB} MiB")
        if held and max(after, default=0) > max(held) + TABLE_MIB * MIB:
            self.fault(f"the tables took {max(held) // MIB} MiB while a snapshot was held, and {max(after) // MIB} after it")

    def judge_alike(self, name, answers):
        """What servers that share their queues say of the same."""
        if any(one != answers[0] for one in answers):
            self.fault(f"{name} differs: {answers}")


# ---- the checks checked

class Child:
    """One that is there, dead or alive, while it is needed."""

    def __init__(self, command, environment):
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self):
        self.process.stdout.read(1)  # it runs, or it is over
        return self

    def __exit__(self, *_):
        self.process.communicate()


def count(sure, unsure, admitted, ended):
    def check(ledger):
        ledger.sure["q"], ledger.unsure["q"] = sure - 1, unsure
        ledger.keyed["q"].add("/jobs/1")
        ledger.judge_counts("q", admitted, ended)
    return check


def dead_child(ledger):
    with Child(["true"], {}):
        ledger.judge_children(children(os.getpid()), "now")


def child_left(ledger):
    mark = f"JOBD_SOAK_MARK={os.getpid()}.self-test"
    with Child(["sh", "-c", "echo; read _"], dict([mark.split("=")], PATH=os.environ["PATH"])):
        ledger.judge_children(marked(mark), "now")


def leak(number):
    def check(ledger):
        before = descriptors(os.getpid())
        opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(number)]
        ledger.judge_descriptors(before, descriptors(os.getpid()))
        for fd in opened:
            os.close(fd)
    return check


def invariant():
    """As verify() prints it."""
    return re.search(rb'fprintf\(stderr, "(.*)\\n"', read(f"{os.path.dirname(__file__)}/../../src/base/verify.h")).group(1)


def memory(kind, grows_kib):
    return lambda ledger: ledger.judge_memory([9000] * 100 + [30000 + grows_kib * i // 199 for i in range(200)], kind)


def memory_steps(steps, kib):
    """So many in the last two thirds, each of so much."""
    return lambda ledger: ledger.judge_memory([30000] * 100 + [30000 + (i * (steps + 1) // 200) * kib for i in range(200)],
                                              "plain", BUFFERS_KIB)


def answer(name, status, **fields):
    return lambda ledger: ledger.judge_answer("polite", name, status, fields, b"body")


def end(status, log):
    return lambda ledger: ledger.judge_end(status, log, "log")


def moved(number, unsure, admitted, ended):
    def check(ledger):
        ledger.sure["q"], ledger.moved["q"], ledger.moves_unsure = admitted, number, unsure
        ledger.judge_counts("q", admitted, ended)
    return check


def calls(acknowledged, unsure, others, admitted, told):
    def check(ledger):
        ledger.calls, ledger.unsure_calls = {f"/jobs/{n}" for n in range(acknowledged)}, unsure
        for number in range(told):
            ledger.judge_told(number, {"id": number, "state": "done"}, True)
        ledger.judge_calls(admitted, others)
    return check


def told(state, good):
    return lambda ledger: ledger.judge_told(1, {"id": 1, "state": state, "jobs": 2}, good)


def signature(body):
    def check(ledger):
        fields = {"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
                  "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}
        if not signed("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", fields, body):
            ledger.fault("a callback is not signed")
    return check


def child(want, state, parent="done", **members):
    one = {"state": parent, "finished_at": "2026-11-27T10:00:00.000Z"}
    if state == "done":
        members.setdefault("started_at", "2026-11-27T10:00:00.000Z")
    return lambda ledger: ledger.judge_child({"state": state, **members}, {"/jobs/1": one, "/jobs/2": None}, want)


def batch(state, **members):
    counts = dict.fromkeys(("queued", "scheduled", "blocked", "running", *FINAL), 0)
    return lambda ledger: ledger.judge_batch({**counts, "jobs": 3, "state": state, **members})


def held(keys, until, later="", later_until=0):
    def check(ledger):
        for number, key in enumerate(keys + later):
            ledger.judge_held(number, key, until if number < len(keys) else later_until, 100)
    return check


def judged(name, *args):
    return lambda ledger: getattr(ledger, name)(*args)


WAITS = "a job it waits for failed: /jobs/"
BAD_PLANS = [
    ("9 admitted, 2 moved into it, 10 ended", moved(2, 0, 9, 10)),
    ("9 admitted, 0 moved into it, 10 ended", moved(0, 1, 9, 10)),
    ("6 to 7 ends with a callback, 5", calls(4, 1, 2, 5, 5)), ("6 to 7 ends with a callback, 8", calls(4, 1, 2, 8, 8)),
    ("7 callbacks, 6 told", calls(4, 1, 2, 7, 6)), ("1 ends were not told", calls(4, 0, -1, 3, 3)),
    ("not signed", told("done", False)), ("one that is running", told("running", True)),
    ("not signed", signature(b'{"test": 2432232315}')),
    ("before the end", child("ended", "done", started_at="2026-11-27T09:59:59.999Z")),
    ("behind one that is failed", child("done", "done", "failed")),
    ("for one that is done", child("done", "cancelled", error=WAITS + "1")),
    ("if=ended", child("ended", "cancelled", "failed", error=WAITS + "1")),
    ("does not wait for", child("done", "cancelled", "failed", error=WAITS + "3")),
    ("a batch of 3", batch("running", done=2)), ("a batch that is done", batch("done", done=3)),
    ("a batch that is running", batch("running", done=3)), ("a batch that is done", batch("done", done=2, queued=1, finished_at="")),
    ("3 jobs of a key", held("aaa", 101)), ("9 jobs run", held("abcdefghi", 101)),
    ("another order", judged("judge_reports", [{"lease": "a"}, {"lease": "b"}], [{"lease": "b", "status": 200}])),
    ("a report: status 404", judged("judge_reports", [{"lease": "a"}], [{"lease": "a", "status": 404}])),
    ("appended b'aa'", judged("judge_output", b"aa", b"a", b"", b"")), ("said b'a'", judged("judge_output", b"", b"", b"a", b"")),
    ("1 matched, 2 changed", judged("judge_many", {"matched": 1, "changed": 2})),
    ("twice", judged("judge_pages", [(1, True), (1, True)], "oldest")),
    ("another order", judged("judge_pages", [(1, True), (2, True)], "newest")),
    ("not asked for", judged("judge_pages", [(1, False)], "oldest")),
    ("61 instants, 60", judged("judge_instants", 60, 10, 70)), ("61 instants, 62", judged("judge_instants", 62, 10, 70)),
    ("7 to 7 instants and runs, 6", judged("judge_fired", 7, 6)), ("7 to 7 instants and runs, 8", judged("judge_fired", 7, 8)),
    ("221 jobs have begun", judged("judge_rate", 221, 20, 10)), ("asked 14 times", judged("judge_breaker", 14, 1)),
    ("1 keys are left", judged("judge_keys", 1)), ("asked 27 times", judged("judge_breaker", 27, 1, 2)),
    ("the log has 113 MiB", judged("judge_log", 113 * MIB, 30 * MIB)),
    ("the tables take 257", judged("judge_tables", [9 * MIB, 257 * MIB], [], [])),
    ("and 557 after it", judged("judge_tables", [], [300 * MIB], [557 * MIB, 9])),
    ("a differs: [1, 1, 2]", judged("judge_alike", "a", [1, 1, 2])),
]
GOOD_PLANS = [
    moved(2, 0, 9, 11), moved(2, 1, 9, 10), calls(4, 1, 2, 6, 6), calls(4, 1, 2, 7, 7), told("failed", True),
    signature(b'{"test": 2432232314}'), child("done", "done"), child("ended", "done", "failed"),
    child("done", "cancelled", "failed", error=WAITS + "1"), child("done", "cancelled", error=WAITS + "2"),
    batch("running", done=2, blocked=1), batch("failed", done=2, failed=1, finished_at=""), held("aab", 101),
    held("aaaa", 100), held("aa", 101, "aa", 100), judged("judge_reports", [{"lease": "a"}], [{"lease": "a", "status": 409}]),
    judged("judge_output", b"a", b"a", b"b", b"b"), judged("judge_many", {"matched": 2, "changed": 2}),
    judged("judge_pages", [(2, True), (1, True)], "newest"), judged("judge_instants", 61, 10, 70),
    judged("judge_fired", 7, 7), judged("judge_rate", 220, 20, 10), judged("judge_breaker", 13, 1), judged("judge_keys", 0),
    judged("judge_reports", [{"lease": "a"}], [{"lease": "a", "status": 503}]), judged("judge_breaker", 26, 1, 2), judged("judge_log", 112 * MIB, 30 * MIB), judged("judge_log", 200 * MIB, 90 * MIB),
    judged("judge_tables", [9 * MIB], [900 * MIB], [900 * MIB]), judged("judge_alike", "a", [1, 1, 1]),
]


def self_test():
    """What the checks must complain of, and what they must not; 1 when one did otherwise."""
    bad = [
        ("memory grows", memory("plain", 4 * 1024)), ("memory grows", memory("sanitized", 40 * 1024)),
        ("memory grows", memory_steps(2, 8 * 1024)), ("memory grows", memory_steps(12, 512)),
        ("1 child processes left", dead_child), ("1 child processes left", child_left),
        ("descriptors", leak(WEB_DESCRIPTORS + 1)),
        ("7 to 9 put, 6 admitted", count(7, 2, 6, 6)), ("7 to 9 put, 10 admitted", count(7, 2, 10, 10)),
        ("8 admitted, 0 moved into it, 7 ended", count(7, 2, 8, 7)),
        ("8 admitted, 0 moved into it, 9 ended", count(7, 2, 8, 9)),
        ("status 404", answer("put", 404)), ("put: 500", answer("put", 500)),
        ("/healthz: 503", lambda ledger: ledger.judge_probe(503)),
        ("exit status 1", end(1, b"")), ("a report", end(0, b"one\n" + invariant() + b"\n")),
    ]
    bad += [("a report", end(0, b"one\n" + report + b": of something\n")) for report in (
        b"==7==ERROR: AddressSanitizer", b"a.c:7:1: runtime error", b"WARNING: ThreadSanitizer",
        b"==7==ERROR: LeakSanitizer", b"jobd: a.c:7: f: Assertion")]
    good = [
        memory("plain", 3 * 1024), memory("sanitized", 20 * 1024), memory_steps(2, 7 * 1024), leak(WEB_DESCRIPTORS), count(7, 2, 7, 7),
        count(7, 2, 9, 9), answer("put", 202), answer("put", 503), answer("put", 500, **{"jobd-state": "failed"}),
        lambda ledger: ledger.judge_children(children(os.getpid()), "now"),
        lambda ledger: ledger.judge_probe(200), end(0, b"jobd: listening on 127.0.0.1:7\n"),
    ]
    bad += BAD_PLANS
    good += GOOD_PLANS
    wrong = 0
    for expected, check in bad + [("", check) for check in good]:
        ledger = Ledger(says=False)
        check(ledger)
        complaints = "; ".join(ledger.faults)
        if expected not in complaints or bool(expected) != bool(complaints):
            print(f"soak: a check says {complaints!r} in place of {expected!r}", file=sys.stderr)
            wrong = 1
    return wrong
