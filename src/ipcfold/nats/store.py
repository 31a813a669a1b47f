"""Writes snapshots to the stream, and reads them. Entries before the last but one are dropped, if the server wants that.

A mark counts only if it is the one behind the mark that its server has seen last: the broker compares that when it stores
it. So the places of snapshots grow, even if a server was stopped while it stored one. At any time the entries behind the
last but one snapshot are there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar, final

from nats.js.api import RawStreamMsg
from nats.js.client import JetStreamContext
from returns.result import Failure, Success

from ipcfold.errors import LogCorrupt, LogError, LogUnusable
from ipcfold.log import History, Snapshots
from ipcfold.nats.broker import Broker
from ipcfold.nats.replica import Replica
from ipcfold.nats.snapshot import Mark, decode, encode, mark, parts, whole
from ipcfold.nats.subjects import Subjects
from ipcfold.result import cases

C = TypeVar("C")

_EXPECTED: Final = "Nats-Expected-Last-Subject-Sequence"
_TRIED: Final = 4  # marks; so many snapshots are tried


@final
class Store(Generic[C]):
    """The snapshots of a stream."""

    def __init__(self, broker: Broker, subjects: Subjects, snapshots: Snapshots[C], warn: Callable[[str], object]) -> None:
        """`warn` gets a sentence for the operator."""
        self._broker = broker
        self._subjects = subjects
        self._snapshots = snapshots
        self._warn = warn
        self._kept = 0  # the place of the last snapshot that was tried

    @property
    def _stream(self) -> JetStreamContext:
        return self._broker.client.jetstream()

    def due(self, at: int) -> bool:
        """Whether a server at this place is to take a snapshot."""
        return at - self._kept >= self._snapshots.every

    async def write(self, replica: Replica[C]) -> None:
        """Store a snapshot. If that fails, it is tried again later."""
        known = replica.known
        if known is None or known.at <= self._kept:
            return
        self._kept = known.at
        match cases(self._snapshots.encode(replica.carry)):
            case Failure(reason):
                self._warn(f"the carry does not encode, so the stream gets no snapshot of it: {reason}")
                return
            case Success(message):
                snapshot = encode(known, message)
        for index, part in enumerate(parts(snapshot)):
            if not await self._stored(self._subjects.part(known.at, index), part):
                return
        before, last = await self._mark(0)
        if last is not None and last.at >= known.at:  # of another server, which began to lead meanwhile
            return
        if not await self._stored(self._subjects.snap, mark(known, snapshot, before).encode(), {_EXPECTED: str(before)}):
            return
        if last is not None and self._snapshots.history is History.DROPPED:
            purged = await self._broker.use("purge the stream", self._stream.purge_stream(self._subjects.stream, seq=last.at + 1))
            if isinstance(purged, Failure):
                self._warn(str(purged.failure()))

    async def _stored(self, subject: str, data: bytes, headers: dict[str, str] | None = None) -> bool:
        match cases(await self._broker.use("store a snapshot", self._stream.publish(subject, data, headers=headers))):
            case Failure(error):
                self._warn(str(error))
                return False
            case Success():
                return True

    async def restore(self, replica: Replica[C], first: int) -> LogError | None:
        """Begin with the newest snapshot that decodes. `first`: the place of the first entry that is still there."""
        reasons, at = list[str](), 0
        for _ in range(_TRIED):
            _, found = await self._mark(at)
            if found is None:
                break
            at = found.before
            gone = f"the entries after the snapshot at {found.at} were dropped" if found.at < first - 1 else None
            reason = gone or await self._begun(replica, found)
            if reason is None:
                self._kept = found.at
                return None
            self._warn(reason)
            reasons.append(reason)
            if not at:
                break
        if first <= 1:
            return None
        why = "; ".join((*reasons, "the entries before the first snapshot were dropped"))
        return LogCorrupt(f"{self._subjects.stream} at {self._broker.place}", first, why)

    async def _mark(self, at: int) -> tuple[int, Mark | None]:
        """The mark at this place of the stream, and the place; at 0 the last one. The place is 0 if there is none."""
        stream = self._subjects.stream
        read = self._stream.get_msg(stream, seq=at) if at else self._stream.get_last_msg(stream, self._subjects.snap)
        found: RawStreamMsg | None = (await self._broker.use("read a snapshot", read)).value_or(None)
        return (0, None) if found is None else (found.seq or 0, Mark.decode(found.data or b""))

    async def _begun(self, replica: Replica[C], mark: Mark) -> str | None:
        """Begin with the snapshot of this mark. Returns why that is not possible."""
        found = list[bytes]()
        for index in range(mark.parts):
            read = self._stream.get_last_msg(self._subjects.stream, self._subjects.part(mark.at, index))
            part: RawStreamMsg | None = (await self._broker.use("read a snapshot", read)).value_or(None)
            found.append(b"" if part is None else part.data or b"")
        snapshot = whole(found, mark)
        decoded = None if snapshot is None else decode(snapshot)
        if decoded is None:
            return f"the snapshot after entry {mark.at} is damaged"
        known, message = decoded
        match cases(self._snapshots.decode(message)):
            case Failure(reason):
                return f"the snapshot after entry {mark.at} does not decode: {reason}"
            case Success(carry):
                replica.restore(known, carry)
                return None


def unreadable(place: str, first: int) -> LogError | None:
    """What keeps a server without snapshots from using a stream, if anything does."""
    if first <= 1:
        return None
    return LogUnusable(place, "its first entries were dropped", "give the server the snapshots that it was written with")
