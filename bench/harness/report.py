# SPDX-License-Identifier: MIT
"""The results as files: a Markdown page and the raw data of each run."""

import dataclasses
import pathlib

from . import do
from .load import Run
from .machine import facts

NOISY = 5  # percent of the cores' time used by others, above which a run is called noisy


def table(head, lines):
    yield "| " + " | ".join(map(str, head)) + " |"
    yield "|" + "---|" * len(head)
    for line in lines:
        yield "| " + " | ".join(map(str, line)) + " |"


def summary(context):
    head = ["work", "measure", "figure, median (least–most)", "goal", "stretch goal", ""]
    return table(
        head,
        [
            [
                row.work,
                row.measure,
                row.figure_text(),
                row.goal(row.reach),
                row.goal(row.beyond),
                row.verdict(),
            ]
            for row in context.rows
        ],
    )


def protocol_text(context):
    p = context.protocol
    text = (
        f"{p.rounds} round{'s' if p.rounds > 1 else ''}, {p.warmup} s of warm-up and {p.seconds} s measured a run, "
        f"{(context.ended - context.begun) / 60:.0f} min in all."
    )
    if p.quick:
        text += " **A quick run: its figures show that the rows work, they are not to be quoted.**"
    return text


def honesty(context):
    failed = [run for run in context.runs if not run.good]
    noisy = [run for run in context.runs if run.good and run.others_percent > NOISY]
    stolen = max((run.stolen_percent for run in context.runs), default=0)
    yield f"- {len(context.runs)} runs; {f'{len(failed)} failed a check and count nowhere above:' if failed else 'none failed a check.'}"
    for run in failed:
        yield f"  - {run.row}, round {run.round}, {run.peer} at {run.connections}: {run.problem}"
    yield (
        f"- In {len(noisy)} runs others used more than {NOISY} % of the two cores' time"
        f"{', at most %.0f %%' % max(r.others_percent for r in noisy) if noisy else ''}; "
        f"stolen by the host in any run: at most {stolen:.1f} %."
    )
    for run in noisy:
        yield f"  - {run.row}, round {run.round}, {run.peer} at {run.connections}: {run.others_percent:.0f} %"
    yield (
        "- There are slow spells that neither figure sees: for some seconds every server takes a quarter "
        "or so more CPU a request. What makes them is not known; where they show is the spread."
    )
    for name, why in context.left_out.items():
        yield f"- {context.peers[name].title} is left out: {why}."


def page(context, jobd):
    yield "# jobd measured"
    yield ""
    yield f"Written by `make bench`. {protocol_text(context)} What each row means: [the benchmark's README](../README.md)."
    yield ""
    yield from table(["", ""], facts(jobd))
    yield ""
    yield "## Goals"
    yield ""
    yield from summary(context)
    if context.of("do", "jobd"):
        yield from [
            "",
            "## `/do` over connections",
            "",
            "Median of the rounds, with the least and the most where there is room; latency in ms, memory (the most it was) in MiB. Where less than about 95 % of the server's core is used, the load generator was the limit: then CPU a request says what the server costs, requests/s does not say what it could do.",
            "",
        ]
        head = [
            "connections",
            "server",
            "requests/s",
            "CPU µs a request",
            "core used",
            "of it user",
            "p50",
            "p90",
            "p99",
            "p99.9",
            "memory",
            "202",
            "429",
            "jobs done",
        ]
        yield from table(head, do.lines(context))
        yield ""
        for name, title in (
            ("throughput", "requests a second over connections"),
            ("cpu", "CPU a request over connections"),
            ("latency", "latency percentiles"),
            ("split", "202 and 429 over offered load"),
        ):
            if (context.out / f"{name}.svg").exists():
                yield f"![{title}]({name}.svg)"
    for title, text, head, lines in context.extras:
        yield from ["", f"## {title}", "", text, ""]
        yield from table(head, lines)
    yield from ["", "## Honesty", ""]
    yield from honesty(context)


def raw(context):
    names = [field.name for field in dataclasses.fields(Run)]
    yield "\t".join(names + ["per_second", "cpu_us"])
    for run in context.runs:
        cells = [getattr(run, name) for name in names] + [run.per_second, run.cpu_us]
        yield "\t".join(
            f"{cell:.3f}" if isinstance(cell, float) else str(cell).replace("\t", " ").replace("\n", " ")
            for cell in cells
        )


def write(context, jobd):
    out = pathlib.Path(context.out)
    (out / "README.md").write_text("\n".join(page(context, jobd)) + "\n")
    (out / "runs.tsv").write_text("\n".join(raw(context)) + "\n")
    date = dict(facts(jobd))
    short = [f"{date['date'][:10]}, {date['processor']}. {protocol_text(context)}", "", *summary(context)]
    (out / "summary.md").write_text("\n".join(short) + "\n")
