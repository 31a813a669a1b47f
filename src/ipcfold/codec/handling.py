"""Handlers of values instead of messages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import isawaitable
from operator import is_
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, final, overload

import attrs
from returns.result import Failure, Success

from ipcfold.codec.coding import Codec, Undecodable, encoded
from ipcfold.continuation import Continuation, Handler, Leaving, Outcome, Waking
from ipcfold.effects import Answer, Defer, Effect, Effects, Tell, Ticket, Wake
from ipcfold.handlers.pending import Answered
from ipcfold.handlers.showing import Shown, showing
from ipcfold.message import Message
from ipcfold.peer import NOBODY, Peer
from ipcfold.result import cases

if TYPE_CHECKING:
    from ipcfold.aio import functions as aio  # a server without an event loop needs none of it

T = TypeVar("T")
C = TypeVar("C")
R = TypeVar("R")


@final
@attrs.frozen
class TypedTell(Generic[R]):
    """A `Tell` of values."""

    peer: Peer
    values: tuple[R, ...]
    after: int = 0


@final
@attrs.frozen
class TypedAnswer(Generic[R]):
    """An `Answer` of values."""

    ticket: Ticket
    values: tuple[R, ...]
    after: int = 0


TypedEffect: TypeAlias = Wake | Defer | TypedTell[R] | TypedAnswer[R]
"""An `Effect` of values."""


@final
@attrs.frozen
class TypedContinuation(Generic[C, R]):
    """The answer to one value: an immutable `Continuation` whose responses are values of type `R`.

    >>> answer = TypedContinuation[int, str](0).respond(1, "bye").stop(1)
    >>> answer.carry, answer.responses, answer.outcome
    (1, ('bye',), <Outcome.STOP: 'stop'>)
    """

    carry: C
    responses: tuple[R, ...] = ()
    outcome: Outcome = Outcome.CONTINUE
    peer: Peer = NOBODY
    now: float = 0.0
    number: int = 0
    _effects: Effects[TypedEffect[R]] | None = None

    @property
    def effects(self) -> tuple[TypedEffect[R], ...]:
        """See `Continuation.effects`."""
        return () if self._effects is None else tuple(self._effects)

    @property
    def ticket(self) -> Ticket:
        """See `Continuation.ticket`."""
        return Ticket(self.peer, self.number, self.now)

    def respond(self, carry: C, *values: R) -> TypedContinuation[C, R]:
        """Send these values to the client, after the earlier responses."""
        return attrs.evolve(self, carry=carry, responses=self.responses + values)

    def continue_(self, carry: C) -> TypedContinuation[C, R]:
        """Continue; the client gets the acknowledgement and the earlier responses."""
        return attrs.evolve(self, carry=carry, outcome=Outcome.CONTINUE)

    def close(self, carry: C) -> TypedContinuation[C, R]:
        """Close this client's connection after the responses are sent."""
        return attrs.evolve(self, carry=carry, outcome=Outcome.CLOSE)

    def stop(self, carry: C) -> TypedContinuation[C, R]:
        """End the server after the responses are sent; the carry is its result."""
        return attrs.evolve(self, carry=carry, outcome=Outcome.STOP)

    def tell(self, carry: C, peer: Peer, *values: R) -> TypedContinuation[C, R]:
        """See `Continuation.tell`."""
        return self._with(carry, TypedTell(peer, values, len(self.responses)))

    def defer(self, carry: C) -> TypedContinuation[C, R]:
        """See `Continuation.defer`."""
        return self._with(carry, Defer())

    def answer(self, carry: C, ticket: Ticket, *values: R) -> TypedContinuation[C, R]:
        """See `Continuation.answer`."""
        return self._with(carry, TypedAnswer(ticket, values, len(self.responses)))

    def wake(self, carry: C, at: float | None) -> TypedContinuation[C, R]:
        """See `Continuation.wake`."""
        return self._with(carry, Wake(at))

    def _with(self, carry: C, effect: TypedEffect[R]) -> TypedContinuation[C, R]:
        return attrs.evolve(self, carry=carry, effects=Effects(self._effects, effect))


_Typed: TypeAlias = TypedContinuation[C, R] | Awaitable[TypedContinuation[C, R]]

