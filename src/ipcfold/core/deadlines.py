"""When to look at which connection: each has one time, and connections of one time share an entry.

A message moves the deadline of its connection. The time here may therefore be too early. The server corrects it when it has
come, rather than for every message.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from math import inf
from typing import Final, final

from ipcfold.core.server_connection import ServerConnection

_SPARE: Final = 64  # outdated times, in addition to one a connection, before they are removed


@final
class Deadlines:
    """The times at which the connections of a server have something to do."""

    __slots__ = ("_ends", "_times", "count")

    def __init__(self) -> None:
        self._times: list[float] = []  # a heap of the keys of the next
        self._ends: dict[float, list[ServerConnection]] = {}
        self.count = 0
        """The number of times, each once a connection, with the outdated ones."""

    @property
    def next(self) -> float:
        """The earliest time; infinite if there is none."""
        return self._times[0] if self._times else inf

    def put(self, end: ServerConnection, due: float) -> None:
        """Look at this connection then, unless an earlier time is set."""
        if due < end.due:
            end.due = due
            ends = self._ends.get(due)
            if ends is None:
                self._ends[due] = [end]
                heappush(self._times, due)
            else:
                ends.append(end)
            self.count += 1

    def put_all(self, ends: list[ServerConnection], due: float) -> None:
        """Look at these connections then; they have no time yet."""
        for end in ends:
            end.due = due
        if due in self._ends:
            self._ends[due] += ends
        else:
            self._ends[due] = ends[:]
            heappush(self._times, due)
        self.count += len(ends)

    def take(self, until: float, most: int) -> list[ServerConnection]:
        """Remove and return connections whose times have come until then, the earliest first, and some `most` of them."""
        taken = list[ServerConnection]()
        while self._times and self._times[0] <= until and len(taken) < most:
            due = heappop(self._times)
            ends = self._ends.pop(due)
            if len(ends) > most:
                self._ends[due] = ends[most:]
                heappush(self._times, due)
                del ends[most:]
            self.count -= len(ends)
            for end in ends:
                if end.due == due:  # otherwise an earlier time has replaced this one, or the connection is gone
                    end.due = inf
                    taken.append(end)
        return taken

    def tidy(self, ends: Iterable[ServerConnection], count: int) -> None:
        """Remove the outdated times, if there are too many for these connections, which are so many."""
        if self.count <= 2 * count + _SPARE:
            return
        self._ends.clear()
        for end in ends:
            self._ends.setdefault(end.due, []).append(end)
        self._ends.pop(inf, None)
        self._times = list(self._ends)
        heapify(self._times)
        self.count = sum(map(len, self._ends.values()))
