"""What `import ipcfold` costs on top of what it stands on, in interpreters that are new each time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs

from benchmarks.contestant import Standing
from benchmarks.plan import Plan
from benchmarks.processes import placements
from benchmarks.results import Better, Figure, Table
from benchmarks.workloads.rounds import Field, table

_TIMED: Final = "from time import perf_counter\nbegan = perf_counter()\nimport {}\nprint(perf_counter() - began)"
_LISTED: Final = (
    "import sys, ipcfold\nprint(*sorted(name for name in sys.modules if name.partition('.')[0] in ('attr', 'attrs', 'returns')))"
)
_PLAIN: Final = "attrs, returns"
_SHELL: Final = "ipcfold; ipcfold.IPC"  # the package imports the shell when a program first uses it
_TWICE: Final = 2
"""Times as many rounds as of other workloads: they are short, and the disk is in them."""


def measured(field: Field, plan: Plan, directory: Path) -> Iterator[Table]:
    """Its tables."""
    placement = placements()[-1]
    if not field.entries:
        yield table("import", "import", placement, "ms", Better.LOWER, field.absent)
        return
    parts = ", ".join(_run(_LISTED, directory).split())
    imports = {
        "attrs, returns": _PLAIN,
        "the modules of them that ipcfold uses": parts,
        "ipcfold": "ipcfold",
        "ipcfold with its shell": _SHELL,
    }
    times: dict[str, list[float]] = {title: [] for title in imports}
    for number in range(1 + plan.rounds * _TWICE):
        for title, modules in imports.items():
            seconds = float(_run(_TIMED.format(modules), directory))
            if number:  # the first one compiles, and fills the disk's cache
                times[title].append(seconds * 1000)
    plain, used, ours, shell = times.values()
    rows = [(Standing.RAW, title, values) for title, values in times.items()]
    rows.append((Standing.OURS, "ipcfold, on top of attrs, returns", _less(ours, plain)))
    rows.append((Standing.OURS, "ipcfold, on top of those modules", _less(ours, used)))
    rows.append((Standing.OURS, "ipcfold with its shell, on top of attrs, returns", _less(shell, plain)))
    figures = tuple(Figure("ipcfold", title, standing, tuple(values)) for standing, title, values in rows)
    made = table("import", "import, in a new interpreter", placement, "ms", Better.LOWER, figures + field.absent)
    yield attrs.evolve(made, compared=False)


def _less(times: list[float], base: list[float]) -> list[float]:
    return [time - before for time, before in zip(times, base, strict=True)]


def _run(code: str, directory: Path) -> str:
    """What it prints. The interpreter finds compiled modules, as after an installation, even if this environment writes none."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(directory / "compiled")
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)  # noqa: S603 - this interpreter
    return done.stdout
