# SPDX-License-Identifier: MIT
"""A server of the soak tests."""
import asyncio, os, re, subprocess, sys
from soak_ledger import WEB_DESCRIPTORS, children, descriptors


class Server:
    """One process of the binary, and what is seen of it."""

    def __init__(self, soak, number, *where):
        self.log_path, self.samples = f"{soak.folder}/log{number}", []
        command = [soak.binary, "-l", "127.0.0.1:0", "-c", f"{soak.folder}/config.json", *where]
        name, _, value = soak.mark.partition("=")
        environment = dict(os.environ, ASAN_OPTIONS="quarantine_size_mb=16", TSAN_OPTIONS="history_size=2")
        environment[name] = value
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
                                            env=environment)

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        with open(self.log_path, "rb") as log:
            return log.read()

    async def listens(self):
        for _ in range(600):
            await asyncio.sleep(0.1)
            found = re.search(rb"listening on 127\.0\.0\.1:(\d+)", self.log())
            if found:
                self.port, self.descriptors = int(found.group(1)), 0
                return
        sys.exit(f"the server did not start: {self.log()!r}")

    async def stop(self, ledger):
        for _ in range(60):  # until what the clients have left is closed
            if descriptors(self.pid) <= self.descriptors + WEB_DESCRIPTORS and children(self.pid) == 0:
                break
            await asyncio.sleep(0.5)
        ledger.judge_descriptors(self.descriptors, descriptors(self.pid))
        ledger.judge_children(children(self.pid), "when nothing runs")
        self.process.terminate()
        try:
            status = await asyncio.to_thread(self.process.wait, 90)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = "none in 90 s"
        ledger.judge_end(status, self.log(), self.log_path)
