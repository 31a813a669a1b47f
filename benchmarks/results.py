"""The figures: what was measured, and what follows from it. Plain values, which `attrs.asdict` turns into JSON."""

from __future__ import annotations

from enum import Enum
from statistics import median, quantiles
from typing import Final, final

import attrs

from benchmarks.contestant import Standing
from benchmarks.system import Machine

FAILED: Final = "failed"
"""How the reason of a row begins that was to have figures."""


class Better(Enum):
    """Which way a figure is better."""

    LOWER = "lower"
    HIGHER = "higher"


@final
@attrs.frozen
class Figure:
    """One row: a contestant's value in each round, or why there is none."""

    peer: str
    title: str
    standing: Standing
    values: tuple[float, ...] = ()
    absent: str = ""

    @property
    def median(self) -> float:
        """The middle of the values."""
        return median(self.values)

    @property
    def quartiles(self) -> tuple[float, float]:
        """A quarter of the values is below the first, a quarter above the second."""
        if len(self.values) < 2:
            return self.median, self.median
        low, _, high = quantiles(self.values, n=4, method="inclusive")
        return low, high


@final
@attrs.frozen
class Table:
    """The figures of one workload in one placement; values are in `unit`."""

    workload: str
    title: str
    placement: str
    unit: str
    better: Better
    figures: tuple[Figure, ...]
    note: str = ""
    compared: bool = True
    """Whether ratios between its rows mean anything."""

    @property
    def base(self) -> Figure | None:
        """What ratios to raw are against."""
        return next((figure for figure in self.figures if figure.values and figure.standing is Standing.RAW), None)

    @property
    def best_peer(self) -> Figure | None:
        """The best of those that are neither raw nor ours."""
        peers = [figure for figure in self.figures if figure.values and figure.standing is Standing.PEER]
        if not peers:
            return None
        pick = min if self.better is Better.LOWER else max
        return pick(peers, key=lambda figure: figure.median)

    def ratio(self, figure: Figure, other: Figure | None) -> float | None:
        """How many times the other's median this one's is; `None` where there is nothing to compare."""
        if not self.compared or other is None or not figure.values or not other.median:
            return None
        return figure.median / other.median


@final
@attrs.frozen
class Point:
    """One place on a curve."""

    x: int
    values: tuple[float, ...]


@final
@attrs.frozen
class Line:
    """One contestant's curve, or why there is none, or why it ends."""

    peer: str
    title: str
    standing: Standing
    points: tuple[Point, ...]
    absent: str = ""


@final
@attrs.frozen
class Curve:
    """How a figure scales."""

    name: str
    title: str
    x: str
    unit: str
    better: Better
    lines: tuple[Line, ...]


@final
@attrs.frozen
class Parameters:
    """What was asked for."""

    rounds: int
    seconds_a_round: float
    quick: bool
    load: float
    """How many processes wanted to run in the minute before: with others at work, figures of one run differ from the next."""


@final
@attrs.frozen
class Report:
    """All that one run found."""

    date: str
    machine: Machine
    parameters: Parameters
    tables: tuple[Table, ...]
    curves: tuple[Curve, ...]

    @property
    def failed(self) -> list[str]:
        """Who was to have figures and has none, or not all, and why."""
        rows = [(table.title, row.title, row.absent) for table in self.tables for row in table.figures]
        lines = [(curve.title, line.title, line.absent) for curve in self.curves for line in curve.lines]
        return [f"{where}: {who} {reason}" for where, who, reason in rows + lines if reason.startswith(FAILED)]
