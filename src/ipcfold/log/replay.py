"""Folds the entries of a log again, and checks the answers against their digests."""

from __future__ import annotations

from typing import Generic, TypeVar, final

from ipcfold.continuation import Continuation
from ipcfold.core.fold import Ask, Fold, FoldState
from ipcfold.core.functions import Handlers
from ipcfold.core.wire import Encoder
from ipcfold.errors import ReplayDiverged
from ipcfold.inputs import Came, Left, Woken
from ipcfold.limits import Limits
from ipcfold.log.entry import Adopted, Began, Ended, Entry, Snapshot, digest
from ipcfold.message import Message
from ipcfold.peer import Name

C = TypeVar("C")

_NAME = Name("replay")


@final
class Replay(Generic[C]):
    """A fold over the entries of a log. An answer that differs from its digest is kept in `diverged`."""

    __slots__ = ("_fold", "_handlers", "_place", "answer", "at", "diverged")

    def __init__(self, place: str, carry: C, handlers: Handlers[C], limits: Limits) -> None:
        encoder = Encoder(limits)
        self._place = place
        self._handlers = handlers
        self._fold = Fold(
            carry,
            name=_NAME,
            timeout=None,
            prepare=encoder.encode,
            mark=encoder.marked,
            now=0.0,
            left=handlers.left is not None,
            woken=handlers.woken is not None,
        )
        self.at = 0
        """The number of entries before the next one."""
        self.diverged: ReplayDiverged[C] | None = None
        """The first answer that differs, unless a later entry says that this was accepted."""
        self.answer: Continuation[C] | None = None
        """That answer, if the handler gave one."""

    @property
    def carry(self) -> C:
        """The carry so far."""
        return self._fold.carry

    @property
    def state(self) -> FoldState:
        """What else the fold knows."""
        return self._fold.state or FoldState()

    def restore(self, snapshot: Snapshot, carry: C) -> None:
        """Begin with this snapshot, whose carry this is."""
        self.at = snapshot.at
        self._fold.restore(carry, snapshot.state)

    def feed(self, entry: Entry) -> ReplayDiverged[C] | None:
        """Fold the next entry. Returns the difference if the replay cannot go on, because the handler raised."""
        self.at += 1
        fold, what = self._fold, entry.what
        asked: Ask[C] | None
        match what:
            case Began() | Ended():
                return None
            case Adopted():
                self.diverged = None
                return None
            case Came(now, peer, message):
                fold.resume()  # it was folded, so the server had not stopped
                fold.join(peer)
                fold.offer(peer, message, entry.number)
                asked = fold.take(now)
            case Left(now, peer):
                fold.join(peer)
                fold.depart(peer)
                asked = fold.take(now)
            case Woken(now):
                fold.resume()
                asked = fold.alarm(now) if fold.rings <= now else None
                if asked is None:
                    self._differs(what, self.carry, None)
        return None if asked is None else self._folded(asked, entry.digest)

    def _folded(self, asked: Ask[C], wanted: int) -> ReplayDiverged[C] | None:
        fold, (what, given) = self._fold, asked
        fold.asked, fold.sent = asked, []
        try:
            answer = self._handlers(what, given)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - the handler may raise anything
            fold.failed(error)
        else:
            fold.answered(answer, 0.0, 0.0)
        if fold.failure is not None:
            return self.diverged or ReplayDiverged(fold.failure.carry, self._place, self.at, what, fold.failure.error)
        if digest(answer) != wanted:
            self._differs(what, given.carry, answer)
        return None

    def _differs(self, what: Message | Left | Woken, before: C, answer: Continuation[C] | None) -> None:
        if self.diverged is None:
            self.answer = answer
            self.diverged = ReplayDiverged(before, self._place, self.at, what)
