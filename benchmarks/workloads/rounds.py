"""What the workloads share: finding out how much fits into a round, and rounds of all contestants in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, final

import attrs

from benchmarks.contestant import Contestant, Standing
from benchmarks.peers import PEERS, Peer
from benchmarks.plan import Plan
from benchmarks.processes import Failed, Order, Pair, Placement
from benchmarks.results import FAILED, Better, Figure, Table

_MANY: Final = "no way for one process to hold many clients of it without a thread for each"
_REASONS: Final = {
    "clients": _MANY,
    "idle-connections": _MANY,
    "idle-server": _MANY,
    "acknowledged": "a call returns once: it has no acknowledgement beside its answer",
    "tasks": "no tasks of an event loop",
    "told": "it has no row for subscribers",
    "wait": "only the `wait` of ipcfold is measured",
    "import": "only the import of ipcfold is measured",
}
"""Why rows take no part, where they do not say it themselves."""


@final
@attrs.frozen
class Entry:
    """A contestant that takes part, and the peer it is of."""

    peer: Peer
    contestant: Contestant


@final
@attrs.frozen
class Field:
    """Who takes part in a workload: rows that run, and rows that only say why they do not."""

    entries: tuple[Entry, ...]
    absent: tuple[Figure, ...]

    @classmethod
    def of(cls, workload: str, chosen: Iterable[str]) -> Field:
        """All peers, or those chosen by name."""
        wanted = set(chosen)
        entries: list[Entry] = []
        absent: list[Figure] = []
        for peer in PEERS:
            if wanted and peer.name not in wanted:
                continue
            if peer.missing:
                absent.append(Figure(peer.name, peer.title, Standing.PEER, absent=f"missing: {peer.missing}"))
                continue
            rows = peer.contestants()
            entries += [Entry(peer, row) for row in rows if workload in row.enters]
            if not any(workload in row.enters for row in rows):
                absent.append(_declining(peer, rows[0], workload))
        return cls(tuple(entries), tuple(absent))

    @property
    def contestants(self) -> list[Contestant]:
        """Those that take part."""
        return [entry.contestant for entry in self.entries]


def _declining(peer: Peer, row: Contestant, workload: str) -> Figure:
    reason = row.declines.get(workload) or _REASONS.get(workload, "does not do this")
    return Figure(peer.name, peer.title, row.standing, absent=reason)


@final
class Found:
    """What was found of every contestant so far; one that fails is out, and its row says why."""

    def __init__(self, field: Field) -> None:
        self._field = field
        self._values: list[list[float]] = [[] for _ in field.entries]
        self._failed: dict[int, str] = {}

    def add(self, index: int, value: float) -> None:
        """One more value of the contestant at that place."""
        self._values[index].append(value)

    def attempt(self, index: int, measured: Callable[[], float]) -> None:
        """One more value, unless the contestant is out, or fails now and so is."""
        if index in self._failed:
            return
        try:
            self.add(index, measured())
        except (Failed, OSError) as failure:
            self.fail(index, failure)

    def fail(self, index: int, failure: Exception) -> None:
        """That contestant is out."""
        self._failed[index] = f"{FAILED}: {failure}"

    def figures(self) -> tuple[Figure, ...]:
        """A row for each, and for those that take no part."""
        rows = [
            Figure(
                entry.peer.name,
                entry.contestant.title,
                entry.contestant.standing,
                () if index in self._failed else tuple(self._values[index]),
                self._failed.get(index, ""),
            )
            for index, entry in enumerate(self._field.entries)
        ]
        return (*rows, *self._field.absent)


@final
@attrs.frozen
class Measure:
    """What a round is: an order for so many of something, and what its seconds amount to for one."""

    order: Callable[[int], Order[float]]
    value: Callable[[float], float]
    most: int = 1_000_000


def fitting(pair: Pair, measure: Measure, seconds: float) -> int:
    """How many fit into a round; finding out warms both ends up."""
    count = 1
    while True:
        took = pair.client.do(measure.order(count), float)
        if took > seconds / 5 or count >= measure.most:
            return max(1, min(measure.most, round(count * seconds / took)))
        count = min(measure.most, max(count * 2, round(count * min(50, seconds / 2 / max(took, 1e-6)))))


def in_turns(field: Field, running: list[Pair], placement: Placement, plan: Plan, measure: Measure) -> tuple[Figure, ...]:
    """All contestants in one placement, their rounds interleaved."""
    found = Found(field)
    counts: list[int] = []
    for index, pair in enumerate(running):
        counts.append(1)
        try:
            pair.client.do(measure.order(1), float)  # connects, which may start threads that are to be placed, too
            pair.place(placement)
            counts[index] = fitting(pair, measure, plan.seconds)
        except Failed as failure:
            found.fail(index, failure)
    for _ in range(plan.rounds):
        for index, pair in enumerate(running):
            found.attempt(index, partial(_round, pair, measure, counts[index]))
    return found.figures()


def _round(pair: Pair, measure: Measure, count: int) -> float:
    return measure.value(pair.client.do(measure.order(count), float) / count)


def table(workload: str, title: str, placement: Placement, unit: str, better: Better, figures: tuple[Figure, ...], note: str = "") -> Table:
    """A table of what was found in that placement."""
    return Table(workload, title, placement.title, unit, better, figures, note)
