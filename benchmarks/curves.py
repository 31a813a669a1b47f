"""How figures scale: with the size of messages, with clients, and with idle connections.

The main peers only. All is measured in one placement; contestants take turns, but beside idle connections, where they
are measured one after the other, for what keeps one's connections alive would disturb the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from time import sleep
from typing import Final, final

import attrs

from benchmarks.contestant import Contestant
from benchmarks.orders import Batches, Hold, Requests, Trips
from benchmarks.plan import Plan
from benchmarks.processes import Failed, Pair, pairs, usual_placement
from benchmarks.results import FAILED, Better, Curve, Line, Point
from benchmarks.workloads.rounds import Entry, Field, Measure, fitting

MAIN: Final = ("raw", "raw_epoll", "ipcfold", "ipcfold_aio", "multiprocessing_connection", "uvloop", "pyzmq")
_LARGE: Final = 65536  # from here on peers use what is meant for large messages
_BATCH: Final = 2**22  # bytes that a batch has at most
_ROUNDS: Final = 3
_SETTLING: Final = 0.5


@final
@attrs.frozen
class Scale:
    """The places on the curves."""

    sizes: tuple[int, ...] = (16, 256, 4096, 65536, 2**20, 2**23, 2**26)
    clients: tuple[int, ...] = (1, 10, 100, 500, 1000, 2000)
    idle: tuple[int, ...] = (0, 100, 1000, 5000, 10_000)


QUICK: Final = Scale((16, 4096, 2**20), (1, 10), (0, 20))


def measured(chosen: list[str], plan: Plan, scale: Scale, directory: Path) -> Iterator[Curve]:
    """All curves."""
    wanted = [name for name in MAIN if not chosen or name in chosen]
    if wanted:
        yield from _by_size(wanted, plan, scale, directory / "sizes")
        yield from _by_clients(wanted, plan, scale, directory / "clients")
        yield _by_idle(wanted, plan, scale, directory / "idle")


@final
class _Drawn:
    """The lines as they grow; one that fails ends there, and says why."""

    def __init__(self, entries: list[Entry]) -> None:
        self._entries = entries
        self._points: list[list[Point]] = [[] for _ in entries]
        self._ended: dict[int, str] = {}

    def point(self, index: int, x: int, values: list[float]) -> None:
        self._points[index].append(Point(x, tuple(values)))

    def end(self, index: int, x: int, why: Exception) -> None:
        self._ended.setdefault(index, f"{FAILED} at {x:,}: {why}")

    def lines(self, derived: Callable[[int, float], float] = lambda _, value: value) -> tuple[Line, ...]:
        return tuple(
            Line(
                entry.peer.name,
                entry.peer.title,
                entry.contestant.standing,
                tuple(Point(point.x, tuple(derived(point.x, value) for value in point.values)) for point in points),
                self._ended.get(index, ""),
            )
            for index, (entry, points) in enumerate(zip(self._entries, self._points, strict=True))
        )


def _first_rows(workload: str, wanted: list[str]) -> tuple[list[Entry], tuple[Line, ...]]:
    """One row of each peer in that workload, and a line without points for those that have none."""
    field = Field.of(workload, wanted)
    first: dict[str, Entry] = {}
    for entry in field.entries:
        first.setdefault(entry.peer.name, entry)
    return list(first.values()), tuple(Line(row.peer, row.title, row.standing, (), row.absent) for row in field.absent)


def _by_size(wanted: list[str], plan: Plan, scale: Scale, directory: Path) -> Iterator[Curve]:
    small, absent = _first_rows("round-trip", wanted)
    large, _ = _first_rows("bulk", wanted)
    trips = _Drawn(small)
    for name, entries in (("small", small), ("large", large)):
        with pairs(_contestants(entries), directory / name) as running:
            for size in scale.sizes:
                if (size >= _LARGE) == (name == "large"):
                    _in_turns(trips, size, running, plan, Measure(partial(Trips, size), _seconds))
    lines = trips.lines(lambda _, seconds: seconds * 1e6)
    yield Curve("latency-by-size", "round trip by size", "bytes", "us", Better.LOWER, lines + absent)
    rows, absent = _first_rows("pipelined", wanted)
    batches = _Drawn(rows)
    with pairs(_contestants(rows), directory / "batches") as running:
        for size in scale.sizes:
            messages = _messages(plan, size)
            _in_turns(batches, size, running, plan, Measure(partial(Batches, size, messages), _seconds))
    lines = batches.lines(lambda size, seconds: size * _messages(plan, size) / seconds / 2**20)
    yield Curve("throughput-by-size", "pipelined by size", "bytes", "MiB/s", Better.HIGHER, lines + absent)


def _messages(plan: Plan, size: int) -> int:
    return max(1, min(plan.batch, _BATCH // size))


def _by_clients(wanted: list[str], plan: Plan, scale: Scale, directory: Path) -> Iterator[Curve]:
    rows, absent = _first_rows("clients", wanted)
    drawn = _Drawn(rows)
    for clients in scale.clients:
        with pairs(_contestants(rows), directory / str(clients), many=True) as running:
            _in_turns(drawn, clients, running, plan, Measure(partial(Requests, clients, plan.small), _seconds))
    lines = drawn.lines(lambda _, seconds: 1 / seconds)
    yield Curve("throughput-by-clients", "requests by clients", "clients", "messages/s", Better.HIGHER, lines + absent)
    lines = drawn.lines(lambda clients, seconds: seconds * clients * 1e6)
    yield Curve("latency-by-clients", "a request's time by clients", "clients", "us", Better.LOWER, lines + absent)


def _by_idle(wanted: list[str], plan: Plan, scale: Scale, directory: Path) -> Curve:
    rows, absent = _first_rows("idle-connections", wanted)
    drawn = _Drawn(rows)
    for index, entry in enumerate(rows):
        with pairs([entry.contestant], directory / str(index), many=True) as (pair,):
            held = 0
            for idle in scale.idle:
                try:
                    if idle > held:  # each process holds what is missing, since one may not have enough files
                        pair.another_client().do(Hold(idle - held, plan.small), bool)
                        held = idle
                        sleep(_SETTLING)
                    drawn.point(index, idle, _rounds_of_one(pair, plan))
                except Failed as failure:
                    drawn.end(index, idle, pair.because(failure))
                    break
    lines = drawn.lines(lambda _, seconds: seconds * 1e6)
    return Curve("latency-by-idle", "round trip by idle connections", "idle connections", "us", Better.LOWER, lines + absent)


def _rounds_of_one(pair: Pair, plan: Plan) -> list[float]:
    measure = Measure(partial(Trips, plan.small), _seconds)
    pair.client.do(measure.order(1), float)
    pair.place(usual_placement())
    count = fitting(pair, measure, plan.seconds)
    return [pair.client.do(measure.order(count), float) / count for _ in range(_rounds(plan))]


def _in_turns(drawn: _Drawn, x: int, running: list[Pair], plan: Plan, measure: Measure) -> None:
    """One place on every line, rounds interleaved."""
    counts: dict[int, int] = {}
    for index, pair in enumerate(running):
        try:
            pair.client.do(measure.order(1), float)
            pair.place(usual_placement())
            counts[index] = fitting(pair, measure, plan.seconds)
        except Failed as failure:
            drawn.end(index, x, failure)
    values: dict[int, list[float]] = {index: [] for index in counts}
    for _ in range(_rounds(plan)):
        for index, count in counts.items():
            try:
                values[index].append(running[index].client.do(measure.order(count), float) / count)
            except Failed as failure:
                drawn.end(index, x, failure)
    for index, each in values.items():
        if len(each) == _rounds(plan):
            drawn.point(index, x, each)


def _rounds(plan: Plan) -> int:
    return min(plan.rounds, _ROUNDS)


def _seconds(seconds: float) -> float:
    return seconds


def _contestants(entries: list[Entry]) -> list[Contestant]:
    return [entry.contestant for entry in entries]
