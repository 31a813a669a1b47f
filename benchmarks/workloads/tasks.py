"""Many tasks of one event loop, each with one small message on its way.

The tasks of ipcfold share one connection. Those of streams have one each, since a stream does not tell whose answer it reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.orders import Batches
from benchmarks.plan import Plan
from benchmarks.processes import pairs, placements
from benchmarks.results import Better, Table
from benchmarks.workloads.rounds import Field, Measure, in_turns, table


def measured(field: Field, plan: Plan, directory: Path) -> Iterator[Table]:
    """Its tables."""
    many = plan.tasks
    measure = Measure(lambda count: Batches(plan.small, many, count), lambda seconds: many / seconds)
    title = f"{many} tasks of one loop, {plan.small} B"
    with pairs(field.contestants, directory) as running:
        for placement in placements():
            figures = in_turns(field, running, placement, plan, measure)
            yield table("tasks", title, placement, "messages/s", Better.HIGHER, figures)
