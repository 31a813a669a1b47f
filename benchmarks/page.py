"""The tables of `docs/speed.md`, from the figures of one run: `python -m benchmarks.page` writes them into the page.

A row has the median for each placement of the processes, the usual one first, because it is what people get. A table of its
own has the instructions that `python -m benchmarks.instructions --store` has counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypedDict

from benchmarks.counted import BATCH, CLIENT
from benchmarks.instructions import BUDGETS, PEER, Counts
from benchmarks.report import number

_DOCS: Final = Path(__file__).parents[1] / "docs"
_FIGURES: Final = _DOCS / "benchmarks.json"
PAGE: Final = _DOCS / "speed.md"
_BEGIN: Final = "<!-- the tables, written by `python -m benchmarks.page` -->\n"
_END: Final = "<!-- the end of the tables -->\n"
_COUNTED: Final = "<!-- the instructions, written by `python -m benchmarks.page` -->\n"
_COUNTED_END: Final = "<!-- the end of the instructions -->\n"
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
    return _between(_between(text, _BEGIN, tables(), _END), _COUNTED, instructions(), _COUNTED_END)


def instructions(budgets: Path = BUDGETS) -> str:
    """The table of the counted instructions, as Markdown, for the first build of Python that was counted."""
    stored: dict[str, Counts] = json.loads(budgets.read_text())
    build, counts = next(iter(stored.items()))
    titles = {"pipelined": f"{BATCH} messages at once, each"}
    head = " | ".join(
        titles.get(workload, f"{workload} of 64 bytes" if workload == "round trip" else f"`{workload}`") for workload in CLIENT
    )
    rows = [f"| client / server, {build} | {head} |", "|---" * (len(CLIENT) + 1) + "|"]
    for title, peer in {"accelerated": "accelerated", "pure Python": "pure Python", f"`{PEER}`, without acknowledgements": PEER}.items():
        rows.append(f"| {title} | {' | '.join(_instructions(counts, f'{workload}, {peer}') for workload in CLIENT)} |")
    return "\n".join(rows) + "\n"


def _instructions(counts: Counts, what: str) -> str:
    found = [f"{counts[key] / 1000:.1f} k" for end in ("client", "server") if (key := f"{what}, {end}") in counts]
    return " / ".join(found) or "-"


def _between(text: str, begin: str, table: str, end: str) -> str:
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{table}\n{end}{after}"


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
