"""What a reader gets: tables as text, and JSON with every round."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path

import attrs

from benchmarks.results import Figure, Report, Table

_WIDTH = 38


def printed(table: Table) -> str:
    """A table as text."""
    base, best = table.base, table.best_peer
    head = f"{table.title} ({table.placement})"
    columns = f"{table.unit:{_WIDTH}} {'median':>11} {'quartiles':>23} {'x raw':>7} {'x best peer':>12}"
    rows = [_row(table, figure, base, best) for figure in table.figures]
    note = [f"{table.note}"] if table.note else []
    return "\n".join(["", head, *note, columns, *rows])


def _row(table: Table, figure: Figure, base: Figure | None, best: Figure | None) -> str:
    if not figure.values:
        return f"{figure.title:{_WIDTH}} {figure.absent}"
    low, high = figure.quartiles
    spread = f"{number(low)} to {number(high)}"
    ratios = f"{_times(table.ratio(figure, base)):>7} {_times(table.ratio(figure, best)):>12}"
    return f"{figure.title:{_WIDTH}} {number(figure.median):>11} {spread:>23} {ratios}"


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
