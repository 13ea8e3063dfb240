# SPDX-License-Identifier: MIT
"""Who is measured: how each is started, and how it says what it has answered."""

import dataclasses
import pathlib
import shutil
import signal
import socket
import time
import urllib.request

from .servers import Server, free_port

HERE = pathlib.Path(__file__).resolve().parent.parent


@dataclasses.dataclass
class Counts:
    accepted: int = 0  # 202
    refused: int = 0  # 429
    other: int = 0  # any other status
    done: int = 0  # jobs that have run

    def __sub__(self, before):
        return Counts(*(a - b for a, b in zip(dataclasses.astuple(self), dataclasses.astuple(before))))

    @property
    def answered(self):
        return self.accepted + self.refused + self.other


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as reply:
        return reply.read().decode()


def prometheus(port):
    """jobd's figures: name with labels to value."""
    lines = (line.rpartition(" ") for line in get(port, "/metrics").splitlines() if line[:1] != "#")
    return {name: float(value) for name, _, value in lines}


def _jobd_counts(server):
    figures = prometheus(server.port)
    of = lambda name: int(figures[f'jobd_jobs_{name}_total{{queue="default"}}'])
    bad = sum(
        int(figures[f'jobd_replies_total{{class="{k}xx"}}'])
        for k in (3, 4, 5)
        if f'jobd_replies_total{{class="{k}xx"}}' in figures
    )
    return Counts(of("admitted"), of("rejected"), bad - of("rejected"), of("done"))


def _own_counts(server):
    figures = dict(line.split() for line in get(server.port, "/stats").splitlines())
    return Counts(int(figures["accepted"]), int(figures["refused"]), 0, int(figures["done"]))


def _nginx_counts(server):
    """stub_status counts each request, the one that asks for it included; all others got a 202."""
    lines = get(server.port, "/stats").splitlines()
    server.asked = getattr(server, "asked", 0) + 1
    return Counts(accepted=int(lines[2].split()[2]) - server.asked)


def _floor_counts(server):
    """The floor cannot be asked over HTTP: a signal makes it write its count."""
    before = server.stdout.read_text().count("\n")
    server.signal(signal.SIGUSR1)
    end = time.monotonic() + 5
    while time.monotonic() < end:
        lines = server.stdout.read_text().splitlines(keepends=True)
        if len(lines) > before and lines[-1].endswith("\n"):
            return Counts(refused=int(lines[-1].split()[1]))
        time.sleep(0.005)
    raise RuntimeError("the floor does not say its count")


def beanstalkd_figures(port):
    with socket.create_connection(("127.0.0.1", port), 10) as link:
        link.sendall(b"stats\r\n")
        text = b""
        while not text.endswith(b"\r\n") or text.count(b"\r\n") < 2:
            text += link.recv(65536)
    pairs = (line.split(": ", 1) for line in text.decode().splitlines() if ": " in line)
    return {name: value for name, value in pairs}


@dataclasses.dataclass
class Peer:
    name: str
    title: str
    command: object  # from port and folder to a list of words
    counts: object = None
    runs_jobs: bool = True
    missing: str = None  # why it is left out

    def start(self, folder, *extra, pipe=False):
        port = free_port()
        return Server([*self.command(port, folder), *extra], port, folder, pipe)


def _nginx(port, folder):
    text = (HERE / "peers/nginx.conf").read_text()
    folder = pathlib.Path(folder).resolve()
    file = folder / "nginx.conf"
    file.write_text(text.replace("PORT", str(port)).replace("DIR", str(folder)))
    return [
        shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin"),
        "-c",
        str(file),
        "-e",
        str(folder / "nginx.log"),
        "-g",
        "daemon off;",
    ]


def all_peers(build):
    """By name; one that is not there says why in `missing`."""
    tools = pathlib.Path(build).resolve() / "bench"
    jobd = pathlib.Path(build).resolve() / "jobd"
    static = HERE.parent / "build/static/jobd"
    own = lambda tool, *words: lambda port, folder: [str(tools / tool), f"127.0.0.1:{port}", *words]
    list_of = [
        Peer("jobd", "jobd", lambda port, folder: [str(jobd), "-l", f"127.0.0.1:{port}"], _jobd_counts),
        Peer(
            "static",
            "the static file",
            lambda port, folder: [str(static), "-l", f"127.0.0.1:{port}"],
            _jobd_counts,
        ),
        Peer(
            "floor",
            "the floor",
            lambda port, folder: [str(tools / "floor"), str(port)],
            _floor_counts,
            runs_jobs=False,
        ),
        Peer("nginx", "nginx", _nginx, _nginx_counts, runs_jobs=False),
        Peer("axum", "Rust, axum", own("rust-peer", "try"), _own_counts),
        Peer("go", "Go, net/http", own("go-peer"), _own_counts),
        Peer("axum-wait", "Rust, axum, send().await", own("rust-peer", "wait"), _own_counts),
        Peer("axum-spin", "Rust, axum, jobs that compute", own("rust-peer", "try", "spin"), _own_counts),
        Peer("go-spin", "Go, jobs that compute", own("go-peer", "spin"), _own_counts),
        Peer(
            "beanstalkd",
            "beanstalkd",
            lambda port, folder: ["beanstalkd", "-l", "127.0.0.1", "-p", str(port)],
        ),
    ]
    for peer in list_of:
        if peer.name.startswith(("axum", "go")):
            tool = "rust-peer" if peer.name.startswith("axum") else "go-peer"
            if not (tools / tool).exists():
                peer.missing = f"{tool} was not built: its toolchain is missing or too old"
        elif peer.name == "static":
            if not static.exists():
                peer.missing = "it was not built: musl's compiler is missing"
        elif peer.name in ("nginx", "beanstalkd") and not shutil.which(
            peer.name, path="/usr/sbin:/usr/bin:/sbin:/bin"
        ):
            peer.missing = f"{peer.name} is not installed"
    return {peer.name: peer for peer in list_of}
