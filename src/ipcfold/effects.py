"""What the answer of a handler asks for in addition to responses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeAlias, TypeVar, final

import attrs

from ipcfold.message import Message
from ipcfold.peer import Peer

T = TypeVar("T")


@final
@attrs.frozen
class Wake:
    """Call `woken` at this time, in seconds since the epoch; `None`: never."""

    at: float | None


@final
@attrs.frozen
class Ticket:
    """A message whose answer comes later: its client, its number on that connection, and when it was taken.

    It may stand in the carry. The time tells it from a ticket of another server, whose clients have the same numbers.
    """

    peer: Peer
    number: int
    taken: float = 0.0


@final
@attrs.frozen
class Defer:
    """The answer comes later."""


@final
@attrs.frozen
class Tell:
    """Send messages to a client that has not asked for them. The answer has `after` responses before them."""

    peer: Peer
    messages: tuple[Message, ...]
    after: int = 0


@final
@attrs.frozen
class Answer:
    """Send the answer that was left open. The answer at hand has `after` responses before it."""

    ticket: Ticket
    messages: tuple[Message, ...]
    after: int = 0


@final
@attrs.frozen
class Rescued:
    """The handler raised this, and a combinator made it this answer. It sends nothing; an observer finds it in `Folded.effects`."""

    error: Exception


Effect: TypeAlias = Wake | Defer | Tell | Answer | Rescued
"""What an answer asks for in addition to responses."""


Excuse: TypeAlias = Callable[[Exception], Message] | Message
"""The response to a message whose handler fails, or what makes it of the exception."""


@final
@attrs.frozen
class Guard:
    """What an answer of a handler carries if it is rescued: what the server answers instead, if it finds that answer wrong.

    It is no effect: nobody sees it.
    """

    excuse: Excuse | None
    """`None`: there is nobody to respond to."""
    errors: tuple[Exception, ...] = ()
    """Why the answers before this one are wrong."""


@final
@attrs.frozen(eq=False, repr=False)
class Effects(Generic[T]):
    """The effects of an answer: the last one, after those before it. So thousands of them are not copied at each call."""

    before: Effects[T] | None
    last: T

    def __iter__(self) -> Iterator[T]:
        found: list[T] = []
        each: Effects[T] | None = self
        while each is not None:
            found.append(each.last)
            each = each.before
        return reversed(found)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Effects) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))
