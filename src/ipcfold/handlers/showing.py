"""How to show the messages of a handler. A transcript of `ipcfold.testing` shows the values of typed ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar, final

import attrs

from ipcfold.message import Message

F = TypeVar("F", bound=Callable[..., object])


class Shows(Protocol):
    """Shows the values of messages, as a codec does."""

    def shown(self, message: Message, /) -> str | None:
        """The text of the value; `None` for a message of another codec."""


@final
@attrs.frozen
class Shown:
    """How to show the messages of a handler: those that it is asked, and those that it sends."""

    asked: tuple[Shows, ...] = ()
    sent: tuple[Shows, ...] = ()

    @classmethod
    def of(cls, *functions: object) -> Shown:
        """How these functions of a server say that their messages are shown."""
        each = [found for function in functions if isinstance(found := getattr(function, "shown", None), cls)]
        return cls(tuple(codec for one in each for codec in one.asked), tuple(codec for one in each for codec in one.sent))


def showing(function: F, shown: Shown) -> F:
    """The same function, which says how to show its messages. Transcripts of `ipcfold.testing` use it."""
    vars(function)["shown"] = shown
    return function
