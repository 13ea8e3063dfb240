# SPDX-License-Identifier: MIT
"""What the soak's clients were told and what is seen of the server, and the complaints that follow from both.
self_test() shows each check something bad: a check that cannot complain is none."""
import collections, os, re, subprocess, sys

# How much memory may grow after the warm-up: in proportion, and in KiB. Sanitizers keep what was freed.
GROWTH = {"plain": (1, 3 * 1024), "sanitized": (1.1, 24 * 1024)}
WEB_DESCRIPTORS = 4 * 3  # what libcurl keeps open in the four workers of the queue web
REPORTS = re.compile(rb"ERROR: AddressSanitizer|runtime error|WARNING: ThreadSanitizer|LeakSanitizer"
                     rb"|broken invariant|Assertion")

# What each kind of request may be answered; 408 and 503 are for those who are slow or too many.
ALWAYS = {408, 503}
ALLOWED = {
    "put": {200, 202, 413, 422, 429, 500}, "retry": {202, 404, 409, 429}, "delete": {200, 202, 404, 409},
    "look": {200, 404}, "list": {200}, "take": {200, 204}, "lease": {200, 404, 409}, "queues": {200}, "schedules": {200, 201, 202, 404, 429},
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
        """When nothing is left in it. Both figures are the server's; the first must agree with the clients'."""
        sure = self.sure[queue] + len(self.keyed[queue])
        most = sure + self.unsure[queue]
        if self.says:
            print(f"queue {queue}: {sure} jobs acknowledged, {most} put at most, {admitted} admitted, {ended} ended")
        if not sure <= admitted <= most:
            self.fault(f"queue {queue}: {sure} to {most} put, {admitted} admitted")
        if admitted != ended:
            self.fault(f"queue {queue}: {admitted} admitted, {ended} ended")

    def judge_memory(self, samples, kind):
        rest = samples[len(samples) // 3:]
        fifth = max(1, len(rest) // 5)
        first, last = sum(rest[:fifth]) / fifth, sum(rest[-fifth:]) / fifth
        factor, slack = GROWTH[kind]
        if last > first * factor + slack:
            self.fault(f"memory grows: {first:.0f} to {last:.0f} KiB")
        return f"RSS {first / 1024:.1f} MiB after the warm-up, {last / 1024:.1f} at the end"

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


def answer(name, status, **fields):
    return lambda ledger: ledger.judge_answer("polite", name, status, fields, b"body")


def end(status, log):
    return lambda ledger: ledger.judge_end(status, log, "log")


def self_test():
    """What the checks must complain of, and what they must not; 1 when one did otherwise."""
    bad = [
        ("memory grows", memory("plain", 4 * 1024)), ("memory grows", memory("sanitized", 40 * 1024)),
        ("1 child processes left", dead_child), ("1 child processes left", child_left),
        ("descriptors", leak(WEB_DESCRIPTORS + 1)),
        ("7 to 9 put, 6 admitted", count(7, 2, 6, 6)), ("7 to 9 put, 10 admitted", count(7, 2, 10, 10)),
        ("8 admitted, 7 ended", count(7, 2, 8, 7)), ("8 admitted, 9 ended", count(7, 2, 8, 9)),
        ("status 404", answer("put", 404)), ("put: 500", answer("put", 500)),
        ("/healthz: 503", lambda ledger: ledger.judge_probe(503)),
        ("exit status 1", end(1, b"")), ("a report", end(0, b"one\n" + invariant() + b"\n")),
    ]
    bad += [("a report", end(0, b"one\n" + report + b": of something\n")) for report in (
        b"==7==ERROR: AddressSanitizer", b"a.c:7:1: runtime error", b"WARNING: ThreadSanitizer",
        b"==7==ERROR: LeakSanitizer", b"jobd: a.c:7: f: Assertion")]
    good = [
        memory("plain", 3 * 1024), memory("sanitized", 20 * 1024), leak(WEB_DESCRIPTORS), count(7, 2, 7, 7),
        count(7, 2, 9, 9), answer("put", 202), answer("put", 503), answer("put", 500, **{"jobd-state": "failed"}),
        lambda ledger: ledger.judge_children(children(os.getpid()), "now"),
        lambda ledger: ledger.judge_probe(200), end(0, b"jobd: listening on 127.0.0.1:7\n"),
    ]
    wrong = 0
    for expected, check in bad + [("", check) for check in good]:
        ledger = Ledger(says=False)
        check(ledger)
        complaints = "; ".join(ledger.faults)
        if expected not in complaints or bool(expected) != bool(complaints):
            print(f"soak: a check says {complaints!r} in place of {expected!r}", file=sys.stderr)
            wrong = 1
    return wrong
