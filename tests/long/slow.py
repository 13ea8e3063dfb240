#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""500 slow clients against a limit of 300 (slowhttptest: headers, bodies, reading), and wrk beside 400 of
them. Each must be cut at the deadline, the service be back no later than it, and nobody be served a wrong
answer. `make slow` runs it; it ends by itself after a minute."""

import os, re, signal, subprocess, sys, tempfile, threading, time
from http.client import HTTPConnection

DEADLINE_S = 3
LIMIT, SLOW, BESIDE = 300, 500, 400
ATTACKS = {"slow headers": ["-H", "-x", "24"], "slow bodies": ["-B", "-s", "4096", "-x", "10"],
           "slow reading": ["-X", "-n", "5", "-z", "1", "-w", "1", "-y", "8"]}


class Server:
    def __init__(self, binary, *options):
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([binary, "-l", "127.0.0.1:0", "-w", "0", "--grace", "0ms", *options],
                                        stderr=self.log)
        end = time.monotonic() + 10
        while not (found := re.search(r"listening on 127\.0\.0\.1:(\d+)", self.said())):
            if self.process.poll() is not None or time.monotonic() > end:
                sys.exit("jobd did not start: " + self.said())
            time.sleep(0.01)
        self.port = int(found[1])

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def metric(self, name):
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


class Prober(threading.Thread):
    """A newcomer every 50 ms: the longest time in which none was served."""

    def __init__(self, port):
        super().__init__()
        self.port, self.over, self.gap, self.served, self.refused, self.last = port, False, 0.0, 0, 0, time.monotonic()

    def run(self):
        while not self.over:
            try:
                connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/healthz")
                if connection.getresponse().status == 200:
                    self.served += 1
                    self.gap = max(self.gap, time.monotonic() - self.last)
                    self.last = time.monotonic()
                else:
                    self.refused += 1
            except OSError:
                self.refused += 1
            time.sleep(0.05)
        self.gap = max(self.gap, time.monotonic() - self.last)


def attack(port, options, connections, seconds, path):
    return subprocess.Popen(["slowhttptest", *options, "-c", str(connections), "-r", str(connections), "-i", "1",
                             "-l", str(seconds), "-p", "5", "-u", f"http://127.0.0.1:{port}{path}"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main(binary):
    right = True
    for name, options in ATTACKS.items():  # slowhttptest's own probe may put one job
        server = Server(binary, "--max-connections", str(LIMIT), "--header-timeout", f"{DEADLINE_S}s",
                        "--idle-timeout", f"{DEADLINE_S}s", "--max-body", "8KiB")
        prober = Prober(server.port)
        prober.start()
        attack(server.port, options, SLOW, 10, "/healthz" if name == "slow reading" else "/do").wait()
        prober.over = True
        prober.join()
        cut, jobs = server.metric("jobd_connections_cut_total"), server.metric("jobd_jobs_admitted_total")
        back = prober.gap <= DEADLINE_S + 1  # a sweep of the acceptor, and a probe's own time
        ended = server.stop()
        right = right and back and cut >= LIMIT * 9 // 10 and jobs <= 1 and ended == (1 if jobs else 0)
        print(f"{name}: {SLOW} against {LIMIT}: {cut:.0f} cut, {prober.served} newcomers served, {prober.refused} "
              f"refused, without service at most {prober.gap:.1f} s, {jobs:.0f} jobs{'' if back else ', too long'}")
    for beside in (0, BESIDE):
        server = Server(binary, "--header-timeout", f"{DEADLINE_S}s")
        slow = attack(server.port, ATTACKS["slow headers"], beside, 9, "/do") if beside else None
        time.sleep(1)
        wrk = subprocess.run(["wrk", "-t1", "-c64", "-d6s", "--latency", f"http://127.0.0.1:{server.port}/do"],
                             capture_output=True, text=True, check=True).stdout
        p99, rate = re.search(r'99%\s+(\S+)', wrk)[1], re.search(r'Requests/sec:\s+(\S+)', wrk)[1]
        print(f"wrk beside {beside} slow clients: p99 {p99}, {rate} requests a second")
        if slow:
            slow.wait()
        ended = server.stop()
        right = right and ended in (0, 1)  # 1: /do left a job that nobody takes
    return 0 if right else 1


sys.exit(main(os.path.abspath(sys.argv[1])))
