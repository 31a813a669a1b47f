"""Small messages in batches: all of a batch are on their way at once, and every one is answered.

ipcfold acknowledges every message, too; for peers that do not, the answer serves as both. A client that would block for
good if it wrote the whole batch before it reads keeps as many in flight as it can.
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
    measure = Measure(lambda count: Batches(plan.pipelined, plan.batch, count), lambda seconds: plan.batch / seconds)
    title = f"pipelined, {plan.pipelined} B in batches of {plan.batch:,}"
    with pairs(field.contestants, directory) as running:
        for placement in placements():
            figures = in_turns(field, running, placement, plan, measure)
            yield table("pipelined", title, placement, "messages/s", Better.HIGHER, figures)
