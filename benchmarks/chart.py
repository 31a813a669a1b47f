"""The chart: a panel of bars for each table of one placement, then one for each curve.

It stands on a transparent ground, in colours that are read on a light page and on a dark one.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import fill
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Sheet

from benchmarks.contestant import Standing
from benchmarks.curves import MAIN
from benchmarks.processes import usual_placement
from benchmarks.report import number
from benchmarks.results import Better, Curve, Figure, Line, Report, Table

_INK: Final = "#808080"  # as far from white as from black
_COLOURS: Final = {Standing.RAW: "#8a8f98", Standing.APART: "#8a8f98", Standing.PEER: "#3b82d6", Standing.OURS: "#e2622b"}
_LINES: Final = ("#3b82d6", "#2fa37c", "#a566d6")
_STYLES: Final = {"raw_epoll": "--", "ipcfold_aio": ":"}
_COLUMNS: Final = 3
_BAR: Final = 0.26  # inches
_FEWEST: Final = 6
"""Rows that a panel has room for at least."""
_WIDTH: Final = 16.0
_TITLE: Final = 42  # letters in a line of a title


def drawn(report: Report, path: Path) -> None:
    """Draw it as SVG."""
    mpl.rcParams.update({"svg.fonttype": "none", "text.color": _INK, "font.size": 9})
    mpl.rcParams.update(dict.fromkeys(("axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), _INK))
    tables, curves = _shown(report), list(report.curves)
    rows = [tables[at : at + _COLUMNS] for at in range(0, len(tables), _COLUMNS)]
    heights = [1.4 + _BAR * max(len(_bars(table)) for table in row) for row in rows]
    heights += [3.4] * -(-len(curves) // _COLUMNS)
    if not heights:
        return
    sheet = Sheet(figsize=(_WIDTH, sum(heights)), layout="constrained")
    grid = sheet.add_gridspec(len(heights), _COLUMNS, height_ratios=heights)
    for place, table in enumerate(tables):
        _table(sheet.add_subplot(grid[place // _COLUMNS, place % _COLUMNS]), table)
    for place, curve in enumerate(curves):
        _curve(sheet.add_subplot(grid[len(rows) + place // _COLUMNS, place % _COLUMNS]), curve)
    sheet.savefig(path, format="svg", transparent=True, metadata={"Date": report.date})


def _shown(report: Report) -> list[Table]:
    """One table of each kind: that in the usual placement, where it was measured in several."""
    chosen: dict[tuple[str, str], Table] = {}
    for table in report.tables:
        key = (table.title, table.unit)
        if key not in chosen or table.placement == usual_placement().title:
            chosen[key] = table
    return [table for table in chosen.values() if _bars(table)]


def _bars(table: Table) -> list[Figure]:
    """The best one at the top."""
    present = [figure for figure in table.figures if figure.values]
    return sorted(present, key=lambda figure: figure.median, reverse=table.better is Better.LOWER)


def _table(axes: Axes, table: Table) -> None:
    bars = _bars(table)
    medians = [max(figure.median, 0.0) for figure in bars]
    below = [max(0.0, figure.median - figure.quartiles[0]) for figure in bars]
    above = [max(0.0, figure.quartiles[1] - figure.median) for figure in bars]
    places = list(range(len(bars)))
    colours = [_COLOURS[figure.standing] for figure in bars]
    axes.barh(places, medians, xerr=(below, above), color=colours, ecolor=_INK, height=0.7)
    axes.set_yticks(places, [figure.title for figure in bars])
    farthest = max([*medians, 1e-9])
    if table.compared and farthest > 20 * min(median for median in [*medians, farthest] if median > 0):
        axes.set_xscale("log")
        axes.set_xlim(min(median for median in medians if median > 0) / 2, farthest * 6)
    else:
        axes.set_xlim(0, max([farthest * 1.25, *(figure.quartiles[1] * 1.15 for figure in bars)]))
        axes.locator_params(axis="x", nbins=4)
    axes.set_ylim(min(-0.6, len(bars) - _FEWEST - 0.4), len(bars) - 0.4)
    for place, figure in enumerate(bars):
        axes.text(max(figure.quartiles[1], figure.median, 0), place, f"  {number(figure.median)}", va="center", fontsize=8)
    axes.set_title(_wrapped(table.title, f"{table.unit}, {table.better.value} is better", table.placement), fontsize=8)
    _bare(axes)


def _curve(axes: Axes, curve: Curve) -> None:
    for line in curve.lines:
        if line.points:
            _line(axes, line)
    places = sorted({point.x for line in curve.lines for point in line.points})
    axes.set_xscale("symlog" if 0 in places else "log")
    axes.set_yscale("log")
    axes.set_xticks(places, [_short(place) if curve.x == "bytes" else f"{place:,}" for place in places], rotation=40, fontsize=7)
    axes.minorticks_off()
    axes.set_xlabel(curve.x)
    axes.set_title(_wrapped(curve.title, f"{curve.unit}, {curve.better.value} is better"), fontsize=9)
    axes.legend(frameon=False, fontsize=8, labelcolor=_INK)
    _bare(axes)


def _wrapped(*lines: str) -> str:
    """The lines of a title, cut so that they stay above their panel: the layout makes no room for longer ones."""
    return "\n".join(fill(line, _TITLE) for line in lines)


def _short(size: int) -> str:
    """A size in bytes, as short as can be."""
    for factor, letter in ((2**20, "Mi"), (2**10, "Ki")):
        if size >= factor:
            return f"{size // factor} {letter}"
    return str(size)


def _line(axes: Axes, line: Line) -> None:
    colour = _COLOURS[line.standing] if line.standing is not Standing.PEER else _LINES[MAIN.index(line.peer) % len(_LINES)]
    xs = [point.x for point in line.points]
    middles = [sorted(point.values)[len(point.values) // 2] for point in line.points]
    style = _STYLES.get(line.peer, "-")
    axes.plot(xs, middles, style, color=colour, marker="o", markersize=3, linewidth=1.6, label=line.title)


def _bare(axes: Axes) -> None:
    axes.spines["top"].set_visible(False)
    axes.spines["right"].set_visible(False)
    axes.tick_params(length=2)
