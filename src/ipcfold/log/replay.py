"""Folds the entries of a log again, and checks the answers against their digests.

An entry may say that another handler was adopted, which had folded the entries before. It has the digest of all answers of that handler,
and where it began. A replay that begins at the same place accepts the differences before, if its own answers have the same digest. One that
begins between that place and the adoption cannot know whether its carry is that of the adopted handler. So that is a difference, too.
"""

from __future__ import annotations

from typing import Generic, TypeVar, final

from ipcfold.continuation import Continuation
from ipcfold.core.fold import Ask, Fold, FoldState
from ipcfold.core.functions import Handlers
from ipcfold.core.wire import Encoder
from ipcfold.errors import ReplayDiverged
from ipcfold.inputs import Came, Left, Woken
from ipcfold.limits import Limits
from ipcfold.log.entry import Adopted, Began, Ended, Entry, Snapshot, chained, digest
from ipcfold.message import Message
from ipcfold.peer import Name, Peer

C = TypeVar("C")

_NAME = Name("replay")


@final
class Replay(Generic[C]):
    """A fold over the entries of a log. The first difference is kept in `diverged`."""

    __slots__ = ("_adopts", "_count", "_digest", "_fold", "_place", "adopted", "answer", "at", "began", "digest", "diverged", "folded")

    def __init__(self, place: str, carry: C, limits: Limits, *, left: bool, woken: bool, adopts: bool = False) -> None:
        """`left`, `woken`: whether the server has functions for departures and alarms. `adopts`: whether it accepts what differs."""
        encoder = Encoder(limits)
        self._place = place
        self._adopts = adopts
        self._digest = 0  # of the answer that was given to the input that is taken
        self._fold = Fold(
            carry,
            name=_NAME,
            timeout=None,
            prepare=encoder.encode,
            mark=encoder.marked,
            now=0.0,
            left=left,
            woken=woken,
        )
        self.at = 0
        """The number of entries before the next one."""
        self.began = 0
        """The number of entries before the first that it has taken."""
        self._count = 0  # how many answers it has compared
        self.digest = 0
        """The digest of all of them, as the entry of an adoption has it."""
        self.adopted = 0
        """The number of the last entry that says that a handler was adopted; 0 if there is none."""
        self.folded: Message | Left | Woken | None = None
        """The last input, if there is one."""
        self.diverged: ReplayDiverged[C] | None = None
        """The first difference, unless a later entry says that it was accepted."""
        self.answer: Continuation[C] | None = None
        """The answer that differs, if the handler gave one."""

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
        self.at = self.began = snapshot.at
        self._fold.restore(carry, snapshot.state)

    def feed(self, entry: Entry, handlers: Handlers[C]) -> ReplayDiverged[C] | None:
        """Fold the next entry. Returns the difference if the replay cannot go on, because the handler raised."""
        asked = self.take(entry)
        if asked is None:
            return None
        try:
            answer = handlers(*asked)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - the handler may raise anything
            return self.failed(error)
        return self.answered(asked, answer)

    def take(self, entry: Entry) -> Ask[C] | None:
        """Take the next entry. Returns the input to ask the handler for, if it has one; then `answered` or `failed` is next."""
        self.at += 1
        self._digest = entry.digest
        fold, what = self._fold, entry.what
        asked: Ask[C] | None
        match what:
            case Began(now):
                fold.start(now)
                return None
            case Ended():
                return None
            case Adopted(now, since):
                self._accept(now, since, entry.digest)
                return None
            case Came(now, peer, message):
                fold.resume()  # it was folded, so the server had not stopped
                client = self._known(peer)
                fold.join(client)
                fold.offer(client, message, entry.number)
                asked = fold.take(now)
            case Left(now, peer):
                client = self._known(peer)
                fold.join(client)
                fold.depart(client)
                asked = fold.take(now)
            case Woken(now):
                fold.resume()
                asked = fold.alarm(now) if fold.rings <= now else None
                if asked is None:
                    self.folded = what
                    self._differs(what, self.carry, None)
        if asked is not None:
            self.folded = asked[0]
            fold.asked, fold.sent = asked, []
        return asked

    def answered(self, asked: Ask[C], answer: Continuation[C]) -> ReplayDiverged[C] | None:
        """Take the handler's answer to that input. Returns the difference if it is not valid, so that the replay cannot go on."""
        self._fold.answered(answer, 0.0, 0.0)
        if self._fold.failure is not None:
            return self._ended()
        taken = answer if self._fold.instead is None else self._fold.instead
        given = digest(taken)
        self._count += 1
        self.digest = chained(self.digest, self._count, given)
        if given != self._digest:
            self._differs(asked[0], asked[1].carry, taken)
        return None

    def failed(self, error: BaseException) -> ReplayDiverged[C] | None:
        """Note that the handler raised this."""
        self._fold.failed(error)
        return self._ended()

    def kept(self, what: Message | Left | Woken, carry: C) -> None:
        """Note that the carry after this input, which is the last one, is another one than the log has: this one."""
        if self.diverged is None:
            self.diverged = ReplayDiverged(carry, self._place, self.at, what, part="carry")

    def _accept(self, now: float, since: int, of_answers: int) -> None:
        """Note that a handler was adopted here, which gave such answers to the entries behind the first so many."""
        self.adopted = self.at
        if of_answers and self.began >= since:
            same = (self.began, self.digest) == (since, of_answers)
            what = self.folded or Woken(now)
            self.diverged = None if same else ReplayDiverged(self.carry, self._place, self.at, what, part="adopted")
        elif self.diverged is not None and self.diverged.at > since:  # the handler that was adopted did not fold what is before
            self.diverged = None

    def _known(self, peer: Peer) -> Peer:
        """This client, as the server knew it. The entries do not name the run, which is that of the log."""
        return Peer(peer.connection, peer.pid, peer.uid, peer.gid, self._fold.run)

    def _ended(self) -> ReplayDiverged[C] | None:
        failure = self._fold.failure
        ended = failure and ReplayDiverged(failure.carry, self._place, self.at, failure.message, failure.error)
        return ended if self._adopts else self.diverged or ended

    def _differs(self, what: Message | Left | Woken, before: C, answer: Continuation[C] | None) -> None:
        if self.diverged is None:
            self.answer = answer
            self.diverged = ReplayDiverged(before, self._place, self.at, what)