TypedHandler: TypeAlias = Callable[[T, TypedContinuation[C, R], C], TypedContinuation[C, R]]
"""A handler of values: `(value, continuation, carry) -> continuation`."""

TypedAsyncHandler: TypeAlias = Callable[[T, TypedContinuation[C, R], C], _Typed[C, R]]
"""A handler of values for a server of `ipcfold.aio`: a plain function or an `async def`."""


@overload
def typed(codec: Codec[T], handler: TypedHandler[T, C, T], *, undecodable: TypedHandler[Undecodable, C, T] | None = None) -> Handler[C]: ...
@overload
def typed(
    codec: Codec[T], handler: TypedHandler[T, C, R], *, responses: Codec[R], undecodable: TypedHandler[Undecodable, C, R] | None = None
) -> Handler[C]: ...
def typed(
    codec: Codec[T],
    handler: TypedHandler[T, C, Any],  # Any: the overloads declare the type of the responses
    *,
    responses: Codec[Any] | None = None,
    undecodable: TypedHandler[Undecodable, C, Any] | None = None,
) -> Handler[C]:
    """Make a handler of messages from a handler of values.

    `responses` is the codec of the responses, if they have another type than the messages. `undecodable` handles the
    error of a message that does not decode. By default the carry stays the same, and the client gets the error's text as
    `text/plain`. If a response does not encode, the server ends with `HandlerFailed`.

    >>> from ipcfold import fold
    >>> numbers = Codec(int)
    >>> add = typed(numbers, lambda number, continuation, total: continuation.respond(total + number, total + number))
    >>> folded = fold(add, 0, [numbers.encode(40).unwrap(), Message.text("two"), numbers.encode(2).unwrap()]).unwrap()
    >>> folded.carry, [response.content[:27] for response in folded.responses]
    (42, [b'40', b'the message does not decode', b'42'])
    """
    answers: Codec[Any] = codec if responses is None else responses
    return _handler(codec, handler, answers, undecodable)  # type: ignore[return-value]  # of a plain handler it makes a plain one


@overload
def typed_async(
    codec: Codec[T], handler: TypedAsyncHandler[T, C, T], *, undecodable: TypedAsyncHandler[Undecodable, C, T] | None = None
) -> aio.Handler[C]: ...
@overload
def typed_async(
    codec: Codec[T],
    handler: TypedAsyncHandler[T, C, R],
    *,
    responses: Codec[R],
    undecodable: TypedAsyncHandler[Undecodable, C, R] | None = None,
) -> aio.Handler[C]: ...
def typed_async(
    codec: Codec[T],
    handler: TypedAsyncHandler[T, C, Any],  # Any: the overloads declare the type of the responses
    *,
    responses: Codec[Any] | None = None,
    undecodable: TypedAsyncHandler[Undecodable, C, Any] | None = None,
) -> aio.Handler[C]:
    """`typed` for a server of `ipcfold.aio`: the handler of values, and `undecodable`, may be an `async def`.

    >>> import asyncio
    >>> numbers = Codec(int)
    >>> async def add(number, continuation, total):
    ...     return continuation.respond(total + number, total + number)
    >>> pending = typed_async(numbers, add)(numbers.encode(2).unwrap(), Continuation(40), 40)
    >>> async def main():
    ...     return (await pending).carry
    >>> asyncio.run(main())
    42
    """
    return _handler(codec, handler, codec if responses is None else responses, undecodable)


def _handler(
    codec: Codec[T],
    handler: TypedAsyncHandler[T, C, Any],  # Any: as above
    answers: Codec[Any],
    undecodable: TypedAsyncHandler[Undecodable, C, Any] | None,
) -> aio.Handler[C]:
    def handle(message: Message, continuation: Continuation[C], carry: C) -> Answered[C]:
        start: TypedContinuation[C, Any] = _start(continuation)
        match cases(codec.decode(message)):
            case Success(value):
                return _answered(answers, handler(value, start, carry))
            case Failure(error):
                if undecodable is None:
                    return continuation.respond(carry, Message.text(str(error)))
                return _answered(answers, undecodable(error, start, carry))

    return showing(handle, Shown((codec,), (answers,)))


