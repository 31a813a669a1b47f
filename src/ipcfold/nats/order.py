"""Which entry of a stream a server may fold next. All servers fold all entries in their order, so none may pass one over.

A server that falls behind by more than two snapshots would do so: the leader has dropped what it has not folded yet. It
must not fold what comes later, and begins again with the newest snapshot.
"""

from __future__ import annotations

from enum import Enum
from typing import final


class Step(Enum):
    """What an entry is, as its place and its number say."""

    NEXT = "the entry behind the last one"
    KNOWN = "an entry that was taken before"
    LOST = "a later entry, and the broker has sent others before it, which got lost on their way"
    GAP = "a later entry, and the broker has none between it and the last one any more"


@final
class Order:
    """The order of the entries, which a server reads with one consumer of the broker after another."""

    __slots__ = ("_number", "after")

    def __init__(self, after: int) -> None:
        self._number = 0
        self.after = after
        """The place of the last entry that was taken."""

    def begin(self) -> None:
        """Another consumer begins, behind the last entry."""
        self._number = 0

    def step(self, at: int, number: int) -> Step:
        """What the entry at this place is. `number`: how many the consumer has sent, with this one."""
        if number != self._number + 1:
            return Step.LOST
        self._number = number
        if at <= self.after:
            return Step.KNOWN
        return Step.NEXT if at == self.after + 1 else Step.GAP

    def take(self, at: int) -> None:
        """Take the entry at this place, and those before it, which an operator may have deleted."""
        self.after = at

    def misses(self, number: int) -> bool:
        """Whether the consumer has sent so many, and some of them got lost on their way."""
        return number > self._number
