"""What a server costs that has nothing to do: its time on a core, with no clients and with many idle ones.

All servers are watched at the same time, since none of them should do anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from time import monotonic, sleep

import attrs

from benchmarks.contestant import PATIENCE
from benchmarks.orders import Hold
from benchmarks.plan import Plan
from benchmarks.processes import Failed, Pair, pairs, placements
from benchmarks.results import Better, Table
from benchmarks.system import seconds_of_processor
from benchmarks.workloads.rounds import Field, Found, table

_SETTLING = 1.0
"""Seconds until a server that has just started, or let everybody in, is idle."""
_ROUNDS = 3


def measured(field: Field, plan: Plan, directory: Path) -> Iterator[Table]:
    """Its tables."""
    alone, beside = Found(field), Found(field)
    with pairs(field.contestants, directory, many=True) as running:
        yield _watched("no clients", alone, running, plan)
        for index, pair in enumerate(running):
            try:
                pair.client.do(Hold(plan.idle, plan.small), bool)
            except Failed as failure:
                beside.fail(index, failure)
        yield _watched(f"{plan.idle:,} idle clients", beside, running, plan)


def _watched(clients: str, found: Found, running: list[Pair], plan: Plan) -> Table:
    for pair in running:
        _await(pair)
    sleep(_SETTLING)
    for _ in range(min(plan.rounds, _ROUNDS)):
        began, before = monotonic(), [seconds_of_processor(pair.server) for pair in running]
        sleep(plan.watched)
        passed = monotonic() - began
        for index, pair in enumerate(running):
            found.attempt(index, partial(_share, pair.server, before[index], passed))
    made = table("idle-server", f"an idle server, {clients}", placements()[-1], "% of a core", Better.LOWER, found.figures())
    return attrs.evolve(made, compared=False)


def _share(server: int, before: float, passed: float) -> float:
    return (seconds_of_processor(server) - before) / passed * 100


def _await(pair: Pair) -> None:
    deadline = monotonic() + PATIENCE
    while not Path(pair.address).exists() and monotonic() < deadline:
        sleep(0.01)
