"""What a reader gets: tables as text, and JSON with every round."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from statistics import median
from textwrap import wrap

import attrs

from benchmarks.results import Curve, Figure, Line, Report, Table

_WIDTH = 38


def printed(table: Table) -> str:
    """A table as text."""
    base, best = table.base, table.best_peer
    head = f"{table.title} ({table.placement})"
    columns = f"{table.unit:{_WIDTH}} {'median':>11} {'quartiles':>23} {'x raw':>7} {'x best peer':>12}"
    rows = [_row(table, figure, base, best) for figure in table.figures if figure.values]
    note = [table.note] if table.note else []
    return "\n".join(["", head, *note, columns, *rows, *_absent(table)])


def _absent(table: Table) -> list[str]:
    """Who has no figure, by the reason."""
    reasons: dict[str, list[str]] = {}
    for figure in table.figures:
        if not figure.values:
            reasons.setdefault(figure.absent, []).append(figure.title)
    return [line for reason, titles in reasons.items() for line in wrap(f"- {', '.join(titles)}: {reason}", 120, subsequent_indent="  ")]


def _row(table: Table, figure: Figure, base: Figure | None, best: Figure | None) -> str:
    low, high = figure.quartiles
    spread = f"{number(low)} to {number(high)}"
    ratios = f"{_times(table.ratio(figure, base)):>7} {_times(table.ratio(figure, best)):>12}"
    return f"{figure.title:{_WIDTH}} {number(figure.median):>11} {spread:>23} {ratios}"


def printed_curve(curve: Curve) -> str:
    """A curve as text: a column for each place on it."""
    places = sorted({point.x for line in curve.lines for point in line.points})
    head = f"{curve.title}: {curve.unit}, medians, by {curve.x}"
    columns = f"{'':{_WIDTH}}" + "".join(f" {place:>11,}" for place in places)
    rows = [_line(line, places) for line in curve.lines if line.points]
    absent = [f"- {line.title}: {line.absent}" for line in curve.lines if line.absent]
    return "\n".join(["", head, columns, *rows, *absent])


def _line(line: Line, places: list[int]) -> str:
    medians = {point.x: number(median(point.values)) for point in line.points}
    return f"{line.title:{_WIDTH}}" + "".join(f" {medians.get(place, '-'):>11}" for place in places)


def number(value: float) -> str:
    """As many digits as mean something."""
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"


def as_json(report: Report) -> dict[str, object]:
    """All of it, with what follows from the figures beside them."""
    plain: dict[str, object] = attrs.asdict(report, value_serializer=_plain)
    plain["tables"] = [_table(table) for table in report.tables]
    return plain


def _table(table: Table) -> dict[str, object]:
    plain: dict[str, object] = attrs.asdict(table, value_serializer=_plain)
    plain["figures"] = [_figure(table, figure) for figure in table.figures]
    return plain


def _figure(table: Table, figure: Figure) -> dict[str, object]:
    plain: dict[str, object] = attrs.asdict(figure, value_serializer=_plain)
    if figure.values:
        plain["median"] = figure.median
        plain["quartiles"] = figure.quartiles
        plain["times_raw"] = table.ratio(figure, table.base)
        plain["times_best_peer"] = table.ratio(figure, table.best_peer)
    return plain


def _plain(_: object, __: object, value: object) -> object:
    return value.value if isinstance(value, Enum) else value


def written(report: Report, path: Path) -> None:
    """Write it as JSON."""
    path.write_text(json.dumps(as_json(report), indent=1) + "\n")
