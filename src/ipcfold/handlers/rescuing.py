"""Functions of a server that survive their own failures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TYPE_CHECKING, TypeVar, overload

from ipcfold.continuation import Continuation, Handler, Leaving, Waking
from ipcfold.effects import Excuse, Guard
from ipcfold.excuse import guarded, instead, no_continuation
from ipcfold.handlers.pending import Answered
from ipcfold.handlers.showing import Shown, showing
from ipcfold.message import Message
from ipcfold.peer import Peer

if TYPE_CHECKING:
    from ipcfold.aio import functions as aio  # a server without an event loop needs none of it

C = TypeVar("C")


@overload
def rescue(handler: Handler[C], answer: Callable[[Exception], Message] | Message) -> Handler[C]: ...
@overload
def rescue(handler: aio.Handler[C], answer: Callable[[Exception], Message] | Message) -> aio.Handler[C]: ...
def rescue(handler: aio.Handler[C], answer: Callable[[Exception], Message] | Message) -> aio.Handler[C]:
    """Answer a message for which the handler fails, and keep the carry before it. The server goes on.

    The handler fails if it raises, and if the server finds its answer wrong: it is no continuation, a response is too large, a ticket is
    not open. All that would end a server with `HandlerFailed` is rescued, except `KeyboardInterrupt`, `SystemExit` and other
    exceptions that are no `Exception`.

    `answer` is the response, or makes it of the exception. If it raises itself, or its message cannot be sent, the server closes the
    connection of this client, which would otherwise wait for ever. An observer finds the exceptions in `Folded.effects`.
    """

    def rescued(message: Message, continuation: Continuation[C], carry: C) -> Answered[C]:
        try:
            given = handler(message, continuation, carry)
        except Exception as error:  # noqa: BLE001 - that is its purpose
            return instead(continuation, carry, answer, (error,))
        return _guarded(given, continuation, carry, answer)

    return showing(rescued, Shown.of(handler))


@overload
def rescue_left(left: Leaving[C]) -> Leaving[C]: ...
@overload
def rescue_left(left: aio.Leaving[C]) -> aio.Leaving[C]: ...
def rescue_left(left: aio.Leaving[C]) -> aio.Leaving[C]:
    """Keep the carry if `left` fails, as `rescue` does for a handler. The server logs why it failed, and goes on.

    >>> def count(peer, continuation, carry):
    ...     return continuation.continue_(carry + {}[peer])
    >>> rescue_left(count)(Peer(1), Continuation(3), 3).carry
    3
    """

    def rescued(peer: Peer, continuation: Continuation[C], carry: C) -> Answered[C]:
        try:
            given = left(peer, continuation, carry)
        except Exception as error:  # noqa: BLE001 - that is its purpose
            return instead(continuation, carry, None, (error,))
        return _guarded(given, continuation, carry, None)

    return showing(rescued, Shown.of(left))


@overload
def rescue_woken(woken: Waking[C]) -> Waking[C]: ...
@overload
def rescue_woken(woken: aio.Waking[C]) -> aio.Waking[C]: ...
def rescue_woken(woken: aio.Waking[C]) -> aio.Waking[C]:
    """Keep the carry if `woken` fails, as `rescue` does for a handler. The server logs why it failed, and goes on.

    The alarm that rang is over, and none is set. So a `woken` that sets the next alarm itself rings no more until a message sets one.
    """

    def rescued(continuation: Continuation[C], carry: C) -> Answered[C]:
        try:
            given = woken(continuation, carry)
        except Exception as error:  # noqa: BLE001 - that is its purpose
            return instead(continuation, carry, None, (error,))
        return _guarded(given, continuation, carry, None)

    return showing(rescued, Shown.of(woken))


def _guarded(answer: Answered[C], continuation: Continuation[C], carry: C, excuse: Excuse | None) -> Answered[C]:
    """This answer, which the server rescues if it finds it wrong."""
    if type(answer) is Continuation:  # the usual case
        return guarded(answer, Guard(excuse))
    if isawaitable(answer):
        return _guarded_later(answer, continuation, carry, excuse)
    return instead(continuation, carry, excuse, (no_continuation(answer),))


async def _guarded_later(
    pending: Awaitable[Continuation[C]], continuation: Continuation[C], carry: C, excuse: Excuse | None
) -> Continuation[C]:
    try:
        answer = await pending
    except Exception as error:  # noqa: BLE001 - as for a plain function
        return instead(continuation, carry, excuse, (error,))
    if type(answer) is Continuation:
        return guarded(answer, Guard(excuse))
    return instead(continuation, carry, excuse, (no_continuation(answer),))
