"""A handler that chooses another one by the media type of the message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias, TypeVar, overload

from ipcfold.continuation import Continuation, Handler
from ipcfold.handlers.pending import Answered
from ipcfold.handlers.showing import Shown, showing
from ipcfold.message import MediaType, Message, anonymous

if TYPE_CHECKING:
    from ipcfold.aio import functions as aio  # a server without an event loop needs none of it

C = TypeVar("C")
T = TypeVar("T")

_By: TypeAlias = Mapping[str, T] | Mapping[MediaType, T] | Mapping[str | MediaType, T]


# The key of a `Mapping` is invariant, so each kind of it has an overload.
@overload
def route(handlers: Mapping[str | MediaType, Handler[C]], otherwise: Handler[C]) -> Handler[C]: ...
@overload
def route(handlers: Mapping[str, Handler[C]], otherwise: Handler[C]) -> Handler[C]: ...
@overload
def route(handlers: Mapping[MediaType, Handler[C]], otherwise: Handler[C]) -> Handler[C]: ...
@overload
def route(handlers: Mapping[str | MediaType, aio.Handler[C]], otherwise: aio.Handler[C]) -> aio.Handler[C]: ...
@overload
def route(handlers: Mapping[str, aio.Handler[C]], otherwise: aio.Handler[C]) -> aio.Handler[C]: ...
@overload
def route(handlers: Mapping[MediaType, aio.Handler[C]], otherwise: aio.Handler[C]) -> aio.Handler[C]: ...
def route(handlers: _By[aio.Handler[C]], otherwise: aio.Handler[C]) -> aio.Handler[C]:
    """Give each message to the handler of its media type; to `otherwise` if there is none.

    A media type without parameters is for all messages of that type and subtype. One with parameters comes first, and is for exactly those.
    The identity of a message (`Message.identified`) is not compared.

    >>> from ipcfold import fold
    >>> def one(message, continuation, carry):
    ...     return continuation.continue_(carry + 1)
    >>> def ten(message, continuation, carry):
    ...     return continuation.continue_(carry + 10)
    >>> fold(route({"text/plain": one}, ten), 0, [Message.text("x"), Message.octets(b"x")]).unwrap().carry
    11
    """
    exact: dict[MediaType, aio.Handler[C]] = {}
    kinds: dict[tuple[str, str], aio.Handler[C]] = {}
    for key, handler in handlers.items():
        media_type = key if isinstance(key, MediaType) else MediaType.of(key).value_or(None)
        if media_type is None:
            raise ValueError(f"{key!r} is not a media type: write it as type/subtype")
        if media_type.parameters:
            exact[media_type] = handler
        else:
            kinds[media_type.type, media_type.subtype] = handler

    def routed(message: Message, continuation: Continuation[C], carry: C) -> Answered[C]:
        media_type = message.media_type
        chosen = exact.get(media_type, exact.get(anonymous(media_type))) if exact else None
        if chosen is None:
            chosen = kinds.get((media_type.type, media_type.subtype), otherwise)
        return chosen(message, continuation, carry)

    return showing(routed, Shown.of(*exact.values(), *kinds.values(), otherwise))
