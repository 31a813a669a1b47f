"""Takes the messages that clients write to the stream: each once, in the order of their numbers."""

from __future__ import annotations

from collections import deque
from typing import Final, final

from ipcfold.core.wire import Decoder
from ipcfold.limits import Limits
from ipcfold.message import Message
from ipcfold.nats.entries import Burst, Part
from ipcfold.nats.sessions import Due, Session

_MOST: Final = 16  # times limits.unsent: so many bytes may wait for a client before its messages are not taken
_ALL: Final = 2**40  # frames; more than a burst has


@final
class Intake:
    """The messages of one entry, until they are folded."""

    __slots__ = ("_due", "_limits", "queue", "sender")

    def __init__(self, limits: Limits, due: Due) -> None:
        """`due`: what clients are to get."""
        self._limits = limits
        self._due = due
        self.queue = deque[tuple[Session, int, Message]]()
        """The messages with their numbers."""
        self.sender: Session | None = None
        """Whose messages they are."""

    def burst(self, session: Session, burst: Burst) -> str | None:
        """Take messages of a client. Returns why it is to be dropped, if it is."""
        if not self._takes(session, burst.first):
            return None
        decoder = Decoder(self._limits.message)
        decoder.feed(burst.frames)
        frames = decoder.frames(_ALL)
        messages = [frame for frame in frames if isinstance(frame, Message)]
        if len(messages) != len(frames) or decoder.buffered or decoder.large is not None:
            return "it sent bytes that are no messages"
        session.drop()
        for number, message in enumerate(messages, burst.first):
            if number > session.last:
                self.queue.append((session, number, message))
        if session.last >= burst.first + len(messages) - 1:  # it has been folded, so its items were lost
            self._due.again[session.identifier] = session
        self.sender = session
        return None

    def part(self, session: Session, part: Part) -> str | None:
        """Take a piece of a message, and the message with its last one. Returns the same as `burst`."""
        if part.index == 0:
            session.drop()
        if not self._takes(session, part.number) or part.number <= session.last or part.index != len(session.parts):
            return None
        session.parts.append(part.piece)
        session.stored += len(part.piece)
        if session.stored > self._limits.message + 2**17:  # the largest media type
            return f"a message is over the limit of {self._limits.message} bytes"
        return self.burst(session, Burst(part.number, part.got, b"".join(session.parts))) if part.last else None

    def _takes(self, session: Session, first: int) -> bool:
        """Whether messages from this number on can be taken: none is missing before them, and not too much waits for the client."""
        if first > session.last + 1 or session.size > _MOST * self._limits.unsent:
            self._due.behind[session.identifier] = session
            return False
        return True
