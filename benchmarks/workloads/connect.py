"""Connecting, one request, and closing, again and again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.orders import Visits
from benchmarks.plan import Plan
from benchmarks.processes import pairs, placements
from benchmarks.results import Better, Table
from benchmarks.workloads.rounds import Field, Measure, in_turns, table


def measured(field: Field, plan: Plan, directory: Path) -> Iterator[Table]:
    """Its tables."""
    measure = Measure(lambda count: Visits(plan.small, count), lambda seconds: 1 / seconds)
    title = f"connect, one request of {plan.small} B, close"
    with pairs(field.contestants, directory) as running:
        for placement in placements():
            figures = in_turns(field, running, placement, plan, measure)
            yield table("connect", title, placement, "per second", Better.HIGHER, figures)
