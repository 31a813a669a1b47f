"""What a server folds, and the answer of a handler: the next carry, the responses, and whether the connection and the server go on."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Final, Generic, TypeAlias, TypeVar, final

import attrs

from ipcfold.accelerator import accelerate
from ipcfold.draft import draft_of
from ipcfold.message import Message
from ipcfold.peer import NOBODY, Peer

if TYPE_CHECKING:
    from ipcfold.effects import Effect, Effects, Guard, Ticket  # a twelfth of the time to import this library, and clients use none

C = TypeVar("C")
T = TypeVar("T")


class Outcome(Enum):
    """What happens after the server has folded a message."""

    CONTINUE = "continue"
    """Continue with the next message."""
    CLOSE = "close"
    """Ask this client to close; the server continues with the others."""
    STOP = "stop"
    """Ask every client to close; the server returns the carry."""


Given: TypeAlias = tuple[float, int, "Effects[Effect] | None", *tuple["Guard", ...]]
"""What a continuation has in addition to what each message needs: the time, the number of the message, the effects, at most one guard.

It is one value, because most handlers only pass it on, and each slot of a continuation costs every message.
"""


def _compared(given: Given) -> Given:
    """Without the guard. So a rescued answer equals the same answer of the handler alone."""
    return given[:3]


@final
@attrs.frozen(init=False, repr=False)
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
    _given: Given = attrs.field(default=(0.0, 0, None), eq=_compared)

    def __init__(
        self,
        carry: C,
        responses: tuple[Message, ...] = (),
        outcome: Outcome = Outcome.CONTINUE,
        peer: Peer = NOBODY,
        now: float = 0.0,
        number: int = 0,
        effects: Effects[Effect] | None = None,
        *,
        given: Given | None = None,
    ) -> None:
        """`given` replaces `now`, `number` and `effects`, so that `attrs.evolve` works."""
        _set_carry(self, carry)
        _set_responses(self, responses)
        _set_outcome(self, outcome)
        _set_peer(self, peer)
        _set_given(self, (now, number, effects) if given is None else given)

    def __repr__(self) -> str:
        answer = f"carry={self.carry!r}, responses={self.responses!r}, outcome={self.outcome!r}, peer={self.peer!r}"
        return f"Continuation({answer}, now={self.now!r}, number={self.number!r}, effects={self._given[2]!r})"

    @property
    def now(self) -> float:
        """When the server took the message, in seconds since the epoch. It never decreases within a server."""
        return self._given[0]

    @property
    def number(self) -> int:
        """The number of the message on its connection; 1 is the first. It is 0 where there is no message."""
        return self._given[1]

    @property
    def effects(self) -> tuple[Effect, ...]:
        """What the answer asks for in addition to responses, in order."""
        effects = self._given[2]
        return () if effects is None else tuple(effects)

    @accelerate("respond")
    def respond(self, carry: C, *messages: Message) -> Continuation[C]:
        """Send these messages to the client, after the earlier responses."""
        return continued(carry, self.responses + messages, self.outcome, self.peer, self._given)

    def continue_(self, carry: C) -> Continuation[C]:
        """Continue; the client gets the acknowledgement and the earlier responses."""
        return self._ending(carry, Outcome.CONTINUE)

    def close(self, carry: C) -> Continuation[C]:
        """Close this client's connection after the responses are sent."""
        return self._ending(carry, Outcome.CLOSE)

    def stop(self, carry: C) -> Continuation[C]:
        """End the server after the responses are sent; the carry is its result."""
        return self._ending(carry, Outcome.STOP)

    @property
    def ticket(self) -> Ticket:
        """What `answer` needs later, if this message is deferred."""
        from ipcfold.effects import Ticket  # noqa: PLC0415 - see above

        return Ticket(self.peer, self.number, self.now)

    def tell(self, carry: C, peer: Peer, *messages: Message) -> Continuation[C]:
        """Send these messages to another client, which has not asked for them. If it is gone, they are dropped, and `left` tells so.

        A client with more than `limits.unsent` bytes of these that it has not read gets no more: the server ends its connection.
        """
        from ipcfold.effects import Tell  # noqa: PLC0415 - see above

        return self._with(carry, Tell(peer, messages, len(self.responses)))

    def defer(self, carry: C) -> Continuation[C]:
        """Leave the answer to this message open. The client gets the acknowledgement, and its `ask` goes on waiting.

        Keep `ticket` in the carry, and give it to `answer` later.
        """
        from ipcfold.effects import Defer  # noqa: PLC0415 - see above

        return self._with(carry, Defer())

    def answer(self, carry: C, ticket: Ticket, *messages: Message) -> Continuation[C]:
        """Send these messages as the answer to a message that was deferred. If its client is gone, they are dropped.

        A ticket is answered once.
        """
        from ipcfold.effects import Answer  # noqa: PLC0415 - see above

        return self._with(carry, Answer(ticket, messages, len(self.responses)))

    def wake(self, carry: C, at: float | None) -> Continuation[C]:
        """Ask for a call of `woken` at this time, in seconds since the epoch. It replaces an earlier one; `None` cancels it.

        A time in the past is at once. An infinite time is never. Anything but a number is a failure of the handler.

        >>> Continuation(0, now=5.0).wake(1, 5.0 + 30.0).effects
        (Wake(at=35.0),)
        """
        from ipcfold.effects import Wake  # noqa: PLC0415 - see above

        return self._with(carry, Wake(at))

    def carrying(self, carry: T) -> Continuation[T]:
        """The same answer with another carry, which may have another type.

        >>> Continuation(0).respond(1, Message.text("one")).carrying("text").carry
        'text'
        """
        return continued(carry, self.responses, self.outcome, self.peer, self._given)

    def rescued(self, carry: C, error: Exception) -> Continuation[C]:
        """Note that the handler raised this. It sends nothing, and an observer is told."""
        from ipcfold.effects import Rescued  # noqa: PLC0415 - see above

        return self._with(carry, Rescued(error))

    def _ending(self, carry: C, outcome: Outcome) -> Continuation[C]:
        return continued(carry, self.responses, outcome, self.peer, self._given)

    def _with(self, carry: C, effect: Effect) -> Continuation[C]:
        from ipcfold.effects import Effects  # noqa: PLC0415 - see above

        now, number, effects, *guard = self._given
        return continued(carry, self.responses, self.outcome, self.peer, (now, number, Effects(effects, effect), *guard))


