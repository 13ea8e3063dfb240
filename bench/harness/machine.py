# SPDX-License-Identifier: MIT
"""The machine: what it is, which cores are used, and what others did on it during a run."""

import datetime
import json
import os
import pathlib
import platform
import resource
import shutil
import subprocess

TICK = os.sysconf("SC_CLK_TCK")

_cores = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = _cores[0], _cores[-1]


def pinned(core, command):
    """The command, to be run on one core only; taskset gives way to it, so the pid is its own."""
    return ["taskset", "-c", str(core), *map(str, command)]


def raise_open_files():
    """As many descriptors as are allowed: 10,000 connections need them on both sides."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def busy_seconds():
    """CPU time spent on the cores that are used, by anybody, and time stolen by other machines."""
    busy = stolen = 0
    for line in open("/proc/stat"):
        words = line.split()
        if words[0] in {f"cpu{SERVER_CORE}", f"cpu{LOAD_CORE}"}:
            user, nice, system, _, _, irq, softirq, steal = map(int, words[1:9])
            busy += user + nice + system + irq + softirq
            stolen += steal
    return busy / TICK, stolen / TICK


def _first_line(*command):
    if shutil.which(command[0]) is None:
        return None
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return result.stdout.strip().splitlines()[0] if result.stdout.strip() else None


def _package(name):
    return _first_line("dpkg-query", "-W", "-f", "${Version}\n", name)


def _processor():
    names = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _siblings():
    """Whether the two cores are two threads of one: then the load slows the server down."""
    path = f"/sys/devices/system/cpu/cpu{SERVER_CORE}/topology/thread_siblings_list"
    try:
        threads = open(path).read().strip()
    except OSError:
        return "not known"
    return (
        f"share one core's threads ({threads})"
        if threads != str(SERVER_CORE)
        else "are not threads of one core"
    )


def facts_of_machine():
    """Name and value, for the head of any results."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    virtual = any(line.startswith("flags") and " hypervisor " in line + " " for line in open("/proc/cpuinfo"))
    return [
        ("date", datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")),
        ("processor", f"{_processor()}, {len(_cores)} cores{', a virtual machine' if virtual else ''}"),
        ("memory", f"{memory:.0f} GiB"),
        ("kernel", platform.release()),
        ("C compiler", _first_line("cc", "--version")),
    ]


def _locked(peer):
    """Name and version of what a peer's package.json asks for."""
    path = pathlib.Path(__file__).resolve().parent.parent / f"peers/{peer}/package.json"
    return ", ".join(f"{name} {version}" for name, version in json.loads(path.read_text())["dependencies"].items())


def _required(peer):
    """What a peer's go.mod asks for itself."""
    path = pathlib.Path(__file__).resolve().parent.parent / f"peers/{peer}/go.mod"
    words = [line.split() for line in path.read_text().splitlines() if " v" in line and "// indirect" not in line]
    return ", ".join(f"{line[-2].rpartition('/')[2]} {line[-1]}" for line in words)


def facts_of_queues():
    return [
        ("beanstalkd", _package("beanstalkd") or "missing"),
        ("Redis", _package("redis-server") or "missing"),
        ("PostgreSQL", _first_line("psql", "--version") or "missing"),
        ("asynq", f"{_required('asynq')}; {_first_line('go', 'version') or 'no Go'}"),
        ("River", _required("river")),
        ("BullMQ", f"{_locked('bullmq')}; Node.js {_first_line('node', '--version') or 'missing'}"),
        ("bunqueue", _locked("bunqueue")),
    ]


def facts(jobd):
    """Those of a server and its peers besides."""
    return facts_of_machine() + [
        ("cores used", f"server {SERVER_CORE}, load {LOAD_CORE}; as the system says they {_siblings()}"),
        ("jobd", _first_line(jobd, "--version")),
        ("libmicrohttpd", _package("libmicrohttpd12") or _package("libmicrohttpd-dev")),
        ("nginx", _package("nginx") or "missing"),
        ("Go", _first_line("go", "version") or "missing"),
        ("Rust", _first_line("rustc", "--version") or "missing"),
        ("beanstalkd", _package("beanstalkd") or "missing"),
        ("wrk", _package("wrk") or "missing"),
        ("open files allowed", resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
    ]
