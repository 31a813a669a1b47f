"""What a handler answers: the next carry, responses to the client, and what becomes of the connection and the server."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Generic, TypeAlias, TypeVar, final

import attrs

from ipcfold.message import Message
from ipcfold.peer import NOBODY, Peer

C = TypeVar("C")


class Outcome(Enum):
    """What happens after a message is folded."""

    CONTINUE = "continue"
    """Go on with the next message."""
    CLOSE = "close"
    """Ask this client to close; the server goes on with the others."""
    STOP = "stop"
    """Ask every client to close; the server returns the carry."""


@final
@attrs.frozen
class Continuation(Generic[C]):
    """The answer to one message, immutable: each method returns a new one, and they compose.

    Responses add up; of `continue_`, `close` and `stop` the last one said counts.

    >>> answer = Continuation(0).respond(1, Message.text("bye")).stop(1)
    >>> answer.carry, len(answer.responses), answer.outcome
    (1, 1, <Outcome.STOP: 'stop'>)
    """

    carry: C
    responses: tuple[Message, ...] = ()
    outcome: Outcome = Outcome.CONTINUE
    peer: Peer = NOBODY

    def __init__(self, carry: C, responses: tuple[Message, ...] = (), outcome: Outcome = Outcome.CONTINUE, peer: Peer = NOBODY) -> None:
        # By hand, as with a `Message`: two of these are made for each.
        _set_carry(self, carry)
        _set_responses(self, responses)
        _set_outcome(self, outcome)
        _set_peer(self, peer)

    def respond(self, carry: C, *messages: Message) -> Continuation[C]:
        """Send these messages to the client, after those already said."""
        return Continuation(carry, self.responses + messages, self.outcome, self.peer)

    def continue_(self, carry: C) -> Continuation[C]:
        """Go on; the client gets the acknowledgement and the responses said before."""
        return Continuation(carry, self.responses, Outcome.CONTINUE, self.peer)

    def close(self, carry: C) -> Continuation[C]:
        """Close this client's connection, once it has the responses."""
        return Continuation(carry, self.responses, Outcome.CLOSE, self.peer)

    def stop(self, carry: C) -> Continuation[C]:
        """End the server, once this client has the responses; the carry is its result."""
        return Continuation(carry, self.responses, Outcome.STOP, self.peer)


_set_carry = vars(Continuation)["carry"].__set__
_set_responses = vars(Continuation)["responses"].__set__
_set_outcome = vars(Continuation)["outcome"].__set__
_set_peer = vars(Continuation)["peer"].__set__

Handler: TypeAlias = Callable[[Message, Continuation[C], C], Continuation[C]]
"""The function that is folded over the messages: `(message, continuation, carry) -> continuation`."""
