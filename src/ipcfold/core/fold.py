"""The fold: the carry, the next message for the handler, and when the fold ends. It handles no bytes, so a broker can drive it too.

The fold does not call the handler. `Fold.ask` returns one input, and the caller passes the answer to `answered` or
`failed`. The handler has one input at a time. At most one message of each peer waits, and the handler gets them in the
order of arrival. So the fold is fair to all peers. The departure of a peer waits behind its last message. An alarm does not
wait, because a busy server would otherwise ring it late. But the inputs that wait when an alarm was folded come before the next
one. So a `woken` that always asks to be woken at once keeps nobody else from the handler.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf
from typing import Final, Generic, TypeAlias, TypeVar, final

from returns.result import Failure, Result, Success

from ipcfold.continuation import Continuation, Outcome, continued
from ipcfold.core.members import Members
from ipcfold.effects import Answer, Defer, Effect, Effects, Rescued, Tell, Ticket, Wake
from ipcfold.errors import HandlerFailed
from ipcfold.events import Ending, Folded, Reported, Stopping, Survived
from ipcfold.excuse import guard_of, instead, no_continuation
from ipcfold.inputs import Left, Woken
from ipcfold.message import Message
from ipcfold.peer import Name, Peer

C = TypeVar("C")
P = TypeVar("P")

_NO_CLIENT: Final = (
    "a client that has left gets no responses and cannot be closed: use tell for the others, and continue_(...) or stop(...)",
    "an alarm has no client to respond to or to close: use tell, or answer for a message that was deferred",
)
_CONTINUE: Final = Outcome.CONTINUE
_STOP: Final = Outcome.STOP  # a variable, because a lookup in the enumeration costs more and each message needs one

Ask: TypeAlias = tuple[Message | Left | Woken, Continuation[C]]
"""The command to ask the handler for its continuation of an input. It is a plain pair for speed: each message makes one."""


Sent: TypeAlias = tuple[Peer, P, bool]
"""What a client gets in addition to the responses to its message, and whether it is an answer that it waits for."""


@final
class Fold(Generic[C, P]):
    """The fold over the messages of many peers; `prepare` makes their responses ready to send."""

    __slots__ = (
        "_alarm",
        "_carry",
        "_left",
        "_mark",
        "_members",
        "_name",
        "_observed",
        "_offset",
        "_owed",
        "_prepare",
        "_report",
        "_time",
        "_timeless",
        "_timeout",
        "_woken",
        "asked",
        "deadline",
        "failure",
        "instead",
        "rings",
        "sent",
        "stopped",
        "waiting",
    )

    def __init__(
        self,
        carry: C,
        *,
        name: Name,
        timeout: float | None,
        prepare: Callable[[tuple[Message, ...]], P],
        mark: Callable[[tuple[Message, ...], int], P] | None = None,
        now: float,
        report: Callable[[Reported], object] = lambda _: None,
        observed: bool = False,
        left: bool = False,
        woken: bool = False,
        timeless: bool = False,
    ) -> None:
        """`timeout`: the fold stops after so many seconds without a message. `prepare` raises for responses that cannot be sent.
        `mark` does the same for messages that answer no message (0), or the message of that number, late.

        `report` gets the event `Stopping`, each `Survived`, and each `Folded` if it is `observed`. `left` and `woken`: whether to
        ask for departures and alarms. `timeless`: whether no time passes by itself. Then an alarm that `woken` asks for at once
        would ring for ever, so it waits for the next call of `clock`.
        """
        self._name = name
        self._prepare = prepare
        self._mark = mark or (lambda messages, _: prepare(messages))
        self._members = Members()
        self.sent: list[Sent[P]] = []
        """What the last valid answer sends in addition to its responses; the caller empties it."""
        self._report = report
        self._observed = observed
        self.instead: Continuation[C] | None = None
        """What the fold has taken instead of the last answer, if that was not valid and rescued."""
        self._carry = carry
        self._timeout = inf if timeout is None else timeout
        self.deadline = now + self._timeout
        """The time at which the caller has to call `tick`; infinite if there is none."""
        self.waiting: deque[tuple[Peer, Message | None, int]] = deque()
        """The messages that wait for the handler, with their numbers on their connections; `None` is a departure."""
        self._left = left
        self._woken = woken
        self._timeless = timeless
        self._owed = 0  # how many of the waiting inputs come before the next alarm
        self._offset = 0.0  # what the seconds since the epoch are more than those of the steady clock
        self._time = 0.0  # of the last input, in seconds since the epoch
        self._alarm = inf  # when to ring, in seconds since the epoch
        self.rings = inf
        """The same in seconds of the steady clock: `ask` gives an alarm from then on."""
        self.failure: HandlerFailed[C] | None = None
        """The failure of the handler, if it has failed."""
        self.asked: Ask[C] | None = None
        """The input that the handler is working on, if there is one."""
        self.stopped = False
        """Whether the fold has ended; it asks for departures only."""

    def clock(self, offset: float) -> None:
        """Note what the seconds since the epoch are more than those of the steady clock. Somebody may set the first."""
        self._offset = offset
        self.rings = self._alarm - offset

    def offer(self, peer: Peer, message: Message, number: int = 0) -> None:
        """Add the peer's next message, which has this number. The caller does so only after the answer to the one before it."""
        self.waiting.append((peer, message, number))

    def join(self, peer: Peer) -> None:
        """Note that the peer is there, and can be told something."""
        self._members.join(peer)

    def depart(self, peer: Peer) -> None:
        """Note that the peer is gone. It offers no more messages."""
        self.waiting.append((peer, None, 0))

    def ask(self, now: float = 0.0) -> Ask[C] | None:
        """The input for the handler, if there is one. It stays the same until it is answered. `now`: by the steady clock."""
        asked = self.asked
        if asked is not None:
            return asked
        time = now + self._offset
        if now >= self.rings and not self._owed:
            self.asked = asked = self.alarm(time)
            return asked
        if time > self._time:
            self._time = time
        else:
            time = self._time
        waiting = self.waiting
        while waiting:
            peer, message, number = waiting.popleft()
            if self._owed:
                self._owed -= 1
            if message is not None:  # the usual case
                if self.stopped:
                    continue
                self.asked = asked = message, continued(self._carry, (), _CONTINUE, peer, (time, number, None))
                return asked
            self._members.leave(peer)
            if self._left and self.failure is None:
                self.asked = asked = Left(time, peer), Continuation(self._carry, (), _CONTINUE, peer, time)
                return asked
        return None

    def alarm(self, time: float) -> Ask[C] | None:
        """Ring the alarm at this time, in seconds since the epoch, if one is set."""
        if self._alarm == inf:
            return None
        self._time = time = max(self._time, time, self._alarm)  # a sum of times is not exact
        self._alarm = self.rings = inf
        return Woken(time), Continuation(self._carry, now=time)

    @property
    def due(self) -> float:
        """When the alarm is to ring, in seconds since the epoch; infinite for never."""
        return self._alarm

    def take(self, time: float) -> Ask[C] | None:
        """Take the next message or departure at this time, in seconds since the epoch, even if an alarm is set for an earlier one."""
        rings, self.rings = self.rings, inf
        asked = self.ask(time - self._offset)
        self.rings = rings
        return asked

    def answered(self, answer: Continuation[C], now: float, since: float) -> P | None:
        """Take the handler's answer, and return its prepared responses; `None` if the answer is not valid.

        `since`: when the handler was called.
        """
        asked, self.instead = self.asked, None
        if asked is None:  # the handler was interrupted meanwhile
            return None
        try:
            try:
                prepared = self._judged(answer, asked[0], asked[1])
            except Exception as wrong:  # noqa: BLE001 - as below
                answer, prepared = self._rescued(answer, asked, wrong)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - an invalid answer can raise anything, as the handler can
            BaseException.with_traceback(error, None)  # the traceback would point to this module, not to the handler
            self.failed(error)
            return None
        self.asked = None
        self._carry = answer.carry
        what = asked[0]
        if type(what) is Message:
            self.deadline = now + self._timeout
            if self._observed:
                took, effects = now - since, answer.effects
                self._report(Folded(self._name, answer.peer, what, answer.responses, answer.outcome, took, self._time, effects))
        if answer.outcome is _STOP:
            self.stop(Ending.STOPPED)
        if type(what) is not Message:
            if type(what) is Woken:
                self._owed = len(self.waiting)
            for effect in answer.effects:
                if isinstance(effect, Rescued):
                    self._report(Survived(self._name, what, effect.error))
        return prepared

    def _rescued(self, answer: Continuation[C], asked: Ask[C], error: Exception) -> tuple[Continuation[C], P]:
        """What is taken instead of a wrong answer, and its prepared responses. Raises the error if the answer is not rescued."""
        while (guard := guard_of(answer)) is not None:
            errors = (*guard.errors, error.with_traceback(None))
            answer = instead(asked[1], asked[1].carry, guard.excuse, errors)
            try:
                prepared = self._judged(answer, asked[0], asked[1])
            except Exception as wrong:  # noqa: BLE001 - as above
                error = wrong
            else:
                self.instead = answer
                return answer, prepared
        raise error

    def _judged(self, answer: Continuation[C], what: Message | Left | Woken, given: Continuation[C]) -> P:
        """Check an answer and prepare its responses. The answer can be any object, so each step may raise anything.

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
            return self._prepare(responses)
        effects: object = answer._given[2]  # noqa: SLF001 - users see them as a tuple
        if effects is None:
            return self._prepare(responses)
        if type(effects) is not Effects:
            raise TypeError(f"effects must be what the methods of a continuation make, not {type(effects).__name__}")
        return self._accept(effects, responses, what, given)

    def _accept(self, effects: Effects[Effect], responses: tuple[Message, ...], what: Message | Left | Woken, given: Continuation[C]) -> P:
        """Check the effects of an answer, and take them over if all of them are valid. Returns the prepared responses before them.

        The client of the message gets what it is told between its responses, in the order of the calls.
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
                    alarm = self._checked(effect)
                    continue
                case Rescued():
                    continue
                case Defer():
                    if not isinstance(what, Message):
                        raise TypeError("only the answer to a message can be deferred")
                    deferred = given.ticket
                    continue
                case Tell(peer=peer):
                    late, there = 0, self._members.has(peer)
                case Answer(ticket=ticket):
                    there = self._members.takes(ticket, closed, deferred)
                    peer, late = ticket.peer, ticket.number
                    closed.add(ticket)
                case _:
                    raise TypeError(f"effects must be what the methods of a continuation make, not {type(effect).__name__}")
            if late or effect.messages != messages:  # a message is usually told to many
                messages, prepared = None if late else effect.messages, self._mark(effect.messages, late)
            if peer == given.peer and head is None:
                head, done = self._prepare(responses[: effect.after]), effect.after
            elif peer == given.peer and done < effect.after:
                sent.append((peer, self._prepare(responses[done : effect.after]), True))
                done = effect.after
            if there and effect.messages:
                sent.append((peer, prepared, late > 0))
        if head is None:
            head = self._prepare(responses)
        elif done < len(responses):
            sent.append((given.peer, self._prepare(responses[done:]), True))
        self.sent = sent
        if alarm is not None:
            self._alarm = alarm
            again = self._timeless and type(what) is Woken and alarm <= self._time
            self.rings = inf if self.stopped or again else alarm - self._offset
        if deferred is not None:
            self._members.defer(deferred)
        for ticket in closed:
            self._members.close(ticket)
        return head

    def _checked(self, effect: Wake) -> float:
        """The time of the alarm; infinite for none. So an infinite time is never, as `None` is."""
        at: object = effect.at
        if at is None:
            return inf
        if not self._woken:
            raise TypeError("wake asks for a call of woken, but the server has none: give it as server(carry, handler, woken=...)")
        if not isinstance(at, int | float) or type(at) is bool:
            raise TypeError(f"wake wants seconds since the epoch, or None, not {type(at).__name__}: give it continuation.now + seconds")
        if not -inf <= at <= inf:
            raise TypeError("wake wants seconds since the epoch, or None, not a NaN: give it continuation.now + seconds")
        return float(at)  # raises for an integer beyond every float

    def failed(self, error: BaseException) -> None:
        """The handler failed: the fold keeps the carry before this input, and ends."""
        if self.asked is not None:
            self.failure = HandlerFailed(self._carry, self.asked[0], error)
        self.asked = None
        self.stop(Ending.FAILED)

    def interrupted(self) -> None:
        """The handler was interrupted: the fold leaves out its input, and ends without a failure."""
        self.asked = None
        self.stop(Ending.INTERRUPTED)

    def stop(self, ending: Ending) -> None:
        """End the fold. The handler may still answer its current input; the waiting messages are dropped, departures are not."""
        departures = [each for each in self.waiting if each[1] is None]
        self.waiting.clear()
        self.waiting.extend(departures)
        self.deadline = self._alarm = self.rings = inf
        if not self.stopped:
            self.stopped = True
            self._report(Stopping(self._name, ending))

    def tick(self, now: float) -> None:
        """Stop the fold if its timeout has passed. An alarm is no message."""
        if now >= self.deadline and not self.waiting and (self.asked is None or type(self.asked[0]) is Woken):
            self.stop(Ending.TIMED_OUT)

    def result(self) -> Result[C, HandlerFailed[C]]:
        """The last carry, or the failure of the handler."""
        return Success(self._carry) if self.failure is None else Failure(self.failure)
