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

_STOP: Final = Outcome.STOP  # looking up a member of an enumeration costs more than a variable, and this is done for every message

Refuse: TypeAlias = Callable[[Message], Exception | None]
"""What is wrong with sending this response, if anything: each wire has its own limits."""


def fault_of(answer: Continuation[C], asked: Continuation[C], refuse: Refuse) -> BaseException | None:
    """What is wrong with a handler's answer, if anything; types help those who check them, this helps the others.

    An answer can be anything, so it is asked for nothing but its type; whatever is raised by the rest is its fault, too.
    """
    try:
        if type(answer) is not Continuation:
            return TypeError(f"a handler returns what its continuation made, not {type(answer).__name__}")
        if answer.peer is not asked.peer and answer.peer != asked.peer:
            return TypeError("a handler returns what its continuation made, not what that of another client did")
        responses: object = getattr(answer, "responses")  # noqa: B009 - compiled, `answer.responses` raises if it is none
        if type(responses) is not tuple:
            return TypeError(f"responses are a tuple of messages, not {type(responses).__name__}")
        if type(answer.outcome) is not Outcome:
            return TypeError(f"an outcome is an Outcome, not {type(answer.outcome).__name__}")
        for response in responses:
            if (fault := refuse(response)) is not None:
                return fault
    except BaseException as error:  # noqa: BLE001 - as with what the handler itself raises
        return error
    return None


Ask: TypeAlias = tuple[Message, Continuation[C]]
"""The command to ask the handler for its continuation of this message; a plain pair, as there is one a message."""


@final
class Fold(Generic[C]):
    """The fold over the messages of many peers."""

    __slots__ = ("_asked", "_carry", "_failure", "_last", "_refuse", "_timeout", "_waiting", "stopped")

    def __init__(self, carry: C, *, timeout: float | None, refuse: Refuse, now: float) -> None:
        """`timeout`: seconds without a message after which to stop."""
        self._refuse = refuse
        self._carry = carry
        self._timeout = timeout
        self._last = now
        self._waiting: deque[tuple[Peer, Message]] = deque()
        self._asked: Ask[C] | None = None
        self._failure: HandlerFailed[C] | None = None
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
        return bool(self._waiting) and self._asked is None and not self.stopped

    @property
    def asked(self) -> Peer | None:
        """The peer whose message the handler has now."""
        return None if self._asked is None else self._asked[1].peer

    def offer(self, peer: Peer, message: Message) -> None:
        """This peer's next message, once the one before it is answered."""
        self._waiting.append((peer, message))

    def ask(self) -> Ask[C] | None:
        """The next message to ask the handler for, if there is one and no other is being asked."""
        if self.stopped or self._asked is not None or not self._waiting:
            return None
        peer, message = self._waiting.popleft()
        self._asked = asked = (message, Continuation(self._carry, peer=peer))
        return asked

    def answered(self, continuation: Continuation[C], *, now: float) -> bool:
        """The handler's answer to what was asked; whether it is one."""
        asked = self._asked
        if asked is None:
            return False
        fault = fault_of(continuation, asked[1], self._refuse)
        if fault is not None:
            self.failed(fault)
            return False
        self._asked = None
        self._carry = continuation.carry
        self._last = now
        if continuation.outcome is _STOP:
            self.stop()
        return True

    def failed(self, error: BaseException) -> None:
        """The handler had no answer: the last good carry is kept, and the fold ends."""
        if self._asked is not None:
            self._failure = HandlerFailed(self._carry, self._asked[0], error)
        self._asked = None
        self.stop()

    def interrupted(self) -> None:
        """The handler was interrupted: its message is not folded, and the fold ends in good order."""
        self._asked = None
        self.stop()

    def stop(self) -> None:
        """End: a message being asked is still answered, those that wait are not asked."""
        self.stopped = True
        self._waiting.clear()

    def tick(self, now: float) -> None:
        """Time passed."""
        deadline = self.deadline
        if deadline is not None and now >= deadline and not self._waiting and self._asked is None:
            self.stop()

    def result(self) -> Result[C, HandlerFailed[C]]:
        """The last carry, or how the handler failed."""
        return Success(self._carry) if self._failure is None else Failure(self._failure)
