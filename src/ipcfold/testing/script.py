"""The steps of a script: actions of clients, failures of clients, and time.

The script names its clients. A client connects at the first step that names it. It has one connection. Once that has ended,
further steps of the client do nothing, as calls of a closed `Process` do.
"""

from __future__ import annotations

from math import inf
from typing import TypeAlias, final

import attrs

from ipcfold.message import Message


def _passes(_: object, __: attrs.Attribute[float], seconds: float) -> None:
    if not 0 <= seconds < inf:
        raise ValueError(f"time cannot elapse by {seconds} seconds: give a finite number that is not negative")


@final
@attrs.frozen
class Connect:
    """A client connects."""

    client: str


@final
@attrs.frozen(init=False)
class Send:
    """A client sends these messages at once."""

    client: str
    messages: tuple[Message, ...]

    def __init__(self, client: str, *messages: Message) -> None:
        object.__setattr__(self, "client", client)  # the class is frozen
        object.__setattr__(self, "messages", messages)


@final
@attrs.frozen
class Close:
    """A client closes in good order."""

    client: str


@final
@attrs.frozen
class Kill:
    """A client dies. The last `lost` bytes that it wrote and the server did not read are lost, so a part of a frame may remain."""

    client: str
    lost: int = attrs.field(default=0, validator=attrs.validators.ge(0))


@final
@attrs.frozen
class Write:
    """A client writes these bytes, valid or not."""

    client: str
    data: bytes


@final
@attrs.frozen
class Hold:
    """From now on nothing arrives between the server and this client, in both directions."""

    client: str


@final
@attrs.frozen
class Release:
    """The bytes of a client that is held arrive."""

    client: str


@final
@attrs.frozen
class Elapse:
    """Time passes, in seconds."""

    seconds: float = attrs.field(validator=_passes)


@final
@attrs.frozen
class Shutdown:
    """The server gets a signal to end."""


ClientStep: TypeAlias = Connect | Send | Close | Kill | Write | Hold | Release
"""A step of one client."""

Step: TypeAlias = ClientStep | Elapse | Shutdown
"""A step of a script. Everything that can arrive does so before the next step."""
