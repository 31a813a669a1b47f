"""What a server tells the `observe` of its `IPC`: one frozen value an event, in the order they happen.

An observer is called on the server's thread, between messages: it must be quick, and whatever it raises is logged and goes
no further. `ipcfold.otel` is one.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TypeAlias, final

import attrs

from ipcfold.continuation import Outcome
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
    """How a client went."""

    CLOSED = "it closed"
    """It asked to close."""
    DISMISSED = "it was asked to close"
    """The handler closed it, or the server ended; it confirmed."""
    LOST = "its stream ended"
    """It went without closing: it died, or does not close."""
    DROPPED = "it was dropped"
    """It broke the protocol, went past a limit, or the system had no room for it."""


class Ending(Enum):
    """Why a server ends."""

    STOPPED = "the handler stopped it"
    SIGNALLED = "a signal came"
    TIMED_OUT = "no message came for the timeout"
    INTERRUPTED = "the handler was interrupted"
    FAILED = "the handler failed"


@final
@attrs.frozen
class Listening:
    """The name is taken and clients can connect."""

    name: Name


@final
@attrs.frozen
class Connected:
    """A client was let in."""

    name: Name
    peer: Peer


@final
@attrs.frozen
class Refused:
    """A client was turned away, for this reason."""

    name: Name
    peer: Peer
    reason: str


@final
@attrs.frozen
class Folded:
    """A message is in the carry; `duration`: seconds that the handler took."""

    name: Name
    peer: Peer
    message: Message
    responses: tuple[Message, ...]
    outcome: Outcome
    duration: float


@final
@attrs.frozen
class Disconnected:
    """A client is gone; `reason`: what it did wrong, where it was dropped for that."""

    name: Name
    peer: Peer
    departure: Departure
    reason: str = ""


@final
@attrs.frozen
class Stopping:
    """The name is withdrawn; clients are asked to close, and the carry is returned once they have."""

    name: Name
    ending: Ending


Event: TypeAlias = Listening | Connected | Refused | Folded | Disconnected | Stopping
"""All that an observer can be told."""

Observer: TypeAlias = Callable[[Event], object]
"""What `IPC(observe=...)` takes; what it returns is ignored."""
