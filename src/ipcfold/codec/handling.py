"""Handlers of values: the fold over messages, as one over what they mean."""

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
    """The answer to one value, immutable: a `Continuation` that responds with values of type `R`.

    >>> answer = TypedContinuation[int, str](0).respond(1, "bye").stop(1)
    >>> answer.carry, answer.responses, answer.outcome
    (1, ('bye',), <Outcome.STOP: 'stop'>)
    """

    carry: C
    responses: tuple[R, ...] = ()
    outcome: Outcome = Outcome.CONTINUE
    peer: Peer = NOBODY

    def respond(self, carry: C, *values: R) -> TypedContinuation[C, R]:
        """Send these values to the client, after those already said."""
        return TypedContinuation(carry, self.responses + values, self.outcome, self.peer)

    def continue_(self, carry: C) -> TypedContinuation[C, R]:
        """Go on; the client gets the acknowledgement and the responses said before."""
        return TypedContinuation(carry, self.responses, Outcome.CONTINUE, self.peer)

    def close(self, carry: C) -> TypedContinuation[C, R]:
        """Close this client's connection, once it has the responses."""
        return TypedContinuation(carry, self.responses, Outcome.CLOSE, self.peer)

    def stop(self, carry: C) -> TypedContinuation[C, R]:
        """End the server, once this client has the responses; the carry is its result."""
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
    handler: TypedHandler[T, C, Any],  # Any: the overloads say of which type responses are
    *,
    responses: Codec[Any] | None = None,
    undecodable: TypedHandler[Undecodable, C, Any] | None = None,
) -> Handler[C]:
    """A handler of messages from one of values.

    `responses` is their codec, if they are of another type than what comes. What does not decode goes to `undecodable`,
    a handler of that error; by default the carry stays and the error's text is the response, as `text/plain`, so that
    nobody who asks waits in vain. A response that does not encode is the handler's fault, as one over `limits.message`
    is: the server ends with `HandlerFailed`.

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
    if type(answer) is not TypedContinuation:  # types help those who check them, this helps the others
        raise TypeError(f"a handler returns what its continuation made, not {type(answer).__name__}")
    match cases(encoded(codec, answer.responses)):
        case Success(messages):
            return Continuation(answer.carry, messages, answer.outcome, answer.peer)
        case Failure(error):
            raise TypeError(str(error))  # the server takes it as whatever else its handler raises
