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

import attrs
from returns.result import Failure, Result, Success

from ipcfold.continuation import Continuation, Outcome, continued
from ipcfold.core.judgement import Accepted, Sent, checked
from ipcfold.core.members import Members
from ipcfold.effects import Rescued, Ticket
from ipcfold.errors import HandlerFailed
from ipcfold.events import Ending, Folded, Reported, Stopping, Survived
from ipcfold.excuse import guard_of, instead
from ipcfold.inputs import Left, Woken
from ipcfold.message import Message
from ipcfold.peer import Name, Peer

C = TypeVar("C")
P = TypeVar("P")

_CONTINUE: Final = Outcome.CONTINUE
_STOP: Final = Outcome.STOP  # a variable, because a lookup in the enumeration costs more and each message needs one

Ask: TypeAlias = tuple[Message | Left | Woken, Continuation[C]]
"""The command to ask the handler for its continuation of an input. It is a plain pair for speed: each message makes one."""


Record: TypeAlias = Callable[[Message | Left | Woken, Continuation[C], Continuation[C]], object]
"""Takes an input, the continuation that the handler was called with, and its answer, which is valid."""


@final
@attrs.frozen
class FoldState:
    """What a fold knows in addition to its carry. Times are seconds since the epoch."""

    time: float = 0.0
    """Of the last input."""
    alarm: float | None = None
    most: int = 0
    """The largest number of a connection so far."""
    peers: tuple[Peer, ...] = ()
    """The clients that are there."""
    open: tuple[Ticket, ...] = ()
    """The messages whose answer is open."""
    began: float = 0.0
    """When its first server began; 0 if no server has."""


@final
class Fold(Generic[C, P]):
    """The fold over the messages of many peers; `prepare` makes their responses ready to send."""

    __slots__ = (
        "_alarm",
        "_carry",
        "_failed",
        "_left",
        "_mark",
        "_members",
        "_name",
        "_observed",
        "_offset",
        "_owed",
        "_prepare",
        "_record",
        "_report",
        "_skipped",
        "_time",
        "_timeless",
        "_timeout",
        "_woken",
        "asked",
        "began",
        "deadline",
        "ending",
        "failure",
        "instead",
        "rings",
        "run",
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
        self._record: Record[C] | None = None
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
        self.began = 0.0
        """When its first server began, in seconds since the epoch; 0 if that is this one, which has no log."""
        self.run = 0
        """Which run numbers the connections, if that is known: with a log, all its servers are one run."""
        self.failure: HandlerFailed[C] | None = None
        """The failure of the handler, if it has failed."""
        self._failed = False  # whether the handler or the log failed: no departure is asked for any more
        self._skipped = False  # whether the answer to a departure or an alarm is missing
        self.asked: Ask[C] | None = None
        """The input that the handler is working on, if there is one."""
        self.stopped = False
        """Whether the fold has ended; it asks for departures only."""
        self.ending = Ending.BROKEN
        """Why it has ended, if it has."""

    def clock(self, offset: float) -> None:
        """Note what the seconds since the epoch are more than those of the steady clock. Somebody may set the first."""
        self._offset = offset
        self.rings = inf if self.stopped else self._alarm - offset

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
            if self._failed:
                continue
            departed = Left(time, peer), Continuation(self._carry, (), _CONTINUE, peer, time)
            if self._left:
                self.asked = departed
                return departed
            if self._record is not None:
                self._record(departed[0], departed[1], departed[1])
        return None

    def alarm(self, time: float) -> Ask[C] | None:
        """Ring the alarm at this time, in seconds since the epoch, if one is set."""
        if self._alarm == inf or self.stopped:
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
        if self._record is not None:
            self._record(asked[0], asked[1], answer)
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
        """Check an answer, prepare its responses, and take its effects over. Returns the prepared responses before these."""
        effects = checked(answer, what, given)
        if effects is None:
            return self._prepare(answer.responses)
        accepted = Accepted.of(effects, answer.responses, what, given, self._members, self._prepare, self._mark, woken=self._woken)
        self.sent = accepted.sent
        if accepted.alarm is not None:
            self._alarm = accepted.alarm
            again = self._timeless and type(what) is Woken and self._alarm <= self._time
            self.rings = inf if self.stopped or again else self._alarm - self._offset
        if accepted.deferred is not None:
            self._members.defer(accepted.deferred)
        for ticket in accepted.closed:
            self._members.close(ticket)
        return accepted.head

    def failed(self, error: BaseException) -> None:
        """The handler failed: the fold keeps the carry before this input, and ends."""
        self._failed = True
        if self.asked is not None:
            self.failure = HandlerFailed(self._carry, self.asked[0], error)
        self.asked = None
        self.stop(Ending.FAILED)

    def interrupted(self) -> None:
        """The handler was interrupted: the fold leaves out its input, and ends without a failure."""
        self._skipped = self._skipped or not self._between
        self.asked = None
        self.stop(Ending.INTERRUPTED)

    def stop(self, ending: Ending) -> None:
        """End the fold. The handler may still answer its current input; the waiting messages are dropped, departures are not."""
        departures = [each for each in self.waiting if each[1] is None]
        self.waiting.clear()
        self.waiting.extend(departures)
        self.deadline = self.rings = inf
        if not self.stopped:
            self.stopped, self.ending = True, ending
            self._report(Stopping(self._name, ending))

    def tick(self, now: float) -> None:
        """Stop the fold if its timeout has passed. An alarm is no message."""
        if now >= self.deadline and not self.waiting and (self.asked is None or type(self.asked[0]) is Woken):
            self.stop(Ending.TIMED_OUT)

    @property
    def carry(self) -> C:
        """The carry so far."""
        return self._carry

    @property
    def state(self) -> FoldState | None:
        """What it knows in addition to its carry; `None` while an input is taken whose answer is not."""
        if self._failed or self._skipped or not self._between:
            return None
        members, alarm = self._members, None if self._alarm == inf else self._alarm
        return FoldState(self._time, alarm, members.most, members.peers, members.open, self.began)

    @property
    def _between(self) -> bool:
        return self.asked is None or isinstance(self.asked[0], Message)

    def restore(self, carry: C, state: FoldState) -> None:
        """Take over the carry and the state of another fold, before the first input."""
        self._carry, self._time = carry, state.time
        self._alarm = inf if state.alarm is None else state.alarm
        self.clock(self._offset)
        self._members.restore(state.peers, state.most, state.open)
        self.start(state.began)

    def start(self, now: float) -> None:
        """Note that a server starts, at that time in seconds since the epoch. The first one gives the fold its run; see `Peer.run`."""
        self.began = self.began or now
        self.run = self._members.run = int(self.began * 1e6)

    def resume(self) -> None:
        """Go on after the end of an earlier server."""
        self.stopped = False
        self.clock(self._offset)

    def begin(self, now: float, record: Record[C]) -> None:
        """Go on after an earlier server. The clients that it had are gone. `now`: by the steady clock.

        `record` gets each input that is folded from now on, with its answer.
        """
        self._record = record
        self.deadline = now + self._timeout
        self.resume()
        for peer in self._members.peers:
            self.depart(peer)

    def unlogged(self, carry: C) -> None:
        """The log failed: the fold goes back to this carry, which is in the log, and ends."""
        self._carry, self._failed, self.asked = carry, True, None
        self.stop(Ending.BROKEN)

    def result(self) -> Result[C, HandlerFailed[C]]:
        """The last carry, or the failure of the handler."""
        return Success(self._carry) if self.failure is None else Failure(self.failure)
