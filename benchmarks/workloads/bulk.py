"""One large message, echoed: how fast, and how much memory it takes.

The rate counts the message once, though it goes there and back. Memory is a process's peak less its peak before the
message existed, in messages: a client has to hold what it sends and what comes back, so 2 is the least without tricks;
raw sends back bytes as they come, and its server holds none. Each is measured in processes of its own, on the first
large message they see.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs

from benchmarks.orders import Trips
from benchmarks.plan import Plan
from benchmarks.processes import Failed, Pair, pairs, placements, usual_placement
from benchmarks.results import Better, Table
from benchmarks.system import peak_memory
from benchmarks.workloads.rounds import Field, Found, Measure, in_turns, table


def measured(field: Field, plan: Plan, directory: Path) -> Iterator[Table]:
    """Its tables."""
    measure = Measure(lambda count: Trips(plan.large, count), lambda seconds: plan.large / seconds / 2**30)
    title = f"one message of {plan.large >> 20} MiB, echoed"
    with pairs(field.contestants, directory / "speed") as running:
        for placement in placements():
            figures = in_turns(field, running, placement, plan, measure)
            yield table("bulk", title, placement, "GiB/s", Better.HIGHER, figures, "the message is counted once")
    servers, clients = Found(field), Found(field)
    for number in range(min(plan.rounds, 3)):
        with pairs(field.contestants, directory / f"memory{number}") as running:
            for index, pair in enumerate(running):
                _remember(servers, clients, index, pair, plan)
    for whose, found in (("server", servers), ("client", clients)):
        made = table("bulk", f"{title}: peak memory of the {whose}", usual_placement(), "x the message", Better.LOWER, found.figures())
        yield attrs.evolve(made, compared=False)


def _remember(servers: Found, clients: Found, index: int, pair: Pair, plan: Plan) -> None:
    try:
        pair.client.do(Trips(plan.small, 1), float)
        pair.place(usual_placement())
        before = peak_memory(pair.server), peak_memory(pair.client.pid)
        pair.client.do(Trips(plan.large, 1), float)
        grown = peak_memory(pair.server) - before[0], peak_memory(pair.client.pid) - before[1]
    except (Failed, OSError) as error:
        for found in (servers, clients):
            found.fail(index, error)
        return
    servers.add(index, grown[0] / plan.large)
    clients.add(index, grown[1] / plan.large)
