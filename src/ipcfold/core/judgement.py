"""Judges the answers of handlers: what is valid, and what the effects of a valid answer come to."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any, Final, Generic, TypeAlias, TypeVar, final

import attrs

from ipcfold.continuation import Continuation, Outcome
from ipcfold.core.members import Members
from ipcfold.effects import Answer, Defer, Effect, Effects, Rescued, Tell, Ticket, Wake
from ipcfold.excuse import no_continuation
from ipcfold.inputs import Left, Woken
from ipcfold.message import Message
from ipcfold.peer import Peer

P = TypeVar("P")

_NO_CLIENT: Final = (
    "a client that has left gets no responses and cannot be closed: use tell for the others, and continue_(...) or stop(...)",
    "an alarm has no client to respond to or to close: use tell, or answer for a message that was deferred",
)

Sent: TypeAlias = tuple[Peer, P, bool]
"""What a client gets in addition to the responses to its message, and whether it is an answer that it waits for."""


def checked(
    answer: Continuation[Any],  # Any: the carry has no part in it
    what: Message | Left | Woken,
    given: Continuation[Any],  # Any: as above
) -> Effects[Effect] | None:
    """Check an answer to this input, but not the effects, which it returns. The answer can be any object, so each step may raise anything.

    These checks are for handlers that no type checker has seen.
    """
    if type(answer) is not Continuation:
        raise no_continuation(answer)
    if answer.peer is not given.peer and answer.peer != given.peer:
        raise TypeError("the handler returned a Continuation that is not of this client: start from the one that it was called with")
    responses: object = answer.responses
    if type(responses) is not tuple:
        raise TypeError(f"responses must be a tuple of messages, not {type(responses).__name__}: use continuation.respond(...)")
    if type(answer.outcome) is not Outcome:
        kind = type(answer.outcome).__name__
        raise TypeError(f"the outcome must be an Outcome, not {kind}: use continue_(...), close(...) or stop(...)")
    if type(what) is not Message and (responses or answer.outcome is Outcome.CLOSE):
        raise TypeError(_NO_CLIENT[type(what) is Woken])
    if answer._given is given._given:  # noqa: SLF001 - the usual case: it was only passed on
        return None
    effects: object = answer._given[2]  # noqa: SLF001 - users see them as a tuple
    if effects is None or type(effects) is Effects:
        return effects
    raise TypeError(f"effects must be what the methods of a continuation make, not {type(effects).__name__}")


@final
@attrs.frozen
class Accepted(Generic[P]):
    """What the effects of a valid answer come to."""

    head: P
    """The prepared responses before the first message that is told to the same client."""
    sent: list[Sent[P]]
    """What comes after them."""
    alarm: float | None
    """When to ring, in seconds since the epoch; infinite for never, `None` if that stays as it is."""
    deferred: Ticket | None
    """The message, if its answer comes later."""
    closed: set[Ticket]
    """The messages that are answered now."""

    @classmethod
    def of(
        cls,
        effects: Effects[Effect],
        responses: tuple[Message, ...],
        what: Message | Left | Woken,
        given: Continuation[Any],  # Any: as above
        members: Members,
        prepare: Callable[[tuple[Message, ...]], P],
        mark: Callable[[tuple[Message, ...], int], P],
        *,
        woken: bool,
    ) -> Accepted[P]:
        """Check the effects of an answer with these responses. Nothing has changed if it raises.

        The client of the message gets what it is told between its responses, in the order of the calls. `prepare`, `mark`, `woken`: as
        for a `Fold`.
        """
        alarm: float | None = None
        closed = set[Ticket]()
        deferred: Ticket | None = None
        sent, done = list[Sent[P]](), 0
        head: P | None = None
        messages: object = None
        for effect in effects:
            match effect:
                case Wake():
                    alarm = _alarm(effect, woken=woken)
                    continue
                case Rescued():
                    continue
                case Defer():
                    if not isinstance(what, Message):
                        raise TypeError("only the answer to a message can be deferred")
                    deferred = given.ticket
                    continue
                case Tell(peer=peer):
                    late, there = 0, members.has(peer)
                case Answer(ticket=ticket):
                    there = members.takes(ticket, closed, deferred)
                    peer, late = ticket.peer, ticket.number
                    closed.add(ticket)
                case _:
                    raise TypeError(f"effects must be what the methods of a continuation make, not {type(effect).__name__}")
            if late or effect.messages != messages:  # a message is usually told to many
                messages, prepared = None if late else effect.messages, mark(effect.messages, late)
            if peer == given.peer and head is None:
                head, done = prepare(responses[: effect.after]), effect.after
            elif peer == given.peer and done < effect.after:
                sent.append((peer, prepare(responses[done : effect.after]), True))
                done = effect.after
            if there and effect.messages:
                sent.append((peer, prepared, late > 0))
        if head is None:
            head = prepare(responses)
        elif done < len(responses):
            sent.append((given.peer, prepare(responses[done:]), True))
        return Accepted(head, sent, alarm, deferred, closed)


def _alarm(effect: Wake, *, woken: bool) -> float:
    """The time of the alarm; infinite for none. So an infinite time is never, as `None` is."""
    at: object = effect.at
    if at is None:
        return inf
    if not woken:
        raise TypeError("wake asks for a call of woken, but the server has none: give it as server(carry, handler, woken=...)")
    if not isinstance(at, int | float) or type(at) is bool:
        raise TypeError(f"wake wants seconds since the epoch, or None, not {type(at).__name__}: give it continuation.now + seconds")
    if not -inf <= at <= inf:
        raise TypeError("wake wants seconds since the epoch, or None, not a NaN: give it continuation.now + seconds")
    return float(at)  # raises for an integer beyond every float
