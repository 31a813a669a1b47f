"""Compares the carry of a replay with the snapshots of its log, where the replay passes their places.

A server that follows a log finds a snapshot later than the entries before it: the server that serves commits a burst, then takes the
snapshot, and then commits the next burst. So this looks for a snapshot when the next burst is there, and before it is folded, once as many
entries have come as there are between two snapshots, and once a handler was adopted. A server of which `Snapshots.every` is another number
misses some.

What else a fold knows is not compared: it follows from the inputs and the answers. And a snapshot has clients that never said anything,
which are in no entry.
"""

from __future__ import annotations

from functools import partial
from typing import Final, Generic, TypeVar, final

from returns.maybe import Maybe, Nothing

from ipcfold.log.entry import DamagedError, decode_snapshot
from ipcfold.log.journal import Reading
from ipcfold.log.replay import Replay
from ipcfold.log.snapshots import Snapshots

C = TypeVar("C")

_TRIES: Final = 16  # bursts after which a snapshot is not expected any more: the server that serves may take none


@final
class Carried(Generic[C]):
    """The snapshots of a log that a replay passes."""

    __slots__ = ("_ahead", "_last", "_replay", "_snapshots", "_tried", "next")

    def __init__(self, replay: Replay[C], snapshots: Snapshots[C], found: tuple[tuple[int, bytes], ...]) -> None:
        """`found`: those that the log has, the newest first."""
        self._replay = replay
        self._snapshots = snapshots
        self._ahead = {at: record for at, record in found if at > replay.at}
        self._last = found[0][0] if found else 0  # the place of the last one, or where it was not found
        self._tried = 0
        self.next = min(self._ahead, default=0)
        """The place of the next one, at which to call `passed`; 0 if none is ahead."""

    def expect(self, log: Reading, count: int) -> None:
        """Look for snapshots before so many entries are folded, if it is time."""
        replay = self._replay
        if count and (replay.at + count - self._last >= self._snapshots.every or replay.adopted > self._last):
            self.look(log)

    def look(self, log: Reading) -> None:
        """Compare with the snapshot of this place, and remember those that are ahead, if there are any."""
        at, found = self._replay.at, log.snapshots().value_or(())  # entries that cannot be read either are told
        self._ahead = {place: record for place, record in found if place >= at}
        newest = found[0][0] if found else 0
        self._tried = 0 if newest > self._last else self._tried + 1
        if self._tried >= _TRIES:
            newest, self._tried = at, 0
        self._last = max(self._last, newest)
        self.passed()

    def passed(self) -> None:
        """Compare with the snapshot of this place, if there is one."""
        replay, what = self._replay, self._replay.folded
        record = self._ahead.pop(replay.at, b"")
        self.next = min(self._ahead, default=0)
        if record and what is not None:
            other(self._snapshots, replay.carry, record).map(partial(replay.kept, what))


def other(snapshots: Snapshots[C], carry: C, record: bytes) -> Maybe[C]:
    """The carry of this snapshot, if that is known to be another one than this."""
    try:
        message = decode_snapshot(record).carry
    except DamagedError:
        return Nothing
    return snapshots.other(carry, message)
