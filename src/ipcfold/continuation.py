"""The answer of a handler: the next carry, the responses, and whether the connection and the server go on."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Generic, TypeAlias, TypeVar, final

import attrs

from ipcfold.accelerator import accelerate
from ipcfold.message import Message
from ipcfold.peer import NOBODY, Peer

C = TypeVar("C")


class Outcome(Enum):
    """What happens after the server has folded a message."""

    CONTINUE = "continue"
    """Continue with the next message."""
    CLOSE = "close"
    """Ask this client to close; the server continues with the others."""
    STOP = "stop"
    """Ask every client to close; the server returns the carry."""


@final
@attrs.frozen
class Continuation(Generic[C]):
    """The answer to one message. It is immutable: each method returns a new one, so that calls can be chained.

    Responses accumulate. Of `continue_`, `close` and `stop` the last call counts.

    >>> answer = Continuation(0).respond(1, Message.text("bye")).stop(1)
    >>> answer.carry, len(answer.responses), answer.outcome
    (1, 1, <Outcome.STOP: 'stop'>)
    """

    carry: C
    responses: tuple[Message, ...] = ()
    outcome: Outcome = Outcome.CONTINUE
    peer: Peer = NOBODY

    def __init__(self, carry: C, responses: tuple[Message, ...] = (), outcome: Outcome = Outcome.CONTINUE, peer: Peer = NOBODY) -> None:
        # Written by hand for speed, as with `Message`. Each message needs two of these.
        _set_carry(self, carry)
        _set_responses(self, responses)
        _set_outcome(self, outcome)
        _set_peer(self, peer)

    @accelerate("respond")
    def respond(self, carry: C, *messages: Message) -> Continuation[C]:
        """Send these messages to the client, after the earlier responses."""
        return Continuation(carry, self.responses + messages, self.outcome, self.peer)

    def continue_(self, carry: C) -> Continuation[C]:
        """Continue; the client gets the acknowledgement and the earlier responses."""
        return Continuation(carry, self.responses, Outcome.CONTINUE, self.peer)

    def close(self, carry: C) -> Continuation[C]:
        """Close this client's connection after the responses are sent."""
        return Continuation(carry, self.responses, Outcome.CLOSE, self.peer)

    def stop(self, carry: C) -> Continuation[C]:
        """End the server after the responses are sent; the carry is its result."""
        return Continuation(carry, self.responses, Outcome.STOP, self.peer)


_set_carry = vars(Continuation)["carry"].__set__
_set_responses = vars(Continuation)["responses"].__set__
_set_outcome = vars(Continuation)["outcome"].__set__
_set_peer = vars(Continuation)["peer"].__set__

Handler: TypeAlias = Callable[[Message, Continuation[C], C], Continuation[C]]
"""The function that a server folds over the messages: `(message, continuation, carry) -> continuation`."""
