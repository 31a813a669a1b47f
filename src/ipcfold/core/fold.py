"""The fold: who may be asked next, the carry, and when it ends. It knows no bytes, so a broker can drive it too.

The handler is asked for, not called: `Fold.ask` hands out one message, and its answer comes back with `answered`
or `failed`. One message at a time; each peer has at most one waiting, and they are asked in the order they came,
which is what makes it fair.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Generic, TypeAlias, TypeVar, final

from returns.result import Failure, Result, Success

from ipcfold.continuation import Continuation, Outcome
from ipcfold.errors import HandlerFailed
from ipcfold.message import Message
from ipcfold.peer import Peer

C = TypeVar("C")
P = TypeVar("P")

_CONTINUE: Final = Outcome.CONTINUE
_STOP: Final = Outcome.STOP  # looking up a member of an enumeration costs more than a variable, and this is done for every message


Ask: TypeAlias = tuple[Message, Continuation[C]]
"""The command to ask the handler for its continuation of this message; a plain pair, as there is one a message."""


@final
class Fold(Generic[C, P]):
    """The fold over the messages of many peers, whose responses a wire prepares to be sent."""

    __slots__ = ("_carry", "_failure", "_last", "_prepare", "_timeout", "_waiting", "asked", "stopped")

    def __init__(self, carry: C, *, timeout: float | None, prepare: Callable[[tuple[Message, ...]], P], now: float) -> None:
        """`timeout`: seconds without a message after which to stop; `prepare` raises for responses that cannot be sent."""
        self._prepare = prepare
        self._carry = carry
        self._timeout = timeout
        self._last = now
        self._waiting: deque[tuple[Peer, Message]] = deque()
        self._failure: HandlerFailed[C] | None = None
        self.asked: Ask[C] | None = None
        """What the handler has now."""
        self.stopped = False
        """Whether it has ended; nothing is asked any more."""

    @property
    def deadline(self) -> float | None:
        """When `tick` is to be called, if ever."""
        if self._timeout is None or self.stopped:
            return None
        return self._last + self._timeout

    @property
    def ready(self) -> bool:
        """Whether there is a message to ask for."""
        return bool(self._waiting) and self.asked is None and not self.stopped

    def offer(self, peer: Peer, message: Message) -> None:
        """This peer's next message, once the one before it is answered."""
        self._waiting.append((peer, message))

    def ask(self) -> Ask[C] | None:
        """The next message to ask the handler for, if there is one and no other is being asked."""
        if self.stopped or self.asked is not None or not self._waiting:
            return None
        peer, message = self._waiting.popleft()
        self.asked = asked = (message, Continuation(self._carry, (), _CONTINUE, peer))
        return asked

    def answered(self, answer: Continuation[C], now: float) -> P | None:
        """The handler's answer to what was asked: its responses, prepared; `None` if it is no answer."""
        asked = self.asked
        if asked is None:
            return None
        try:
            prepared = self._judged(answer, asked[1].peer)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - as with what the handler itself raises
            self.failed(error.with_traceback(None))  # it would lead here, and not to the mistake
            return None
        self.asked = None
        self._carry = answer.carry
        self._last = now
        if answer.outcome is _STOP:
            self.stop()
        return prepared

    def _judged(self, answer: Continuation[C], peer: Peer) -> P:
        """The responses of an answer, prepared, if it is one: it can be anything, and so raise anything.

        Types help those who check them, this helps the others.
        """
        if type(answer) is not Continuation:
            raise TypeError(f"a handler returns what its continuation made, not {type(answer).__name__}")
        if answer.peer is not peer and answer.peer != peer:
            raise TypeError("a handler returns what its continuation made, not what that of another client did")
        responses: object = getattr(answer, "responses")  # noqa: B009 - compiled, `answer.responses` raises if it is none
        if type(responses) is not tuple:
            raise TypeError(f"responses are a tuple of messages, not {type(responses).__name__}")
        if type(answer.outcome) is not Outcome:
            raise TypeError(f"an outcome is an Outcome, not {type(answer.outcome).__name__}")
        return self._prepare(responses)

    def failed(self, error: BaseException) -> None:
        """The handler had no answer: the last good carry is kept, and the fold ends."""
        if self.asked is not None:
            self._failure = HandlerFailed(self._carry, self.asked[0], error)
        self.asked = None
        self.stop()

    def interrupted(self) -> None:
        """The handler was interrupted: its message is not folded, and the fold ends in good order."""
        self.asked = None
        self.stop()

    def stop(self) -> None:
        """End: a message being asked is still answered, those that wait are not asked."""
        self.stopped = True
        self._waiting.clear()

    def tick(self, now: float) -> None:
        """Time passed."""
        deadline = self.deadline
        if deadline is not None and now >= deadline and not self._waiting and self.asked is None:
            self.stop()

    def result(self) -> Result[C, HandlerFailed[C]]:
        """The last carry, or how the handler failed."""
        return Success(self._carry) if self._failure is None else Failure(self._failure)
