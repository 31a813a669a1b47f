"""The fold: the carry, the next message for the handler, and when the fold ends. It handles no bytes, so a broker can drive it too.

The fold does not call the handler. `Fold.ask` returns one message, and the caller passes the answer to `answered` or
`failed`. The handler has one message at a time. At most one message of each peer waits, and the handler gets them in the
order of arrival. So the fold is fair to all peers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf
from typing import Final, Generic, TypeAlias, TypeVar, final

from returns.result import Failure, Result, Success

from ipcfold.continuation import Continuation, Outcome
from ipcfold.errors import HandlerFailed
from ipcfold.events import Ending, Event, Folded, Stopping
from ipcfold.message import Message
from ipcfold.peer import Name, Peer

C = TypeVar("C")
P = TypeVar("P")

_CONTINUE: Final = Outcome.CONTINUE
_STOP: Final = Outcome.STOP  # a variable, because a lookup in the enumeration costs more and each message needs one

Ask: TypeAlias = tuple[Message, Continuation[C]]
"""The command to ask the handler for its continuation of a message. It is a plain pair for speed: each message makes one."""


@final
class Fold(Generic[C, P]):
    """The fold over the messages of many peers; `prepare` makes their responses ready to send."""

    __slots__ = ("_carry", "_failure", "_name", "_observed", "_prepare", "_report", "_timeout", "asked", "deadline", "stopped", "waiting")

    def __init__(
        self,
        carry: C,
        *,
        name: Name,
        timeout: float | None,
        prepare: Callable[[tuple[Message, ...]], P],
        now: float,
        report: Callable[[Event], object] = lambda _: None,
        observed: bool = False,
    ) -> None:
        """`timeout`: the fold stops after so many seconds without a message. `prepare` raises for responses that cannot be sent.

        `report` gets the event `Stopping`, and each `Folded` if it is `observed`.
        """
        self._name = name
        self._prepare = prepare
        self._report = report
        self._observed = observed
        self._carry = carry
        self._timeout = inf if timeout is None else timeout
        self.deadline = now + self._timeout
        """The time at which the caller has to call `tick`; infinite if there is none."""
        self.waiting: deque[tuple[Peer, Message]] = deque()
        """The messages that wait for the handler."""
        self._failure: HandlerFailed[C] | None = None
        self.asked: Ask[C] | None = None
        """The message that the handler is working on, if there is one."""
        self.stopped = False
        """Whether the fold has ended; it asks for no more messages."""

    def offer(self, peer: Peer, message: Message) -> None:
        """Add the peer's next message. The caller does so only after the answer to the one before it."""
        self.waiting.append((peer, message))

    def ask(self) -> Ask[C] | None:
        """The message for the handler, if there is one. It stays the same until it is answered."""
        if self.asked is not None or self.stopped or not self.waiting:
            return self.asked
        peer, message = self.waiting.popleft()
        self.asked = asked = (message, Continuation(self._carry, (), _CONTINUE, peer))
        return asked

    def answered(self, answer: Continuation[C], now: float, since: float) -> P | None:
        """Take the handler's answer, and return its prepared responses; `None` if the answer is not valid.

        `since`: when the handler was called.
        """
        asked = self.asked
        if asked is None:  # the handler was interrupted meanwhile
            return None
        try:
            prepared = self._judged(answer, asked[1].peer)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - an invalid answer can raise anything, as the handler can
            BaseException.with_traceback(error, None)  # the traceback would point to this module, not to the handler
            self.failed(error)
            return None
        self.asked = None
        self._carry = answer.carry
        self.deadline = now + self._timeout
        if self._observed:
            self._report(Folded(self._name, answer.peer, asked[0], answer.responses, answer.outcome, now - since))
        if answer.outcome is _STOP:
            self.stop(Ending.STOPPED)
        return prepared

    def _judged(self, answer: Continuation[C], peer: Peer) -> P:
        """Check an answer and prepare its responses. The answer can be any object, so each step may raise anything.

        These checks are for handlers that no type checker has seen.
        """
        if type(answer) is not Continuation:
            given = type(answer).__name__
            raise TypeError(
                f"the handler returned {given}, not a Continuation: return what continuation.respond(...) or continue_(...) gives"
            )
        if answer.peer is not peer and answer.peer != peer:
            raise TypeError("the handler returned a Continuation that is not of this client: start from the one that it was called with")
        responses: object = answer.responses
        if type(responses) is not tuple:
            raise TypeError(f"responses must be a tuple of messages, not {type(responses).__name__}: use continuation.respond(...)")
        if type(answer.outcome) is not Outcome:
            given = type(answer.outcome).__name__
            raise TypeError(f"the outcome must be an Outcome, not {given}: use continue_(...), close(...) or stop(...)")
        return self._prepare(responses)

    def failed(self, error: BaseException) -> None:
        """The handler failed: the fold keeps the carry before this message, and ends."""
        if self.asked is not None:
            self._failure = HandlerFailed(self._carry, self.asked[0], error)
        self.asked = None
        self.stop(Ending.FAILED)

    def interrupted(self) -> None:
        """The handler was interrupted: the fold leaves out its message, and ends without a failure."""
        self.asked = None
        self.stop(Ending.INTERRUPTED)

    def stop(self, ending: Ending) -> None:
        """End the fold. The handler may still answer its current message; the waiting messages are dropped."""
        self.waiting.clear()
        self.deadline = inf
        if not self.stopped:
            self.stopped = True
            self._report(Stopping(self._name, ending))

    def tick(self, now: float) -> None:
        """Stop the fold if its timeout has passed."""
        if now >= self.deadline and not self.waiting and self.asked is None:
            self.stop(Ending.TIMED_OUT)

    def result(self) -> Result[C, HandlerFailed[C]]:
        """The last carry, or the failure of the handler."""
        return Success(self._carry) if self._failure is None else Failure(self._failure)
