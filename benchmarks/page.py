"""The tables of `docs/speed.md`, from the figures of one run: `python -m benchmarks.page` writes them into the page.

A row has the median for each placement of the processes, the usual one first, because it is what people get.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypedDict

from benchmarks.report import number

_DOCS: Final = Path(__file__).parents[1] / "docs"
_FIGURES: Final = _DOCS / "benchmarks.json"
PAGE: Final = _DOCS / "speed.md"
_BEGIN: Final = "<!-- the tables, written by `python -m benchmarks.page` -->\n"
_END: Final = "<!-- the end of the tables -->\n"
_PLACEMENTS: Final = {"wherever the system puts them": "as the system places them", "on one core": "one core", "on two cores": "two cores"}
_TO_RAW: Final = frozenset({"round-trip"})
"""Workloads whose ratios are to the bare socket; the others' are to the best peer."""


class _Figure(TypedDict):
    peer: str
    title: str
    values: list[float]
    median: float
    times_raw: float | None
    times_best_peer: float | None


class _Table(TypedDict):
    workload: str
    title: str
    placement: str
    unit: str
    figures: list[_Figure]


def tables(figures: Path = _FIGURES) -> str:
    """All tables, as Markdown."""
    found: list[_Table] = json.loads(figures.read_text())["tables"]
    titles = list(dict.fromkeys(table["title"] for table in found))
    return "\n".join(_section([table for table in found if table["title"] == title]) for title in titles)


def page(text: str) -> str:
    """The page with the tables of now."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{tables()}\n{_END}{after}"


def _section(placed: list[_Table]) -> str:
    placed = sorted(placed, key=lambda table: list(_PLACEMENTS).index(table["placement"]))
    first = placed[0]
    raw = first["workload"] in _TO_RAW
    ratios = "; times the bare socket" if raw else "; times the best peer"
    compared = any(_ratio(figure, raw=raw) is not None for table in placed for figure in table["figures"] if figure["values"])
    head = f"### {first['title'][:1].upper()}{first['title'][1:]} ({first['unit']}{ratios if compared else ''})"
    columns = " | ".join(_PLACEMENTS[table["placement"]] for table in placed)
    return "\n".join([head, "", f"| | {columns} |", "|---" * (len(placed) + 1) + "|", *_rows(placed, raw=raw), ""])


def _rows(placed: list[_Table], *, raw: bool) -> Iterator[str]:
    for position, figure in enumerate(placed[0]["figures"]):
        figures = [table["figures"][position] for table in placed]
        if any(each["values"] for each in figures):
            title = f"**{figure['title']}**" if figure["peer"] == "ipcfold" else figure["title"]
            yield f"| {title} | {' | '.join(_cell(each, raw=raw) for each in figures)} |"


def _cell(figure: _Figure, *, raw: bool) -> str:
    if not figure["values"]:
        return "-"
    ratio = _ratio(figure, raw=raw)
    return number(figure["median"]) + (f" ({ratio:.2f} \N{MULTIPLICATION SIGN})" if ratio is not None else "")


def _ratio(figure: _Figure, *, raw: bool) -> float | None:
    return figure["times_raw"] if raw else figure["times_best_peer"]


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
