"""Handlers that fold a message once, however often a client repeats it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar, final, overload

import attrs

from ipcfold.continuation import Continuation, Handler, Leaving, Waking, continued
from ipcfold.effects import Answer, Defer, Effect, Effects, Ticket
from ipcfold.handlers.pending import Answered, then
from ipcfold.handlers.showing import Shown, showing
from ipcfold.message import Message
from ipcfold.peer import Peer

if TYPE_CHECKING:
    from ipcfold.aio import functions as aio  # a server without an event loop needs none of it

C = TypeVar("C")

_Key: TypeAlias = tuple[int, str]


@final
@attrs.frozen
class Open:
    """An answer that is still open under `once`."""

    ticket: Ticket
    """What the handler answers."""
    repeated: tuple[Ticket, ...] = ()
    """The repetitions of its message, which get the same answer."""


@final
@attrs.frozen
class Remembered(Generic[C]):
    """The carry of a server with `once`: its own carry, and the responses to the messages that it has folded."""

    carry: C
    responses: Mapping[_Key, tuple[Message, ...]] = attrs.field(factory=dict)
    """By the user who sent the message, and its identity; the oldest first."""
    open: Mapping[_Key, Open] = attrs.field(factory=dict)
    """Those of them whose answer was deferred, and is still to come."""


@overload
def once(handler: Handler[C], remember: int = 1000) -> Handler[Remembered[C]]: ...
@overload
def once(handler: aio.Handler[C], remember: int = 1000) -> aio.Handler[Remembered[C]]: ...
def once(handler: aio.Handler[C], remember: int = 1000) -> aio.Handler[Remembered[C]]:
    """Fold a message that has an identity once. A repetition gets the same responses again, and nothing else happens.

    A client repeats a message after it lost its connection, because it cannot know whether the message was folded. `remember`: for how many
    identities, the last ones. Each message with a new identity copies as many references. An identity counts for each user separately.

    If the answer was deferred, a repetition gets it, too: when it comes, or at once if it has come. So the handler answers a ticket also
    when its client has left. An identity whose answer is open is not forgotten, and does not count for `remember`. `once_left` and
    `once_woken` make the other functions of such a server.

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

    def folded_once(message: Message, continuation: Continuation[Remembered[C]], carry: Remembered[C]) -> Answered[Remembered[C]]:
        identity = message.identity.value_or(None)
        key = None if identity is None else (continuation.peer.uid, identity)
        if key is not None and key in carry.responses:
            return _repeated(key, continuation, carry)
        answer = handler(message, continuation.carrying(carry.carry), carry.carry)
        return then(answer, lambda answer: _forgotten(_kept(answer, carry, key, continuation.ticket), remember))

    return showing(folded_once, Shown.of(handler))


@overload
def once_left(left: Leaving[C]) -> Leaving[Remembered[C]]: ...
@overload
def once_left(left: aio.Leaving[C]) -> aio.Leaving[Remembered[C]]: ...
def once_left(left: aio.Leaving[C]) -> aio.Leaving[Remembered[C]]:
    """Make the `left` of a server whose handler is `once(...)`. It may answer what was deferred.

    >>> def tidy(peer, continuation, carry):
    ...     return continuation.continue_(carry - 1)
    >>> once_left(tidy)(Peer(1), Continuation(Remembered(3)), Remembered(3)).carry.carry
    2
    """

    def leave(peer: Peer, continuation: Continuation[Remembered[C]], carry: Remembered[C]) -> Answered[Remembered[C]]:
        others = {
            key: Open(each.ticket, tuple(ticket for ticket in each.repeated if ticket.peer != peer)) for key, each in carry.open.items()
        }
        remaining = Remembered(carry.carry, carry.responses, others)
        return then(left(peer, continuation.carrying(carry.carry), carry.carry), lambda answer: _kept(answer, remaining))

    return showing(leave, Shown.of(left))


@overload
def once_woken(woken: Waking[C]) -> Waking[Remembered[C]]: ...
@overload
def once_woken(woken: aio.Waking[C]) -> aio.Waking[Remembered[C]]: ...
def once_woken(woken: aio.Waking[C]) -> aio.Waking[Remembered[C]]:
    """Make the `woken` of a server whose handler is `once(...)`. It may answer what was deferred.

    >>> def tick(continuation, carry):
    ...     return continuation.continue_(carry + 1)
    >>> once_woken(tick)(Continuation(Remembered(3)), Remembered(3)).carry.carry
    4
    """

    def wake(continuation: Continuation[Remembered[C]], carry: Remembered[C]) -> Answered[Remembered[C]]:
        return then(woken(continuation.carrying(carry.carry), carry.carry), lambda answer: _kept(answer, carry))

    return showing(wake, Shown.of(woken))


def _repeated(key: _Key, continuation: Continuation[Remembered[C]], carry: Remembered[C]) -> Continuation[Remembered[C]]:
    """Answer a repetition, or let it wait with the first for the answer."""
    answer = continuation.respond(carry, *carry.responses[key])
    if key not in carry.open:
        return answer
    first = carry.open[key]
    waiting = Open(first.ticket, (*first.repeated, continuation.ticket))
    return answer.defer(Remembered(carry.carry, carry.responses, {**carry.open, key: waiting}))


def _kept(
    answer: Continuation[C], before: Remembered[C], key: _Key | None = None, ticket: Ticket | None = None
) -> Continuation[Remembered[C]]:
    """Remember this answer, and the late ones in it, which all repetitions get."""
    responses, waiting = before.responses, before.open
    if key is not None:
        responses = {**responses, key: answer.responses}
    effects: Effects[Effect] | None = None
    for effect in answer.effects:
        effects = Effects(effects, effect)
        if isinstance(effect, Defer) and key is not None and ticket is not None:
            waiting = {**waiting, key: Open(ticket)}
        elif isinstance(effect, Answer):
            found = next((each for each, opened in waiting.items() if opened.ticket == effect.ticket), None)
            if found is not None:
                responses = {**responses, found: responses[found] + effect.messages}
                for repeated in waiting[found].repeated:
                    effects = Effects(effects, Answer(repeated, effect.messages, effect.after))
                waiting = {each: opened for each, opened in waiting.items() if each != found}
    given = answer._given  # noqa: SLF001 - users do not see guards
    if effects is not None:
        now, number, _, *guard = given
        given = (now, number, effects, *guard)
    return continued(Remembered(answer.carry, responses, waiting), answer.responses, answer.outcome, answer.peer, given)


def _forgotten(answer: Continuation[Remembered[C]], remember: int) -> Continuation[Remembered[C]]:
    """Forget the oldest identities that are too many."""
    carry = answer.carry
    many = len(carry.responses) - len(carry.open) - remember
    if many <= 0:
        return answer
    old = set(islice((key for key in carry.responses if key not in carry.open), many))
    responses = {key: messages for key, messages in carry.responses.items() if key not in old}
    return answer.carrying(Remembered(carry.carry, responses, carry.open))