@overload
def typed_left(codec: Codec[R], left: Callable[[Peer, TypedContinuation[C, R], C], TypedContinuation[C, R]]) -> Leaving[C]: ...
@overload
def typed_left(codec: Codec[R], left: Callable[[Peer, TypedContinuation[C, R], C], _Typed[C, R]]) -> aio.Leaving[C]: ...
def typed_left(codec: Codec[R], left: Callable[[Peer, TypedContinuation[C, R], C], _Typed[C, R]]) -> aio.Leaving[C]:
    """Make a `left` of a server from one whose continuation takes values. `codec` is the one of the values that it tells."""

    def leave(peer: Peer, continuation: Continuation[C], carry: C) -> Answered[C]:
        start: TypedContinuation[C, R] = _start(continuation)
        return _answered(codec, left(peer, start, carry))

    return showing(leave, Shown(sent=(codec,)))


@overload
def typed_woken(codec: Codec[R], woken: Callable[[TypedContinuation[C, R], C], TypedContinuation[C, R]]) -> Waking[C]: ...
@overload
def typed_woken(codec: Codec[R], woken: Callable[[TypedContinuation[C, R], C], _Typed[C, R]]) -> aio.Waking[C]: ...
def typed_woken(codec: Codec[R], woken: Callable[[TypedContinuation[C, R], C], _Typed[C, R]]) -> aio.Waking[C]:
    """Make a `woken` of a server from one whose continuation takes values. `codec` is the one of the values that it tells."""

    def wake(continuation: Continuation[C], carry: C) -> Answered[C]:
        start: TypedContinuation[C, R] = _start(continuation)
        return _answered(codec, woken(start, carry))

    return showing(wake, Shown(sent=(codec,)))


def _answered(codec: Codec[R], answer: _Typed[C, R]) -> Answered[C]:
    if type(answer) is not TypedContinuation and isawaitable(answer):
        return _later(codec, answer)
    return _written(codec, answer)


async def _later(codec: Codec[R], pending: Awaitable[TypedContinuation[C, R]]) -> Continuation[C]:
    return _written(codec, await pending)


def _start(continuation: Continuation[C]) -> TypedContinuation[C, R]:
    return TypedContinuation(continuation.carry, peer=continuation.peer, now=continuation.now, number=continuation.number)


def _effects(codec: Codec[R], effects: Effects[TypedEffect[R]] | None) -> Effects[Effect] | None:
    written: Effects[Effect] | None = None
    last: tuple[R, ...] | None = None
    messages: tuple[Message, ...] = ()
    for effect in effects or ():
        if isinstance(effect, TypedTell | TypedAnswer) and (last is None or not _same(effect.values, last)):
            last, messages = effect.values, _messages(codec, effect.values)
        match effect:
            case TypedTell(peer, _, after):
                written = Effects(written, Tell(peer, messages, after))
            case TypedAnswer(ticket, _, after):
                written = Effects(written, Answer(ticket, messages, after))
            case Wake() | Defer():
                written = Effects(written, effect)
    return written


def _same(values: tuple[R, ...], others: tuple[R, ...]) -> bool:
    """Whether these are the same objects. A value is usually told to many clients, and encoded once."""
    return len(values) == len(others) and all(map(is_, values, others))


def _messages(codec: Codec[R], values: tuple[R, ...]) -> tuple[Message, ...]:
    match cases(encoded(codec, values)):
        case Success(messages):
            return messages
        case Failure(error):
            raise TypeError(str(error))  # the server reports it as any other exception of its handler


def _written(codec: Codec[R], answer: _Typed[C, R]) -> Continuation[C]:
    if type(answer) is not TypedContinuation:  # for handlers that no type checker has seen
        given = type(answer).__name__
        raise TypeError(
            f"the handler returned {given}, not a TypedContinuation: return what continuation.respond(...) or continue_(...) gives"
        )
    messages, effects = _messages(codec, answer.responses), _effects(codec, answer._effects)  # noqa: SLF001 - users see a tuple
    return Continuation(answer.carry, messages, answer.outcome, answer.peer, answer.now, answer.number, effects)
