"""The steps of a script: what clients do, what happens to them, and time.

A client is named by whoever writes the script, connects at the first step that names it, and is one connection: once it is
gone, further steps of it do nothing, as a `Process` that is over would.
"""

from __future__ import annotations

from math import inf
from typing import TypeAlias, final

import attrs

from ipcfold.message import Message


def _passes(_: object, __: attrs.Attribute[float], seconds: float) -> None:
    if not 0 <= seconds < inf:
        raise ValueError(f"time goes on, and not for ever: {seconds} are no seconds to elapse")


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
        object.__setattr__(self, "client", client)  # it is frozen
        object.__setattr__(self, "messages", messages)


@final
@attrs.frozen
class Close:
    """A client closes, in good order."""

    client: str


@final
@attrs.frozen
class Kill:
    """A client dies: of what it had written and the server not read, the last so many bytes never were (half a frame may remain)."""

    client: str
    lost: int = attrs.field(default=0, validator=attrs.validators.ge(0))


@final
@attrs.frozen
class Write:
    """A client writes these bytes, whatever they are."""

    client: str
    data: bytes


@final
@attrs.frozen
class Hold:
    """Nothing of a client arrives any more, on either side."""

    client: str


@final
@attrs.frozen
class Release:
    """What was held arrives."""

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
"""What a client does, or what happens to it."""

Step: TypeAlias = ClientStep | Elapse | Shutdown
"""One thing that happens; whatever can arrive then does, before the next."""
