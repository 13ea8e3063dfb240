# SPDX-License-Identifier: MIT
"""A server under measurement: started on its own core, looked at from outside, always stopped."""

import os
import pathlib
import signal
import socket
import subprocess
import time

from . import machine

_running = []


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port, process, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"ended with {process.returncode} before it listened")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.01)
    raise RuntimeError("does not listen")


class Server:
    """Started in the constructor. `stdout` is a file that holds what it wrote."""

    def __init__(self, command, port, folder, pipe=False):
        self.port = port
        folder = pathlib.Path(folder)
        self.stdout = folder / f"stdout-{port}"
        self.stderr = folder / f"stderr-{port}"
        with open(self.stdout, "wb") as out, open(self.stderr, "wb") as err:
            self.process = subprocess.Popen(
                machine.pinned(machine.SERVER_CORE, command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if pipe else out,
                stderr=err,
            )
        _running.append(self)
        try:
            wait_for_port(port, self.process)
        except RuntimeError as error:
            self.stop()
            raise RuntimeError(f"{command[0]} {error}: {self.stderr.read_text()[-200:]}") from None

    @property
    def pid(self):
        return self.process.pid

    def pids(self):
        """The process and its children: nginx serves from a worker process."""
        found, todo = [], [self.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            try:
                for task in os.listdir(f"/proc/{pid}/task"):
                    todo += map(int, open(f"/proc/{pid}/task/{task}/children").read().split())
            except OSError:
                continue
        return found

    def cpu(self):
        """Seconds of user and system time so far, ended threads included."""
        user = system = 0
        for pid in self.pids():
            try:
                fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
            except OSError:
                continue  # a command that has just ended
            user += int(fields[11])
            system += int(fields[12])
        return user / machine.TICK, system / machine.TICK

    def memory(self, field="VmRSS"):
        """KiB; VmHWM is the most it ever was."""
        total = 0
        for pid in self.pids():
            try:
                lines = open(f"/proc/{pid}/status").readlines()
            except OSError:
                continue
            total += sum(int(line.split()[1]) for line in lines if line.startswith(field + ":"))
        return total

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, patience=10):
        """Asks it to end and waits; kills it when it does not. Returns its exit status."""
        if self in _running:
            _running.remove(self)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        return self.process.returncode

    def done_lines(self):
        return sum(line.startswith(b"done job") for line in open(self.stdout, "rb"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def stop_all():
    for server in list(_running):
        server.stop(patience=2)
