"""What the items that arrive mean for the tasks of a client."""

from __future__ import annotations

from typing import TypeAlias, final

import attrs

from ipcfold.message import Message


@final
@attrs.frozen
class Answered:
    """The first response to the message of this number came, which somebody asked for."""

    number: int
    message: Message


@final
@attrs.frozen
class Folded:
    """The messages up to this number are folded."""

    number: int


@final
@attrs.frozen
class Arrived:
    """A message came that nobody asked for. It stands in `unread`."""


@final
@attrs.frozen
class Resend:
    """Messages that were lost are to be published again, or the window is open: there is something in `outgoing`."""


@final
@attrs.frozen
class Over:
    """The session is over. `ended` says why."""


Event: TypeAlias = Answered | Folded | Arrived | Resend | Over
