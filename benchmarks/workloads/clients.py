"""Many clients, each with one request in flight, all held by one process.

Servers that speak over a stream get the same lean generator of load, on precomputed bytes, so that they are what is
measured; ZeroMQ's clients can only be its own.
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
    measure = Measure(lambda count: Requests(plan.clients, plan.small, count), lambda seconds: 1 / seconds)
    title = f"{plan.clients} clients, one request of {plan.small} B each in flight"
    with pairs(field.contestants, directory, many=True) as running:
        for placement in placements():
            figures = in_turns(field, running, placement, plan, measure)
            yield table("clients", title, placement, "messages/s", Better.HIGHER, figures)
