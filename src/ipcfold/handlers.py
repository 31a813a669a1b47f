"""Handlers made of handlers. Each is a pure function, so that it works in `fold`, `simulate` and every server, and they nest.

>>> from ipcfold import Message, fold
>>> def total(message, continuation, so_far):
...     return continuation.respond(so_far + int(message.content), Message.text("added"))
>>> kind = rescue(total, lambda error: Message.text(f"not added: {type(error).__name__}"))
>>> folded = fold(kind, 0, [Message.text("1"), Message.text("two"), Message.text("3")]).unwrap()
>>> folded.carry, [response.content for response in folded.responses]
(4, [b'added', b'not added: ValueError', b'added'])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeAlias, TypeVar, final

import attrs

from ipcfold.continuation import Continuation, Handler
from ipcfold.message import MediaType, Message

__all__ = ["Remembered", "once", "rescue", "route"]

C = TypeVar("C")

F = TypeVar("F", bound=Callable[..., object])

_Key: TypeAlias = tuple[int, str]


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


def rescue(handler: Handler[C], answer: Callable[[Exception], Message] | Message) -> Handler[C]:
    """Answer a message for which the handler raises, and keep the carry before it. The server goes on.

    `answer` is the response, or makes it of the exception. An observer finds the exception in `Folded.effects`. `KeyboardInterrupt`
    and `SystemExit` are not caught.
    """

    def rescued(message: Message, continuation: Continuation[C], carry: C) -> Continuation[C]:
        try:
            return handler(message, continuation, carry)
        except Exception as error:  # noqa: BLE001 - that is its purpose
            said = answer if isinstance(answer, Message) else answer(error)
            return continuation.respond(carry, said).rescued(carry, error)

    return showing(rescued, Shown.of(handler))


@final
@attrs.frozen
class Remembered(Generic[C]):
    """The carry of a server with `once`: its own carry, and the responses to the messages that it has folded."""

    carry: C
    responses: Mapping[_Key, tuple[Message, ...]] = attrs.field(factory=dict)
    """By the user who sent the message, and its identity; the oldest first."""


def once(handler: Handler[C], remember: int = 1000) -> Handler[Remembered[C]]:
    """Fold a message that has an identity once. A repetition gets the same responses again, and nothing else happens.

    A client repeats a message after it lost its connection, because it cannot know whether the message was folded. `remember`: for how many
    identities, the last ones. Each message with a new identity copies as many references. An identity counts for each user separately.
    An answer that was deferred is not repeated.

    >>> from ipcfold import fold
    >>> def count(message, continuation, counter):
    ...     return continuation.respond(counter + 1, Message.text(f"{counter + 1}"))
    >>> pay = Message.text("pay").identified("order 7")
    >>> folded = fold(once(count), Remembered(0), [pay, pay]).unwrap()
    >>> folded.carry.carry, [response.content for response in folded.responses]
    (1, [b'1', b'1'])
    """
    if remember < 1:
        raise ValueError(f"at least one identity must be remembered, not {remember}")

    def folded_once(message: Message, continuation: Continuation[Remembered[C]], carry: Remembered[C]) -> Continuation[Remembered[C]]:
        identity = message.identity.value_or(None)
        key = (continuation.peer.uid, identity or "")
        if identity is not None and key in carry.responses:
            return continuation.respond(carry, *carry.responses[key])
        answer = handler(message, continuation.carrying(carry.carry), carry.carry)
        responses = carry.responses
        if identity is not None:
            responses = {**responses, key: answer.responses}
            if len(responses) > remember:
                del responses[next(iter(responses))]
        return answer.carrying(Remembered(answer.carry, responses))

    return showing(folded_once, Shown.of(handler))


def route(handlers: Mapping[str | MediaType, Handler[C]], otherwise: Handler[C]) -> Handler[C]:
    """Give each message to the handler of its media type; to `otherwise` if there is none.

    A media type without parameters is for all messages of that type and subtype. One with parameters comes first, and is for exactly those.

    >>> from ipcfold import fold
    >>> def one(message, continuation, carry):
    ...     return continuation.continue_(carry + 1)
    >>> def ten(message, continuation, carry):
    ...     return continuation.continue_(carry + 10)
    >>> fold(route({"text/plain": one}, ten), 0, [Message.text("x"), Message.octets(b"x")]).unwrap().carry
    11
    """
    exact = dict[MediaType, Handler[C]]()
    kinds = dict[tuple[str, str], Handler[C]]()
    for key, handler in handlers.items():
        media_type = key if isinstance(key, MediaType) else MediaType.of(key).value_or(None)
        if media_type is None:
            raise ValueError(f"{key!r} is not a media type: write it as type/subtype")
        if media_type.parameters:
            exact[media_type] = handler
        else:
            kinds[media_type.type, media_type.subtype] = handler

    def routed(message: Message, continuation: Continuation[C], carry: C) -> Continuation[C]:
        media_type = message.media_type
        chosen = exact.get(media_type) if exact else None
        if chosen is None:
            chosen = kinds.get((media_type.type, media_type.subtype), otherwise)
        return chosen(message, continuation, carry)

    return showing(routed, Shown.of(*exact.values(), *kinds.values(), otherwise))
