"""How much to measure: the sizes that define the workloads, and how long to look at each."""

from __future__ import annotations

from typing import final

import attrs


@final
@attrs.frozen(kw_only=True)
class Plan:
    """What is measured by default; sizes are bytes, times are seconds."""

    rounds: int = 7
    seconds: float = 0.1
    """That a round is to take; it has as many trips as fit, at least one."""
    small: int = 16
    pipelined: int = 64
    batch: int = 1000
    large: int = 64 * 2**20
    clients: int = 200
    subscribers: int = 1000
    tasks: int = 100
    beside: int = 10_000
    """Idle connections beside a round trip, and beside a connection."""
    idle: int = 10_000
    """Idle clients of an idle server."""
    watched: float = 2.0
    """How long an idle process is watched, in each round."""
    quick: bool = False


QUICK = Plan(
    rounds=1, seconds=0.01, batch=100, large=2**20, clients=20, subscribers=20, tasks=10, beside=50, idle=50, watched=0.5, quick=True
)
"""A look at everything, to see that it works; its figures mean nothing."""
