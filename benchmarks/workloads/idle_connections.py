"""A round trip and a connection beside many idle connections, and what each of those costs the server in memory.

Of every contestant two servers run, one with the idle connections and one without, and their rounds are interleaved;
contestants are measured one after the other, since what keeps one's idle connections alive would disturb the rest.
Memory is that of the server's process only: the kernel's buffers are the same for all.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import sleep

import attrs

from benchmarks.orders import Hold, Trips, Visits
from benchmarks.plan import Plan
from benchmarks.processes import Failed, Pair, Placement, pairs, usual_placement
from benchmarks.results import Better, Table
from benchmarks.system import memory
from benchmarks.workloads.rounds import Field, Found, Measure, fitting, table

_VISITS = 1000
"""Connections of one round at most."""
_SETTLING = 0.5
"""Seconds until a server that let everybody in is idle again."""


@attrs.frozen
class _Columns:
    alone: Found
    beside: Found
    ratio: Found
    visit: Found
    visits: Found
    memory: Found

    def fail(self, index: int, failure: Failed) -> None:
        for found in (self.alone, self.beside, self.ratio, self.visit, self.visits, self.memory):
            found.fail(index, failure)


def measured(field: Field, plan: Plan, directory: Path) -> Iterator[Table]:
    """Its tables."""
    columns = _Columns(*(Found(field) for _ in range(6)))
    placement = usual_placement()
    for index, contestant in enumerate(field.contestants):
        with pairs([contestant, contestant], directory / str(index), many=True) as (alone, beside):
            try:
                _compare(columns, index, alone, beside, placement, plan)
            except Failed as failure:
                columns.fail(index, beside.because(failure))
    name, idle = "idle-connections", f"{plan.beside:,} idle connections"
    trip = f"round trip, {plan.small} B"
    yield table(name, f"{trip}, no idle connections", placement, "us", Better.LOWER, columns.alone.figures())
    yield table(name, f"{trip}, beside {idle}", placement, "us", Better.LOWER, columns.beside.figures())
    ratios = table(name, f"{trip}, beside {idle}", placement, "x that with none", Better.LOWER, columns.ratio.figures())
    yield attrs.evolve(ratios, compared=False)
    visit = f"connect, one request of {plan.small} B, close"
    yield table(name, f"{visit}, beside {idle}", placement, "us", Better.LOWER, columns.visit.figures())
    ratios = table(name, f"{visit}, beside {idle}", placement, "x that with none", Better.LOWER, columns.visits.figures())
    yield attrs.evolve(ratios, compared=False)
    yield table(name, f"the server's memory, {idle}", placement, "KiB each", Better.LOWER, columns.memory.figures())


def _compare(columns: _Columns, index: int, alone: Pair, beside: Pair, placement: Placement, plan: Plan) -> None:
    measure = Measure(lambda count: Trips(plan.small, count), lambda seconds: seconds * 1e6)
    holder = beside.another_client()
    for pair in (alone, beside):
        pair.client.do(Trips(plan.small, 100), float)
        pair.place(placement)
    before = memory(beside.server)
    holder.do(Hold(plan.beside, plan.small), bool)
    sleep(_SETTLING)
    columns.memory.add(index, (memory(beside.server) - before) / 1024 / plan.beside)
    visits = Measure(lambda count: Visits(plan.small, count), lambda seconds: seconds * 1e6, _VISITS)
    for kind, found, ratio in ((measure, columns.beside, columns.ratio), (visits, columns.visit, columns.visits)):
        counts = [fitting(pair, kind, plan.seconds) for pair in (alone, beside)]
        for _ in range(plan.rounds):
            without, among = (pair.client.do(kind.order(count), float) / count for pair, count in zip((alone, beside), counts, strict=True))
            found.add(index, among * 1e6)
            ratio.add(index, among / without)
            if kind is measure:
                columns.alone.add(index, without * 1e6)
