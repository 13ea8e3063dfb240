# SPDX-License-Identifier: MIT
"""What a request costs in instructions, by part, `make bench-instructions`; the page of it.

    instructions.py JOBD FOLDER

callgrind counts what jobd and its libraries do for so many requests, after as many to warm up: nothing of
the start or the end is in it, nor of the kernel, and it is the same on a machine that is busy. Not counted
is what runs by the clock and not by the request, and the clearing of libmicrohttpd's pool, which is one
instruction that callgrind counts by the byte. Writes FOLDER/instructions.md, and prints it."""

import collections
import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile

from harness import machine, report

GROUP = 64  # durable jobs that are asked for together, so that they share a commit
BATCH = 100
LIBRARIES = ("jobd", "libmicrohttpd", "libc", "libsqlite3", "libz")
BY_THE_CLOCK = ("deadlines_sweep", "conn_phase", "gate_main", "heart_main")
CLEARING = ("__memset_avx2_unaligned_erms", "__memset_avx512_unaligned_erms", "__memset_evex_unaligned_erms")
WAITING = ("-w", "0", "-q", "20000", "--grace", "1ms")


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.rest = b""

    def send(self, method, path, body=b"", accept=""):
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n{accept}\r\n"
        self.socket.sendall(head.encode() + body)

    def receive(self, wanted):
        """The head and the body of an answer that must have this status."""
        while b"\r\n\r\n" not in self.rest:
            self.rest += self.socket.recv(65536)
        head, _, rest = self.rest.partition(b"\r\n\r\n")
        length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
        while len(rest) < length:
            rest += self.socket.recv(65536)
        self.rest = rest[length:]
        if head.split()[1] != wanted:
            raise RuntimeError(f"answered {head.decode()}")
        return head, rest[:length]


def ask(connection):
    connection.send("GET", "/do")
    connection.receive(b"429")


def put(*connections):
    for one in connections:
        one.send("POST", "/do", b"x" * 100)
    for one in connections:
        one.receive(b"202")


def take_and_end(*connections):
    for one in connections:
        one.send("POST", "/take")
    leases = [re.search(rb"Location: (\S+)", one.receive(b"200")[0])[1].decode() for one in connections]
    for one, lease in zip(connections, leases):
        one.send("POST", f"{lease}/done")
    for one in connections:
        one.receive(b"200")


def put_lines(connection):
    connection.send("POST", "/do?batch=lines", (b"x" * 100 + b"\n") * BATCH)
    connection.receive(b"202")


def take_many(connection):
    connection.send("POST", f"/take?max={BATCH}", accept="Accept: application/json\r\n")
    jobs = json.loads(connection.receive(b"200")[1])["jobs"]
    connection.send("POST", "/leases/done", b"\n".join(json.dumps({"lease": job["lease"]}).encode() for job in jobs))
    connection.receive(b"200")


def fill_eight(connection):
    for _ in range(8):
        put(connection)


def fill_and_take(connection):
    """So many jobs that wait, and one that is leased."""
    for _ in range(10):
        put_lines(connection)
    connection.send("POST", "/take")
    head = connection.receive(b"200")[0].decode()
    connection.lease, connection.job = (re.search(rf"{name}: (\S+)", head)[1] for name in ("Location", "Jobd-Id"))


def extend(connection):
    connection.send("POST", f"{connection.lease}/extend?lease=60s")
    connection.receive(b"200")


def look(path, accept="application/json"):
    """What asks for this with GET."""

    def ask_it(connection):
        connection.send("GET", path.format(connection.job), accept=f"Accept: {accept}\r\nAccept-Encoding: gzip\r\n")
        connection.receive(b"200")

    return ask_it


