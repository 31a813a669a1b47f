"""What a server folds: the messages and departures of its clients, and its alarms."""

from __future__ import annotations

from typing import TypeAlias, final

import attrs

from ipcfold.message import Message
from ipcfold.peer import Peer


@final
@attrs.frozen
class Came:
    """A message of this client came, at that time in seconds since the epoch."""

    now: float
    peer: Peer
    message: Message


@final
@attrs.frozen
class Left:
    """This client left, at that time in seconds since the epoch."""

    now: float
    peer: Peer


@final
@attrs.frozen
class Woken:
    """An alarm rang, at that time in seconds since the epoch."""

    now: float


Input: TypeAlias = Message | Came | Left | Woken
"""What a server folds. A plain message is one of a client that is not named, at a time that nobody noted."""
