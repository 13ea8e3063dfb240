# SPDX-License-Identifier: MIT
"""Puts the last results' summary between the two marks of the top README, `make bench-readme`."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
BEGIN, END = "<!-- written by make bench-readme -->\n", "<!-- up to here -->\n"


def main():
    readme = HERE.parent / "README.md"
    before, begin, rest = readme.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{readme}: the two marks are missing")
    readme.write_text(before + begin + "\n" + (HERE / "results/summary.md").read_text() + "\n" + end + after)


if __name__ == "__main__":
    main()
