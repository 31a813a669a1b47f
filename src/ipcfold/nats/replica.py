"""The fold of one server over the entries of the stream. Every server of a name has one, and all have the same carry at each place.

It does no I/O. The caller gives it the entries in their order, each with its place and the stream's time, and calls the
handler for what `ask` returns. The items for the clients stand in `sessions`. Only the leader sends them; `due` has what is new,
and what clients ask for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Generic, TypeVar, final

from ipcfold.continuation import Continuation, Outcome
from ipcfold.core.fold import Ask, Fold
from ipcfold.core.functions import Handlers
from ipcfold.errors import HandlerFailed
from ipcfold.events import Connected, Departure, Disconnected, Ending, Reported
from ipcfold.limits import Limits
from ipcfold.message import Message
from ipcfold.nats.digests import Digests
from ipcfold.nats.entries import Adopted, Burst, Bye, Check, Gone, Hello, Lead, OfClient, OfServer, Over, Part, Rang, Sync, term_of
from ipcfold.nats.intake import Intake
from ipcfold.nats.post import Post
from ipcfold.nats.sessions import Session, Sessions
from ipcfold.nats.snapshot import Known
from ipcfold.peer import Name

if TYPE_CHECKING:
    from ipcfold.aio.functions import Functions  # clients never need the shell over sockets

C = TypeVar("C")

UNREAD: Final = "it did not read what it was told"


@final
class Replica(Generic[C]):
    """The fold of a server over the entries of its stream."""

    __slots__ = (
        "_between",
        "_fold",
        "_intake",
        "_name",
        "_post",
        "_report",
        "at",
        "digests",
        "due",
        "failed_for",
        "leader",
        "led",
        "over",
        "passes",
        "rang",
        "sessions",
        "time",
    )

    def __init__(
        self,
        name: Name,
        carry: C,
        handlers: Handlers[C] | Functions[C],
        limits: Limits,
        *,
        passes: int = 0,
        adopts: bool = False,
        report: Callable[[Reported], object] = lambda _: None,
        observed: bool = False,
    ) -> None:
        """`passes`: stops up to this place of the stream ended earlier servers, and this one goes on behind them.

        `adopts`: whether its handler may answer what is in the stream in another way than earlier servers did.
        """
        self._name = name
        self._post = Post(limits)
        self.due = self._post.due
        """What clients are to get. The caller empties it."""
        self._intake = Intake(limits, self.due)
        self._report = report
        self._fold = Fold(
            carry,
            name=name,
            timeout=None,
            prepare=self._post.prepare,
            mark=self._post.mark,
            now=0.0,
            report=report,
            observed=observed,
            left=handlers.left is not None,
            woken=handlers.woken is not None,
        )
        self._between = True  # whether everything of the last entry is answered
        self.sessions = Sessions()
        """What is known of the clients."""
        self.passes = passes
        """See above."""
        self.at = 0
        """The place of the last entry in the stream."""
        self.time = 0.0
        """That of the last entry, in seconds since the epoch. It never decreases."""
        self.led = 0
        """The place of the entry by which the leader leads; 0 if there never was one."""
        self.leader = ""
        """The identifier of the leader."""
        self.rang = 0
        """The place of the entry by which the last alarm rang; 0 if none has."""
        self.digests = Digests(adopts=adopts)
        """What it has answered."""
        self.over: Ending | None = None
        """Why the fold has ended, if it has."""
        self.failed_for: tuple[Session, int] | None = None
        """For which message the handler failed, if it was a message."""

    @property
    def carry(self) -> C:
        """The carry so far."""
        return self._fold.carry

    @property
    def term(self) -> int:
        """That of the leader; 0 if there never was one."""
        return term_of(self.led, self.leader)

    @property
    def alarm(self) -> float:
        """When to ring, in seconds since the epoch; infinite for never."""
        return self._fold.rings

    @property
    def failure(self) -> HandlerFailed[C] | None:
        """The failure of the handler, if it has failed."""
        return self._fold.failure

    def take(self, at: int, now: float, entry: OfClient | OfServer | None, session: str = "") -> None:
        """Take the next entry, after everything of the one before is answered. `session` is that of its client. `None`: bytes of others."""
        self.at, self._between = at, False
        self.time = max(self.time, now)
        if not self._fold.began:
            self._fold.start(now)
        match entry:
            case Burst() | Part() | Sync() | Bye():
                known = self.sessions.get(session)
                if known is not None:
                    self._of_client(known, entry)
                elif isinstance(entry, Sync | Bye) and _fits(entry.inbox, session):
                    self.due.unknown[session] = entry.inbox
            case Hello(inbox):
                self._hello(session, inbox)
            case Lead(server, after):
                if after == self.term:
                    self.led, self.leader = at, server
            case Gone(term, sessions):
                if term == self.term:
                    self._gone(sessions)
            case Rang(term, after):
                if term == self.term and after >= self.rang and self._fold.rings <= self.time:
                    self.rang, self._fold.asked = at, self._fold.alarm(self.time)
            case Over(term):
                if term == self.term:
                    self._fold.stop(Ending.SIGNALLED)
                    self._stop()
            case Check(term, place, wanted):
                if term == self.term:
                    self.digests.check(place, wanted)
                    if at > self.passes:
                        self.caught_up()
            case Adopted(term):
                if term == self.term:
                    self.digests.adopt()
            case None:
                pass

    def _hello(self, identifier: str, inbox: str) -> None:
        if not _fits(inbox, identifier):
            return
        known = self.sessions.get(identifier)
        if known is not None:  # it is impatient
            self.due.again[identifier] = known
            return
        session = self.sessions.begin(identifier, inbox, self.time, self._fold.run)
        self._fold.join(session.peer)
        self._post.welcome(session, self._fold.began)
        self._report(Connected(self._name, session.peer))

    def _of_client(self, session: Session, entry: Burst | Part | Sync | Bye) -> None:
        session.confirm(min(entry.got, session.sent))
        if session.ended is not None:
            if session.items:
                self.due.again[session.identifier] = session
            else:
                self.sessions.forget(session)
            return
        refused: str | None = None
        match entry:
            case Burst():
                refused = self._intake.burst(session, entry)
            case Part():
                refused = self._intake.part(session, entry)
            case Sync(token):
                self.due.again[session.identifier] = session
                self.due.synced[session.identifier] = token
            case Bye():
                self._close(session, Departure.CLOSED)
        if refused is not None:
            self._close(session, Departure.DROPPED, refused)

    def _gone(self, identifiers: tuple[str, ...]) -> None:
        for identifier in identifiers:
            session = self.sessions.get(identifier)
            if session is not None and session.ended is None:
                self._close(session, Departure.LOST, "it was gone")

    def _close(self, session: Session, departure: Departure, reason: str = "") -> None:
        """End a session, and fold the departure of its client."""
        self._post.close(session, reason)
        self.sessions.end(session, self.time)
        self._fold.depart(session.peer)
        self._report(Disconnected(self._name, session.peer, departure, reason))

    def _stop(self) -> None:
        for session in self.sessions.open:
            self._close(session, Departure.DISMISSED)
        self._intake.queue.clear()

    def ask(self) -> Ask[C] | None:
        """The input for the handler, if there is one. It stays the same until it is answered. `None`: the entry is done."""
        fold, intake = self._fold, self._intake
        while fold.asked is None and self.over is None:
            if fold.take(self.time) is not None:
                break
            if intake.queue:
                session, number, message = intake.queue.popleft()
                if session.ended is None:
                    fold.offer(session.peer, message, number)
                continue
            if intake.sender is not None:
                if intake.sender.ended is None:
                    self._post.acknowledge(intake.sender)
                intake.sender = None
            self.digests.note(self.at)
            self._between = True
            if fold.stopped:
                self._end()
            break
        return fold.asked

    def _end(self) -> None:
        if self.at > self.passes:
            self.over = self._fold.ending
        else:
            self._fold.resume()

    def answered(self, answer: Continuation[C], took: float = 0.0) -> None:
        """Take the handler's answer to what `ask` returned, after so many seconds."""
        fold, asked = self._fold, self._fold.asked
        if asked is None:  # the handler was interrupted meanwhile
            return
        what, given = asked
        prepared = fold.answered(answer, took, 0.0)
        if prepared is None:
            self._failed(what, given)
            return
        taken = answer if fold.instead is None else fold.instead
        self.digests.add(taken)
        session = self.sessions.of(given.peer)
        if session is not None and isinstance(what, Message):
            session.last = given.number
            self._post.respond(session, prepared, given.number)
        sent, fold.sent = fold.sent, []
        for peer, frames, _ in sent:
            told = self.sessions.of(peer)
            if told is not None and not self._post.send(told, frames, given.number):
                self._close(told, Departure.DROPPED, UNREAD)
        if fold.stopped:
            self._stop()
        elif taken.outcome is Outcome.CLOSE and session is not None:
            self._close(session, Departure.DISMISSED)

    def failed(self, error: BaseException) -> None:
        """The handler failed. The fold keeps the carry before this input, and ends. Its message stays in the stream."""
        asked = self._fold.asked
        if asked is not None:
            self._fold.failed(error)
            self._failed(*asked)

    def _failed(self, what: object, given: Continuation[C]) -> None:
        session = self.sessions.of(given.peer)
        if session is not None and isinstance(what, Message):
            self.failed_for = session, given.number
        self.over = Ending.FAILED

    def caught_up(self) -> None:
        """Note that everything of the past is folded. A server that answers in another way than those before it ends here."""
        if self.digests.refused:
            self.over = Ending.BROKEN

    @property
    def known(self) -> Known | None:
        """All that it knows in addition to the carry, between two entries; `None` if a snapshot of it would be of no use."""
        state = self._fold.state
        if state is None or not self._between or self.over is Ending.BROKEN:
            return None
        return Known(self.at, self.time, self.led, self.leader, self.rang, self.digests.checked, state, tuple(self.sessions))

    def restore(self, known: Known, carry: C) -> None:
        """Begin with a snapshot."""
        self._fold.restore(carry, known.fold)
        self.at, self.time, self.led, self.leader, self.rang = known.at, known.time, known.led, known.leader, known.rang
        self.digests.checked = known.checked
        self.sessions.restore(known.sessions, known.fold.most, self._fold.run)

    def interrupted(self) -> None:
        """The handler was interrupted. The fold leaves out its input, which stays in the stream, and ends."""
        self._fold.interrupted()
        self.over = Ending.INTERRUPTED


def _fits(inbox: str, session: str) -> bool:
    """Whether this is the inbox of the session. Otherwise one client could direct answers to the inbox of another."""
    return inbox.rpartition(".")[2] == session
