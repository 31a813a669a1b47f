"""The events that a server reports to the `observe` of its `IPC`: one frozen value per event, in order.

The server calls the observer on its own thread, between messages, so an observer must be quick. The server logs whatever
the observer raises, and continues. `ipcfold.otel` has an observer.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TypeAlias, final

import attrs

from ipcfold.continuation import Outcome
from ipcfold.effects import Effect
from ipcfold.inputs import Left, Woken
from ipcfold.message import Message
from ipcfold.peer import Name, Peer

__all__ = [
    "Connected",
    "Departure",
    "Disconnected",
    "Ending",
    "Event",
    "Folded",
    "Listening",
    "Observer",
    "Refused",
    "Stopping",
]


class Departure(Enum):
    """How a connection ended."""

    CLOSED = "it closed"
    """The client asked to close."""
    DISMISSED = "it was asked to close"
    """The handler closed the connection, or the server ended, and the client confirmed."""
    LOST = "its stream ended"
    """The stream ended without a close: the client died, or does not close its connections."""
    DROPPED = "it was dropped"
    """The client broke the protocol or exceeded a limit, or the system had no resources for it."""


class Ending(Enum):
    """Why a server ends."""

    STOPPED = "the handler stopped it"
    SIGNALLED = "a signal came"
    TIMED_OUT = "no message came for the timeout"
    INTERRUPTED = "the handler was interrupted"
    FAILED = "the handler failed"
    BROKEN = "the system, the memory or other code on the server's thread failed"
    """The server closed everything at once, without asking its clients to close. Or its log failed."""


@final
@attrs.frozen
class Listening:
    """The server holds the name, and clients can connect."""

    name: Name


@final
@attrs.frozen
class Connected:
    """The server accepted a client."""

    name: Name
    peer: Peer


@final
@attrs.frozen
class Refused:
    """The server refused a client, for this reason."""

    name: Name
    peer: Peer
    reason: str


@final
@attrs.frozen
class Folded:
    """The server folded a message; `duration` is the time that the handler took, in seconds.

    `now` and `effects` are those of the continuation.
    """

    name: Name
    peer: Peer
    message: Message
    responses: tuple[Message, ...]
    outcome: Outcome
    duration: float
    now: float = attrs.field(default=0.0, eq=False)
    effects: tuple[Effect, ...] = ()


@final
@attrs.frozen
class Disconnected:
    """A connection ended; `reason` says what the client did wrong if the server dropped it for that."""

    name: Name
    peer: Peer
    departure: Departure
    reason: str = ""


@final
@attrs.frozen
class Stopping:
    """The server gave up its name and asked its clients to close; it returns the carry after that."""

    name: Name
    ending: Ending


@final
@attrs.frozen
class Survived:
    """A departure or an alarm whose function failed, and was rescued. Only the log gets it, because an observer hears of messages alone."""

    name: Name
    what: Left | Woken
    error: Exception


Event: TypeAlias = Listening | Connected | Refused | Folded | Disconnected | Stopping
"""All events."""

Reported: TypeAlias = Event | Survived
"""What the core reports to a shell."""

Observer: TypeAlias = Callable[[Event], object]
"""The type of `IPC(observe=...)`; the server ignores the returned value."""
