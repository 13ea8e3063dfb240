# SPDX-License-Identifier: MIT
"""Puts some rows of the last results' summary between the two marks of the top README, `make bench-readme`."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
SUMMARY = HERE / "results/summary.md"
BEGIN, END = "<!-- written by make bench-readme -->\n", "<!-- up to here -->\n"

# Their first two cells. All rows are in results/README.md.
ROWS = [
    ("`/do`, 64 connections", "CPU a request, against nginx"),
    ("take + done, 64 clients", "CPU a job, against beanstalkd's reserve + delete"),
    ("durable put, 64 clients", "puts/s, against beanstalkd `-f0`"),
]


def line(cells):
    return "| " + " | ".join(cells) + " |\n"


def short(summary):
    table = [[cell.strip() for cell in row.split("|")[1:-1]] for row in summary.splitlines() if row.startswith("|")]
    found = {tuple(row[:2]): row[2] for row in table}
    missing = [row for row in ROWS if row not in found]
    if missing:
        sys.exit(f"{SUMMARY}: no row {missing[0]}")
    return (
        summary.splitlines()[0]
        + "\n\n"
        + line(["work", "measure", "median (least–most)"])
        + "|---|---|---|\n"
        + "".join(line([*row, found[row]]) for row in ROWS)
    )


def main():
    readme = HERE.parent / "README.md"
    before, begin, rest = readme.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{readme}: the two marks are missing")
    readme.write_text(before + begin + short(SUMMARY.read_text()) + end + after)


if __name__ == "__main__":
    main()
