"""What a server does while it leads: it sends the items of all sessions, and notices who is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from time import monotonic
from typing import Any, Final, final

from returns.result import Failure, Success

from ipcfold.nats.broker import Broker, Unanswered
from ipcfold.nats.items import Behind, Failed, Note, Ping, State, Unknown, encode_items, encode_note
from ipcfold.nats.replica import Replica
from ipcfold.nats.sessions import Session
from ipcfold.result import cases

_MOST: Final = 2**18  # bytes; items of more are published in several messages
_BEAT: Final = 1.0  # seconds between two looks at a session
_AT_ONCE: Final = 64  # sessions that are looked at together
_GONE: Final = 1000  # sessions that one entry names, so that it stays small


@final
class Outbox:
    """Sends items and notes to the clients."""

    def __init__(self, broker: Broker, replica: Replica[Any]) -> None:  # Any: the carry has no part in it
        self._broker = broker
        self._replica = replica
        self._sent = dict[str, int]()  # the number of the last item that was sent, by sessions
        self.heard = dict[str, float]()
        """When something was sent to a session last."""

    def forget(self) -> None:
        """Send everything again that is not confirmed: it may be lost, or another server had sent it."""
        self._sent.clear()
        self.heard.clear()
        self._replica.due.touched.update((session.identifier, session) for session in self._replica.sessions if session.items)

    def discard(self) -> None:
        """Another server sends all this."""
        self._replica.due.clear()

    async def send(self) -> None:
        """Send what is new, and what clients ask for."""
        replica, due = self._replica, self._replica.due
        for identifier in due.again:
            self._sent.pop(identifier, None)
        for session in (due.touched | due.again if due.again else due.touched).values():
            await self._items(session)
        for identifier, token in due.synced.items():
            known = replica.sessions.get(identifier)
            if known is not None:
                await self.note(known, State(token, known.last, known.sent))
        for session in due.behind.values():
            await self.note(session, Behind())
        for inbox in due.unknown.values():
            await self._broker.publish(inbox, encode_note(Unknown()))
        self.discard()

    async def _items(self, session: Session) -> None:
        self.heard[session.identifier] = monotonic()
        number = max(self._sent.get(session.identifier, 0), session.got)
        first, gathered, size = number + 1, list[bytes](), 0
        for item in session.after(number):
            if gathered and size + len(item) > _MOST:
                await self._broker.publish(session.inbox, encode_items(first, gathered))
                first, gathered, size = first + len(gathered), [], 0
            gathered.append(item)
            size += len(item)
        if gathered:
            await self._broker.publish(session.inbox, encode_items(first, gathered))
        if session.ended is None:
            self._sent[session.identifier] = session.sent
        else:
            self._sent.pop(session.identifier, None)
            self.heard.pop(session.identifier, None)

    async def note(self, session: Session, note: Note) -> None:
        """Send a note."""
        await self._broker.publish(session.inbox, encode_note(note))

    async def failed(self) -> None:
        """Tell the client for whose message the handler failed."""
        failed, failure = self._replica.failed_for, self._replica.failure
        if failed is not None and failure is not None:
            session, number = failed
            await self.note(session, Failed(number, f"{type(failure.error).__name__}: {failure.error}"[:1000]))


@final
class Presence:
    """Notices which sessions have no client any more."""

    def __init__(self, broker: Broker, replica: Replica[Any], outbox: Outbox, absent: float, silent: float) -> None:  # Any: as above
        """`absent`: seconds after which a client without a connection is gone; `silent`: after which one is that does not answer."""
        self._broker = broker
        self._replica = replica
        self._outbox = outbox
        self._absent = absent
        self._silent = silent
        self._missing = dict[str, float]()  # since when
        self._quiet = dict[str, float]()
        self._due = 0.0

    def forget(self) -> None:
        """Begin anew."""
        self._missing.clear()
        self._quiet.clear()

    async def look(self) -> tuple[str, ...]:
        """The sessions that are gone."""
        now = monotonic()
        beat = min(_BEAT, max(self._absent / 4, 0.01))
        if now < self._due:
            return ()
        self._due = now + beat
        gone = list[str]()
        found = [each for each in self._replica.sessions.open if now - self._outbox.heard.get(each.identifier, 0.0) >= beat]
        for at in range(0, len(found), _AT_ONCE):
            for session, absent in zip(
                found[at : at + _AT_ONCE], await asyncio.gather(*map(self._looked, found[at : at + _AT_ONCE])), strict=True
            ):
                if absent:
                    gone.append(session.identifier)
        self._keep(each.identifier for each in self._replica.sessions.open)
        return tuple(gone[:_GONE])  # the others are found again

    def _keep(self, identifiers: Iterable[str]) -> None:
        known = set(identifiers)
        for table in (self._missing, self._quiet, self._outbox.heard):
            for identifier in table.keys() - known:
                del table[identifier]

    async def _looked(self, session: Session) -> bool:
        """Whether this session is gone."""
        identifier = session.identifier
        answer = await self._broker.request(session.inbox, encode_note(Ping()), 1.0)
        now = monotonic()
        match cases(answer):
            case Success():
                self._missing.pop(identifier, None)
                self._quiet.pop(identifier, None)
                return False
            case Failure(Unanswered.NOBODY):
                return now - self._missing.setdefault(identifier, now) >= self._absent
            case Failure(Unanswered.LATE) if self._broker.connected:
                return now - self._quiet.setdefault(identifier, now) >= self._silent
            case Failure():
                self.forget()  # nothing is known while there is no connection
                return False
