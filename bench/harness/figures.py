# SPDX-License-Identifier: MIT
"""Medians with their spread, ratios of runs made side by side, goals and verdicts."""

import dataclasses
import statistics


@dataclasses.dataclass
class Figure:
    """A median and its spread over the rounds."""

    median: float
    low: float
    high: float
    rounds: int

    def text(self, form="{:.2f}", unit=""):
        middle = form.format(self.median) + unit
        if self.rounds == 1:
            return middle
        return f"{middle} ({form.format(self.low)}–{form.format(self.high)})"


def figure(values):
    values = list(values)
    return Figure(statistics.median(values), min(values), max(values), len(values)) if values else None


def of(runs, what):
    return figure(getattr(run, what) for run in runs if run.good)


def ratios(runs, others, what="cpu_us"):
    """Round by round, as they were made side by side; a round with a failed run has no ratio."""
    mine = {run.round: getattr(run, what) for run in runs if run.good}
    theirs = {run.round: getattr(run, what) for run in others if run.good}
    return figure(mine[n] / theirs[n] for n in sorted(mine.keys() & theirs.keys()) if theirs[n])


@dataclasses.dataclass
class Row:
    """A line of the table. Goals are limits in the row's own measure: at most, or at least."""

    work: str
    measure: str
    value: Figure = None
    reach: float = None
    beyond: float = None
    least: bool = False  # a goal is what is reached at least
    form: str = "{:.2f}"
    unit: str = ""
    beside: str = ""  # what stands beside the figure
    missing: str = ""  # why there is no figure

    def goal(self, limit):
        if limit is None:
            return ""
        number = self.form.format(limit)
        if "." in number:
            number = number.rstrip("0").rstrip(".")
        return f"{'≥' if self.least else '≤'} {number}{self.unit}"

    def figure_text(self):
        text = self.value.text(self.form, self.unit) if self.value else ""
        return "; ".join(part for part in (text, self.beside) if part)

    def _met(self, limit):
        if limit is None:
            return False
        return self.value.median >= limit if self.least else self.value.median <= limit

    def verdict(self):
        if self.missing:
            return self.missing
        if self.value is None:
            return "no valid run"
        if self._met(self.beyond):
            return "reached, the stretch goal too" + self._doubt(self.beyond)
        if self.reach is None:
            return "" if self.beyond is None else "stretch goal missed" + self._doubt(self.beyond)
        return ("reached" if self._met(self.reach) else "**missed**") + self._doubt(self.reach)

    def _doubt(self, limit):
        """Some rounds say one thing and some the other: the median alone would claim too much."""
        return ", not certain: rounds disagree" if self.value.low <= limit < self.value.high else ""
