"""A small message there and back, one client, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.orders import Trips
from benchmarks.plan import Plan
from benchmarks.processes import pairs, placements
from benchmarks.results import Better, Table
from benchmarks.workloads.rounds import Field, Measure, in_turns, table


def measured(field: Field, plan: Plan, directory: Path) -> Iterator[Table]:
    """Its tables."""
    measure = Measure(lambda count: Trips(plan.small, count), lambda seconds: seconds * 1e6)
    with pairs(field.contestants, directory) as running:
        for placement in placements():
            figures = in_turns(field, running, placement, plan, measure)
            yield table("round-trip", f"round trip, {plan.small} B, one client", placement, "us", Better.LOWER, figures)
