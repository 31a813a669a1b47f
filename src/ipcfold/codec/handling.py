"""Handlers of values instead of messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeAlias, TypeVar, final, overload

import attrs
from returns.result import Failure, Success

from ipcfold.codec.coding import Codec, Undecodable, encoded
from ipcfold.continuation import Continuation, Handler, Outcome
from ipcfold.message import Message
from ipcfold.peer import NOBODY, Peer
from ipcfold.result import cases

T = TypeVar("T")
C = TypeVar("C")
R = TypeVar("R")


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

    def respond(self, carry: C, *values: R) -> TypedContinuation[C, R]:
        """Send these values to the client, after the earlier responses."""
        return TypedContinuation(carry, self.responses + values, self.outcome, self.peer)

    def continue_(self, carry: C) -> TypedContinuation[C, R]:
        """Continue; the client gets the acknowledgement and the earlier responses."""
        return TypedContinuation(carry, self.responses, Outcome.CONTINUE, self.peer)

    def close(self, carry: C) -> TypedContinuation[C, R]:
        """Close this client's connection after the responses are sent."""
        return TypedContinuation(carry, self.responses, Outcome.CLOSE, self.peer)

    def stop(self, carry: C) -> TypedContinuation[C, R]:
        """End the server after the responses are sent; the carry is its result."""
        return TypedContinuation(carry, self.responses, Outcome.STOP, self.peer)


TypedHandler: TypeAlias = Callable[[T, TypedContinuation[C, R], C], TypedContinuation[C, R]]
"""A handler of values: `(value, continuation, carry) -> continuation`."""


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

    def handle(message: Message, continuation: Continuation[C], carry: C) -> Continuation[C]:
        start: TypedContinuation[C, Any] = TypedContinuation(carry, peer=continuation.peer)
        match cases(codec.decode(message)):
            case Success(value):
                return _written(answers, handler(value, start, carry))
            case Failure(error):
                if undecodable is None:
                    return continuation.respond(carry, Message.text(str(error)))
                return _written(answers, undecodable(error, start, carry))

    return handle


def _written(codec: Codec[R], answer: TypedContinuation[C, R]) -> Continuation[C]:
    if type(answer) is not TypedContinuation:  # for handlers that no type checker has seen
        given = type(answer).__name__
        raise TypeError(
            f"the handler returned {given}, not a TypedContinuation: return what continuation.respond(...) or continue_(...) gives"
        )
    match cases(encoded(codec, answer.responses)):
        case Success(messages):
            return Continuation(answer.carry, messages, answer.outcome, answer.peer)
        case Failure(error):
            raise TypeError(str(error))  # the server reports it as any other exception of its handler
