# SPDX-License-Identifier: MIT
"""Pictures, by gnuplot, each as SVG and PNG, with the data that they show beside them."""

import shutil
import subprocess

from .do import MAIN, SWEEP
from .figures import of
from .meanings import RATES

COLOURS = {
    "jobd": "#d62728",
    "floor": "#7f7f7f",
    "nginx": "#2ca02c",
    "axum": "#ff7f0e",
    "go": "#1f77b4",
    "axum-wait": "#9467bd",
}
COMPARED = ("floor", "nginx", "axum", "go", "jobd")
STYLE = """
set key outside right top samplen 2
set grid lc rgb "#dddddd"
set border 3 lc rgb "#444444"
set tics nomirror
"""


def over_connections(context, what):
    """A block a peer: connections, median, least, most."""
    blocks = []
    for name in COMPARED:
        lines = []
        for connections in sorted(MAIN + SWEEP):
            value = of(context.of("do", name, connections), what)
            if value:
                lines.append(f"{connections}\t{value.median:.3f}\t{value.low:.3f}\t{value.high:.3f}")
        if lines:
            blocks.append((name, lines))
    return blocks


def latency(context):
    blocks = []
    for name in COMPARED:
        for connections in (64, 1024):
            runs = context.of("do", name, connections)
            values = [of(runs, what) for what in ("p50_us", "p90_us", "p99_us", "p999_us")]
            if all(values):
                lines = [
                    f"{i}\t{value.median / 1000:.4f}\t{value.low / 1000:.4f}\t{value.high / 1000:.4f}"
                    for i, value in enumerate(values)
                ]
                blocks.append((f"{name}\t{connections}", lines))
    return blocks


def split(context):
    blocks = []
    for name in ("jobd", "go", "axum", "axum-wait"):
        lines = []
        for rate in RATES:
            run = next((r for r in context.of("offered", name, rate) if r.good), None)
            if run:
                lines.append(f"{rate}\t{run.n202 / run.seconds:.2f}\t{run.n429 / run.seconds:.2f}")
        if lines:
            blocks.append((name, lines))
    return blocks


def save(context, name, blocks):
    text = "\n\n\n".join("\n".join([f"# {title}", *lines]) for title, lines in blocks)
    (context.out / f"{name}.tsv").write_text(text + "\n")


def draw(context, name, commands, size=(860, 460)):
    for kind, terminal in (
        ("svg", f"svg size {size[0]},{size[1]} dynamic background rgb 'white' font 'sans-serif,13'"),
        ("png", f"pngcairo size {size[0]},{size[1]} font 'sans,11'"),
    ):
        script = f"set terminal {terminal}\nset output '{context.out}/{name}.{kind}'\n{STYLE}{commands}\n"
        subprocess.run(["gnuplot"], input=script, text=True, check=True, timeout=60)


def curves(context, name, title, unit, scale=""):
    blocks = over_connections(context, {"throughput": "per_second", "cpu": "cpu_us"}[name])
    if not blocks:
        return
    save(context, name, blocks)
    data = context.out / f"{name}.tsv"
    parts = []
    for i, (peer, _) in enumerate(blocks):
        look = f"lc rgb '{COLOURS[peer]}' lw {3 if peer == 'jobd' else 1.6}"
        parts.append(
            f"'{data}' index {i} using 1:2:3:4 with yerrorlines pt 7 ps 0.5 {look} title '{context.peers[peer].title}'"
        )
    draw(
        context,
        name,
        f"set title '{title}'\nset logscale x 2\nset xlabel 'connections'\nset ylabel '{unit}'\nset yrange [0:*]\n{scale}\nplot "
        + ", ".join(parts),
    )


def latencies(context):
    blocks = latency(context)
    if not blocks:
        return
    save(context, "latency", blocks)
    data = context.out / "latency.tsv"
    parts = []
    for i, (title, _) in enumerate(blocks):
        peer, connections = title.split("\t")
        parts.append(
            f"'{data}' index {i} using 1:2 with linespoints pt {7 if connections == '64' else 6} dt {1 if connections == '64' else 2} "
            f"lc rgb '{COLOURS[peer]}' lw 2 title '{context.peers[peer].title}, {connections}'"
        )
    draw(
        context,
        "latency",
        "set title 'Latency of /do at full load, 64 and 1024 connections'\nset logscale y\nset ylabel 'ms'\n"
        "set xrange [-0.2:3.2]\nset xtics ('p50' 0, 'p90' 1, 'p99' 2, 'p99.9' 3)\nplot " + ", ".join(parts),
    )


def backpressure(context):
    blocks = split(context)
    if not blocks:
        return
    save(context, "split", blocks)
    data = context.out / "split.tsv"
    parts = []
    for i, (peer, _) in enumerate(blocks):
        # The curves lie on each other, as they should: thinner ones are drawn on thicker ones.
        width = 2 * (len(blocks) - i)
        look = f"pt 7 ps {0.3 * (len(blocks) - i):.1f} lw {width} lc rgb '{COLOURS[peer]}'"
        title = context.peers[peer].title
        parts.append(f"'{data}' index {i} using 1:2 with linespoints {look} title '{title}: 202'")
        if peer != "axum-wait":
            parts.append(
                f"'{data}' index {i} using 1:($3 > 0 ? $3 : NaN) with linespoints dt 2 {look} title '{title}: 429'"
            )
    draw(
        context,
        "split",
        "set title 'A worker that does 20 jobs a second: 202 and 429 over the load'\nset logscale xy\n"
        "set xlabel 'requests offered a second'\nset ylabel 'answers a second'\nplot " + ", ".join(parts),
    )


def write(context):
    if shutil.which("gnuplot") is None:
        context.say("gnuplot is missing: no pictures")
        return
    curves(context, "throughput", "/do: requests a second, server on one core", "requests a second")
    curves(context, "cpu", "/do: CPU time of the server a request", "µs")
    latencies(context)
    backpressure(context)