# What it is called, jobd's options, its connections, what it begins with, what is repeated so often, and how
# many operations that is.
WORKS = (
    ("`/do`, refused", ("-w", "0", "-q", "8", "--grace", "1ms"), 1, fill_eight, ask, 1000, 1),
    ("put of 100 bytes", WAITING, 1, None, put, 1000, 1),
    ("take + done", WAITING, 1, lambda one: [put_lines(one) for _ in range(12)], take_and_end, 500, 1),
    (f"put, {BATCH} lines a request", WAITING, 1, None, put_lines, 50, BATCH),
    (f"take with `max={BATCH}` + `/leases/done`", WAITING, 1, lambda one: [put_lines(one) for _ in range(70)], take_many, 30, BATCH),
    ("extend", WAITING, 1, fill_and_take, extend, 500, 1),
    ("a list of 50 jobs", WAITING, 1, fill_and_take, look("/jobs?order=newest&limit=50"), 200, 1),
    ("one job", WAITING, 1, fill_and_take, look("/jobs/{}"), 500, 1),
    ("`/status`", WAITING, 1, fill_and_take, look("/status"), 500, 1),
    ("`/leases`, one", WAITING, 1, fill_and_take, look("/leases"), 500, 1),
    ("`/schedules`, none", WAITING, 1, fill_and_take, look("/schedules"), 500, 1),
    ("the page", WAITING, 1, fill_and_take, look("/", "text/html"), 500, 1),
    (f"durable put, {GROUP} at once", (*WAITING, "--sync", "off"), GROUP, None, put, 40, GROUP),
    (
        f"durable take + done, {GROUP} at once",
        (*WAITING, "--sync", "off"),
        GROUP,
        lambda *all: [put(*all) for _ in range(52)],
        take_and_end,
        20,
        GROUP,
    ),
)


def parse(path):
    """Instructions by object and function: callgrind's own format, with its names told once each."""
    names, at, counts, skip = {"ob": {}, "fn": {}}, {"ob": "?", "fn": "?"}, collections.Counter(), False
    for line in open(path):
        named = re.match(r"c?(ob|fn)=(?:\((\d+)\))?\s*(.*)", line)
        if named:
            kind, number, text = named.groups()
            if text:
                names[kind][number] = text
            if not line.startswith("c"):
                at[kind] = names[kind].get(number, "?")
        elif line.startswith("calls="):
            skip = True
        elif re.match(r"[+\-*\d]", line):
            if not skip:
                counts[at["ob"].rpartition("/")[2].split(".")[0], at["fn"].split("'")[0]] += int(line.split()[-1])
            skip = False
    return counts


def control(what, pid):
    subprocess.run(["callgrind_control", what, str(pid)], check=True, capture_output=True)


def measure(jobd, folder, work):
    """Instructions an operation, by library."""
    _, options, connections, begin, each, times, operations = work
    out = folder / f"callgrind-{WORKS.index(work)}"
    data = ("--data", f"{out}-data") if "--sync" in options else ()
    command = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}", jobd, "-l", "127.0.0.1:0", *options, *data]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as server:
        try:
            port = next(found[1] for line in server.stderr if (found := re.search(r"listening on \S+:(\d+)", line)))
            all = [Connection(int(port)) for _ in range(connections)]
            if begin:
                begin(*all)
            for _ in range(times // 4 + 1):
                each(*all)
            control("-z", server.pid)
            for _ in range(times):
                each(*all)
            control("-d", server.pid)
        finally:
            server.terminate()
            server.stderr.read()
    found = collections.Counter()
    for (library, function), count in parse(f"{out}.1").items():
        if function not in (*BY_THE_CLOCK, *CLEARING):
            found[library] += count / times / operations
    return found


def page(jobd, lines):
    yield "# What a request costs, in instructions"
    yield ""
    yield (
        "Written by `make bench-instructions`: by callgrind, of user space alone, an operation. Without what runs by the "
        "clock, and without the clearing of libmicrohttpd's pool for each request."
    )
    yield ""
    yield from report.table(["", ""], machine.facts_of_machine() + machine.facts(jobd)[6:8])
    yield ""
    yield from report.table(["operation", "all", *LIBRARIES, "other"], lines)


def main():
    jobd, out = sys.argv[1], pathlib.Path(sys.argv[2])
    if shutil.which("valgrind") is None:
        sys.exit("valgrind is missing")
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for work in WORKS:
            found = measure(jobd, pathlib.Path(folder), work)
            whole = sum(found.values())
            cells = [found[name] for name in LIBRARIES]
            lines.append([work[0], *(f"{value:,.0f}" for value in (whole, *cells, whole - sum(cells)))])
            print(*lines[-1], sep="\t", file=sys.stderr, flush=True)
    text = "\n".join(page(jobd, lines)) + "\n"
    out.mkdir(parents=True, exist_ok=True)
    (out / "instructions.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