_Draft: Final = draft_of(Continuation)
_set_carry = vars(Continuation)["carry"].__set__
_set_responses = vars(Continuation)["responses"].__set__
_set_outcome = vars(Continuation)["outcome"].__set__
_set_peer = vars(Continuation)["peer"].__set__
_set_given = vars(Continuation)["_given"].__set__


def continued(carry: C, responses: tuple[Message, ...], outcome: Outcome, peer: Peer, given: Given) -> Continuation[C]:
    """A continuation. Each message needs two of them, and to call the class costs more."""
    made = _Draft()
    made.carry, made.responses = carry, responses
    made.outcome, made.peer = outcome, peer
    made._given = given  # noqa: SLF001 - it is of the same class
    made.__class__ = Continuation
    continuation: Continuation[C] = made
    return continuation


Handler: TypeAlias = Callable[[Message, Continuation[C], C], Continuation[C]]
"""The function that a server folds over the messages: `(message, continuation, carry) -> continuation`."""

Leaving: TypeAlias = Callable[[Peer, Continuation[C], C], Continuation[C]]
"""The function that a server folds over the departures of clients: `(peer, continuation, carry) -> continuation`."""

Waking: TypeAlias = Callable[[Continuation[C], C], Continuation[C]]
"""The function that a server folds over its alarms: `(continuation, carry) -> continuation`."""
