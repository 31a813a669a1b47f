"""Small messages in batches: all of a batch are on their way at once, and every one is answered.

There are two such workloads. In `acknowledged`, every message is acknowledged and responded to, as ipcfold does it: two
messages come back for each, in one write where that is the peer's to decide. In `pipelined` peers send one answer, which
serves as both; ipcfold acknowledges all the same. A client that would block for good if it wrote the whole batch before
it reads keeps as many in flight as it can.
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
    """Its tables, with one answer for each message."""
    return _measured("pipelined", "answered", field, plan, directory)


def measured_acknowledged(field: Field, plan: Plan, directory: Path) -> Iterator[Table]:
    """Its tables, with an acknowledgement and a response for each message."""
    return _measured("acknowledged", "acknowledged and responded to", field, plan, directory)


def _measured(workload: str, how: str, field: Field, plan: Plan, directory: Path) -> Iterator[Table]:
    measure = Measure(lambda count: Batches(plan.pipelined, plan.batch, count), lambda seconds: plan.batch / seconds)
    title = f"pipelined, {plan.pipelined} B in batches of {plan.batch:,}, {how}"
    with pairs(field.contestants, directory) as running:
        for placement in placements():
            figures = in_turns(field, running, placement, plan, measure)
            yield table(workload, title, placement, "messages/s", Better.HIGHER, figures)
