# SPDX-License-Identifier: MIT
"""What those who follow cost the others: 1,000 followers of one running output and 1,000 of /events, at
10,000 changes of state a second, beside the same changes and nobody who follows.

    streams.py BINARY [ROUNDS [SECONDS]]

The server has the first core to itself, all else the last. A client asks /do so many times a second, and
is answered 429, as the queue is full, so that it makes no changes of its own. Each round measures without
and with followers. What they take of the server's core is what /do, which takes the whole of it at its
most, has less: that is the figure, the median of the rounds. Latencies say more on a quiet machine."""

import json
import multiprocessing
import os
import re
import resource
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

BINARY = sys.argv[1]
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
SECONDS = int(sys.argv[3]) if len(sys.argv) > 3 else 6
FOLLOWERS = 1000  # of each kind
CHANGES = 10000  # a second: a job is queued, runs, is done
ASKED = 1000  # times of /do a second
BATCH = 100
FIRST, LAST = 0, os.cpu_count() - 1
CONFIG = {
    "queues": {
        "default": {"capacity": 8, "workers": 0},
        "work": {"capacity": 100000, "workers": 2, "sleep": "0s"},
        "talk": {"capacity": 8, "exec": ["sh", "-c", "while :; do echo a line of output; sleep 0.05; done"]},
    }
}


class Server:
    def __init__(self, folder):
        path = os.path.join(folder, "jobd.json")
        with open(path, "w") as file:
            json.dump(CONFIG, file)
        self.log = open(os.path.join(folder, "log"), "w+")
        options = ["-l", "127.0.0.1:0", "-c", path, "--max-streams", "4000", "--max-per-address", "8000", "--grace", "0s"]
        options += ["--output-limit", "10MiB"]
        self.process = subprocess.Popen(
            ["taskset", "-c", str(FIRST), BINARY, *options], stdout=subprocess.DEVNULL, stderr=self.log
        )
        self.address = None
        while not self.address:
            assert self.process.poll() is None
            time.sleep(0.05)
            with open(self.log.name) as log:
                found = re.search(r"listening on (\S+)", log.read())
            self.address = found and found[1]

    def ask(self, method, path, body=None):
        request = urllib.request.Request(f"http://{self.address}{path}", body, {"Accept": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.read()

    def put(self, path):
        return json.loads(self.ask("POST", path, b"x"))["id"]

    def figure(self, words):
        return float(re.search(rf"^{re.escape(words)} (\S+)$", self.ask("GET", "/metrics").decode(), re.M)[1])

    def cpu_s(self):
        return self.figure("process_cpu_seconds_total")

    def end(self):
        self.process.terminate()
        self.process.wait()


def connect(address, target):
    host, port = address.rsplit(":", 1)
    one = socket.create_connection((host, int(port)))
    one.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    one.setblocking(False)
    return one


def follow(address, job, ready, got):
    """Reads all that comes, in a process of its own."""
    wait = selectors.DefaultSelector()
    for _ in range(FOLLOWERS):
        wait.register(connect(address, "/events?queue=work"), selectors.EVENT_READ)
        wait.register(connect(address, f"/jobs/{job}/output?follow"), selectors.EVENT_READ)
    ready.set()
    while True:
        size = 0
        for key, _ in wait.select():
            part = key.fileobj.recv(1 << 18)
            if not part:
                wait.unregister(key.fileobj)
            size += len(part)
        got.value += size


def change(address, over):
    """So many changes a second, as far as the server takes them."""
    host, port = address.rsplit(":", 1)
    one = socket.create_connection((host, int(port)))
    body = b"x\n" * BATCH
    request = f"POST /do/work?batch=lines HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    pause_s = 3 * BATCH / CHANGES
    due = time.monotonic()
    while not over.is_set():
        one.sendall(request)
        one.recv(4096)
        due += pause_s
        time.sleep(max(0, due - time.monotonic()))


def ask_often(server):
    """/do, at its rate: how long each answer took from when it was due."""
    host, port = server.address.rsplit(":", 1)
    one = socket.create_connection((host, int(port)))
    took, due = [], time.monotonic()
    until = due + SECONDS
    while due < until:
        time.sleep(max(0, due - time.monotonic()))
        one.sendall(b"POST /do HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b" 429 " in one.recv(4096)
        took.append(time.monotonic() - due)
        due += 1 / ASKED
    return sorted(took)


def measure(server):
    """The share of a core that the server takes; /do's latencies; changes a second."""
    done, cpu_s, began = server.figure('jobd_jobs_done_total{queue="work"}'), server.cpu_s(), time.monotonic()
    took = ask_often(server)
    spent_s = time.monotonic() - began
    changes = 3 * (server.figure('jobd_jobs_done_total{queue="work"}') - done) / spent_s
    return (server.cpu_s() - cpu_s) / spent_s, took, changes


def described(share, took, changes):
    half, most = took[len(took) // 2] * 1e3, took[len(took) * 99 // 100] * 1e3
    return f"{100 * share:.1f} % of a core, {changes:.0f} changes/s, /do in {half:.2f} ms, 99 % in {most:.1f}"


def main():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    rates, memories = [], []
    with tempfile.TemporaryDirectory() as folder:
        server = Server(folder)
        os.sched_setaffinity(0, {LAST})
        for _ in range(8):
            server.put("/do")
        job = server.put("/do/talk")
        over = multiprocessing.Event()
        changer = multiprocessing.Process(target=change, args=(server.address, over))
        changer.start()
        for turn in range(ROUNDS):
            without = measure(server)
            before = server.figure("process_resident_memory_bytes")
            ready, got = multiprocessing.Event(), multiprocessing.Value("q", 0, lock=False)
            readers = multiprocessing.Process(target=follow, args=(server.address, job, ready, got))
            readers.start()
            ready.wait(60)
            time.sleep(1)
            begun, since = got.value, time.monotonic()
            beside = measure(server)
            streams = server.figure("jobd_streams")
            read = (got.value - begun) / (time.monotonic() - since) / 1e6
            memory = (server.figure("process_resident_memory_bytes") - before) / (2 * FOLLOWERS) / 1024
            readers.terminate()
            readers.join()
            while server.figure("jobd_streams") > 0:
                time.sleep(0.1)
            rates.append(1 - (beside[0] - without[0]))
            memories.append(memory)
            print(f"round {turn + 1}: without: {described(*without)}")
            print(f"  beside {streams:.0f} streams: {described(*beside)}; {read:.1f} MB/s read, {memory:.1f} KiB each", flush=True)
        over.set()
        changer.join()
        print(f"cut {server.figure('jobd_streams_cut_total'):.0f}, gaps {server.figure('jobd_stream_gaps_total'):.0f}")
        server.end()
    print(f"/do beside them: {statistics.median(rates):.2f} ({min(rates):.2f} to {max(rates):.2f}); {max(memories):.1f} KiB each at most")


main()
