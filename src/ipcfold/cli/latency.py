"""Statistics of latencies in seconds: a few figures and a histogram."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Final, final

import attrs

_BARS: Final = 12


@final
@attrs.frozen
class Bar:
    """One bar: how many latencies are at most `up_to`, and above the limit of the bar before."""

    up_to: float
    count: int


@final
@attrs.frozen
class Latency:
    """The statistics of many latencies, in seconds. Percentiles are measured values, by nearest rank."""

    count: int
    mean: float
    min: float
    median: float
    p90: float
    p99: float
    p999: float
    max: float
    histogram: tuple[Bar, ...]

    @classmethod
    def of(cls, times: Sequence[float]) -> Latency:
        """The statistics of these latencies; there must be at least one.

        >>> Latency.of([0.004, 0.001, 0.002, 0.003]).median
        0.002
        """
        ordered = sorted(times)

        def rank(share: float) -> float:
            return ordered[max(0, ceil(len(ordered) * share) - 1)]

        return cls(
            count=len(ordered),
            mean=sum(ordered) / len(ordered),
            min=ordered[0],
            median=rank(0.5),
            p90=rank(0.9),
            p99=rank(0.99),
            p999=rank(0.999),
            max=ordered[-1],
            histogram=_histogram(ordered),
        )

    @property
    def facts(self) -> Mapping[str, float]:
        """The figures by name, without the histogram."""
        return {name: getattr(self, name) for name in ("count", "mean", "min", "median", "p90", "p99", "p999", "max")}

    def __str__(self) -> str:
        shown = {"min": self.min, "median": self.median, "p90": self.p90, "p99": self.p99, "max": self.max}
        return ", ".join(f"{name} {milliseconds(seconds)}" for name, seconds in shown.items()) + " ms"


def milliseconds(seconds: float) -> str:
    """The number of milliseconds, with about three digits.

    >>> milliseconds(0.0001234), milliseconds(0.0123456)
    ('0.123', '12.3')
    """
    number = seconds * 1e3
    return f"{number:.{3 if number < 1 else 2 if number < 10 else 1 if number < 100 else 0}f}"


def _histogram(ordered: Sequence[float]) -> tuple[Bar, ...]:
    """Bars with a constant ratio between their limits, because latencies spread over orders of magnitude."""
    first, last = ordered[0], ordered[-1]
    if first <= 0 or first == last:
        return (Bar(last, len(ordered)),)
    limits = [first * (last / first) ** (step / _BARS) for step in range(1, _BARS)] + [last]
    bars, below = list[Bar](), 0
    for limit in limits:
        reached = bisect_right(ordered, limit)
        bars.append(Bar(limit, reached - below))
        below = reached
    return tuple(bars)
