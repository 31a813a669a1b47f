"""Puts what clients get among the items of their sessions."""

from __future__ import annotations

from typing import Final, TypeAlias, final

from ipcfold.core.wire import Encoder
from ipcfold.limits import Limits
from ipcfold.message import Message
from ipcfold.nats.items import Item, Kind, began
from ipcfold.nats.sessions import Due, Session

Frames: TypeAlias = tuple[int, bytes]
"""Frames, and the number of the message that they answer late; 0 for none, and -1 if they answer the message at hand."""

_HERE: Final = -1


@final
class Post:
    """What clients are to get."""

    __slots__ = ("_encoder", "_unsent", "due")

    def __init__(self, limits: Limits) -> None:
        self._encoder = Encoder(limits)
        self._unsent = limits.unsent
        self.due = Due()
        """What is new, and what clients ask for."""

    def prepare(self, messages: tuple[Message, ...]) -> Frames:
        """The frames of responses. Raises for what cannot be sent."""
        return _HERE, b"".join(self._encoder.encode(messages)) if messages else b""

    def mark(self, messages: tuple[Message, ...], number: int) -> Frames:
        """The frames of messages that answer the message of this number late; 0 for none. Raises for what cannot be sent."""
        return number, b"".join(self._encoder.encode(messages))

    def _add(self, session: Session, item: Item) -> None:
        session.add(item)
        self.due.touched[session.identifier] = session

    def welcome(self, session: Session, time: float) -> None:
        """Begin a session with a fold that began at that time."""
        self._add(session, Item(Kind.WELCOME, session.peer.connection, began(time)))

    def acknowledge(self, session: Session) -> None:
        """Acknowledge what is folded."""
        if session.acknowledged < session.last:
            self._add(session, Item(Kind.FOLDED, session.last))

    def close(self, session: Session, reason: str) -> None:
        """End a session."""
        self.acknowledge(session)
        self._add(session, Item(Kind.CLOSED, session.last, reason.encode()))

    def respond(self, session: Session, frames: Frames, number: int) -> None:
        """Send the responses to message `number`, if there are any."""
        if frames[1]:
            self._add(session, Item(Kind.ANSWER, number, frames[1]))

    def send(self, session: Session, frames: Frames, number: int) -> bool:
        """Send what a client gets in addition to the responses to message `number`. Returns `False` if too much waits for the client."""
        late, data = frames
        if late == _HERE:
            self._add(session, Item(Kind.ANSWER, number, data))
        elif late:
            self._add(session, Item(Kind.LATE, late, data))
        elif session.size > self._unsent:
            return False
        else:
            self._add(session, Item(Kind.TOLD, 0, data))
        return True
