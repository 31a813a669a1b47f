"""What a server begins with: the carry of the log, from its last snapshot or from its beginning."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Generic, TypeAlias, TypeVar, final

import attrs
from returns.maybe import Nothing
from returns.result import Failure, Result, Success

from ipcfold.continuation import Continuation
from ipcfold.core.fold import Ask, FoldState
from ipcfold.errors import LogCorrupt, LogEnded, LogFailed, LogUnusable, ReplayInterrupted
from ipcfold.limits import Limits
from ipcfold.log.carried import Carried, other
from ipcfold.log.entry import DamagedError, decode, decode_snapshot
from ipcfold.log.journal import Journal, Reading
from ipcfold.log.replay import Replay
from ipcfold.log.snapshots import Snapshots
from ipcfold.result import cases

C = TypeVar("C")
R = TypeVar("R")

Steps: TypeAlias = Generator[Ask[C], Continuation[C], R]
"""What is done with a log, step by step. Each step asks the handler for an input, and gets the answer, or what the handler raised."""


@final
@attrs.frozen
class Recovered(Generic[C]):
    """What a log gives a server that starts."""

    carry: C
    state: FoldState
    at: int
    """The number of entries."""
    kept: int | None = None
    """The number of entries before the snapshot that it began with."""
    adopted: bool = False
    """Whether something differed, and that was accepted."""
    warnings: tuple[str, ...] = ()
    """What an operator should know."""
    began: int = 0
    """The number of entries before the first that was folded again."""
    digest: int = 0
    """The digest of all answers since then."""


@final
class Recovery(Generic[C]):
    """Folds what is in a log, also while another server goes on writing to it."""

    def __init__(
        self,
        place: str,
        carry: C,
        snapshots: Snapshots[C] | None,
        limits: Limits,
        *,
        left: bool,
        woken: bool,
        adopts: bool = False,
        whole: bool = False,
    ) -> None:
        """`left`, `woken`: whether the server has functions for departures and alarms. `whole`: whether to fold all that the log has."""
        self.ends: Callable[[], bool] = lambda: False
        """Whether to give up."""
        self.reader: Reading | None = None
        """What a server that stands by reads of the log, until `leave`."""
        self._place = place
        self._first = carry
        self._new: Callable[[], Replay[C]] = lambda: Replay(place, carry, limits, left=left, woken=woken, adopts=adopts)
        self._replay: Replay[C] | None = None
        self._carried: Carried[C] | None = None
        self._whole = whole
        self._kept: int | None = None
        self._snapshots = snapshots
        self._adopts = adopts
        self._warnings = list[str]()

    @property
    def carry(self) -> C:
        """The carry so far."""
        return self._first if self._replay is None else self._replay.carry

    @property
    def at(self) -> int:
        """How many entries it knows."""
        return 0 if self._replay is None else self._replay.at

    def follow(self, log: Reading) -> Steps[C, LogEnded[C] | None]:
        """Fold what was committed since the last call. Returns what keeps a server from serving with this log."""
        replay = self._replay
        try:
            if replay is None or replay.at < log.first:  # what this has not folded yet may have been dropped
                replay = self._new()
                unread = self._begin(replay, log)
                if unread is not None:
                    return unread
            self._replay = replay
            return (yield from self._folded(replay, log)) or (None if self._adopts else replay.diverged)
        except DamagedError as error:
            at, carry = (0, self._first) if replay is None else (replay.at, replay.carry)
            return LogFailed(carry, LogCorrupt(self._place, at, str(error)))
        except KeyboardInterrupt:
            return ReplayInterrupted(self._place, self.at)

    def leave(self) -> None:
        """Read no more beside another server.

        The new owner opens the log before that: SQLite works for long when the last program that has a file open closes it.
        """
        if self.reader is not None:
            self.reader.close()
            self.reader = None

    def finish(self, log: Journal) -> Steps[C, Result[Recovered[C], LogEnded[C]]]:
        """Fold the rest, now that nobody else writes to the log."""
        if self._carried is not None:
            self._carried.look(log)
        refused = yield from self.follow(log)
        replay = self._replay
        if refused is not None or replay is None:
            return Failure(refused or ReplayInterrupted(self._place, 0))
        if replay.at > log.count:
            return Failure(LogFailed(self._first, LogCorrupt(self._place, log.count, f"there is a snapshot after entry {replay.at}")))
        if self._adopts and replay.at:
            self._warnings.append(_accepted(replay))
        adopted, warnings = replay.diverged is not None, tuple(self._warnings)
        return Success(Recovered(replay.carry, replay.state, replay.at, self._kept, adopted, warnings, replay.began, replay.digest))

    def _folded(self, replay: Replay[C], log: Reading) -> Steps[C, LogEnded[C] | None]:
        carried = self._carried
        for batch in log.replay(replay.at):
            match cases(batch):
                case Failure(error):
                    return LogFailed(replay.carry, error)
                case Success(records):
                    if carried is not None:
                        carried.expect(log, len(records))
                    for record in records:
                        asked = replay.take(decode(record))
                        if asked is not None:
                            try:
                                answer = yield asked
                            except KeyboardInterrupt:
                                raise
                            except BaseException as error:  # noqa: BLE001 - the handler may raise anything
                                ended = replay.failed(error)
                            else:
                                ended = replay.answered(asked, answer)
                            if ended is not None:
                                return ended
                        if carried is not None and replay.at == carried.next:
                            carried.passed()
                        if self.ends():
                            return ReplayInterrupted(self._place, replay.at)
        return None

    def _begin(self, replay: Replay[C], log: Reading) -> LogFailed[C] | None:
        """Begin with the newest snapshot that decodes, or at the beginning; if it is to be `whole`, with the oldest."""
        self._warnings.clear()
        self._carried = self._kept = None
        if self._snapshots is None:
            if not log.first:
                return None
            why, advice = "its first entries were dropped", "give the server the snapshots that it was written with"
            return LogFailed(self._first, LogUnusable(self._place, why, advice))
        match cases(log.snapshots()):
            case Failure(error):
                return LogFailed(self._first, error)
            case Success(found):
                usable = tuple(each for each in reversed(found) if log.first or each[0] == 0) if self._whole else found
                if self._begun(replay, usable, self._snapshots) or not log.first:
                    self._carried = Carried(replay, self._snapshots, found)
                    return None
        why = "; ".join((*self._warnings, "the entries before the first snapshot were dropped"))
        return LogFailed(self._first, LogCorrupt(self._place, log.first, why))

    def _begun(self, replay: Replay[C], found: tuple[tuple[int, bytes], ...], snapshots: Snapshots[C]) -> bool:
        for at, record in found:
            try:
                snapshot = decode_snapshot(record)
            except DamagedError:
                self._warnings.append(f"the snapshot after entry {at} is damaged")
                continue
            match cases(snapshots.decode(snapshot.carry)):
                case Success(carry):
                    replay.restore(snapshot, carry)
                    self._kept = snapshot.at
                    self._compare_first(found[-1], snapshots)
                    return True
                case Failure(reason):
                    self._warnings.append(f"the snapshot after entry {at} does not decode: {reason}")
        return False

    def _compare_first(self, oldest: tuple[int, bytes], snapshots: Snapshots[C]) -> None:
        at, record = oldest
        if at == 0 and other(snapshots, self._first, record) is not Nothing:
            self._warnings.append("the log began with another first carry than the server was given: that of the log counts")


def _accepted(replay: Replay[C]) -> str:
    """What an operator should know of a start with a log that adopts."""
    differs = replay.diverged
    if differs is None:
        return "log.adopting() had nothing to accept: start without it, because it would accept the next difference, too"
    what = "the carry" if differs.part == "carry" else "the handler"
    return (
        f"log.adopting() accepts that {what} differs from entry {differs.at} on, and the log says so: "
        "start the next server without it, because it would accept the next difference, too"
    )
