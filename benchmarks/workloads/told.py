"""Many subscribers, each told one small message. It is published when everybody has the one before.

The publisher and the subscribers are in one process, and the subscribers are the same program for every server.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.orders import Requests
from benchmarks.plan import Plan
from benchmarks.processes import pairs, placements
from benchmarks.results import Better, Table
from benchmarks.workloads.rounds import Field, Measure, in_turns, table


def measured(field: Field, plan: Plan, directory: Path) -> Iterator[Table]:
    """Its tables."""
    many, size = plan.subscribers, plan.pipelined
    measure = Measure(lambda count: Requests(many, size, count), lambda seconds: many / seconds)
    title = f"{many:,} subscribers told one message of {size} B"
    with pairs(field.contestants, directory, many=True) as running:
        for placement in placements():
            figures = in_turns(field, running, placement, plan, measure)
            yield table("told", title, placement, "messages/s", Better.HIGHER, figures)
