"""What a steady client of any shell knows: the identities that it gives, its connection, and when it gives up.

A shell connects, and tries the verb with the connection. What it got says whether to try again.
"""

from __future__ import annotations

from typing import Final, Generic, Protocol, TypeAlias, TypeVar, final
from uuid import uuid4

from returns.maybe import Maybe, Nothing
from returns.result import Failure, Result, Success

from ipcfold.errors import AskError, ConnectError, ConnectionClosed, ConnectionDropped, ConnectionLost, Unacknowledged
from ipcfold.message import Message
from ipcfold.peer import Name
from ipcfold.result import cases

_DROPPED: Final = 3  # times in a row that a server drops the connection without an acknowledgement: it does not take that message

SteadyError: TypeAlias = ConnectError | AskError
"""The errors of a `Steady`."""


class _Connection(Protocol):
    """A connection of any shell."""

    @property
    def closed(self) -> bool: ...

    @property
    def epoch(self) -> Maybe[int]: ...


P = TypeVar("P", bound=_Connection)
T = TypeVar("T")
E = TypeVar("E", bound=AskError)


@final
class Effort:
    """A verb that is tried with one connection after another: what is still to be acknowledged, and until when it is tried."""

    __slots__ = ("_until", "messages")

    def __init__(self, messages: tuple[Message, ...], until: float | None = None) -> None:
        self.messages = messages
        """The messages that no server has acknowledged."""
        self._until = until

    def left(self, now: float) -> float | None:
        """The seconds for which to try on, `None` for ever."""
        return None if self._until is None else max(0.0, self._until - now)


class Steadiness(Generic[P]):
    """The base class of the steady clients. `P`: their connections."""

    def __init__(self, name: Name, timeout: float | None) -> None:
        """`IPC.steady` makes these. `timeout`: how many seconds each verb waits for a server, `None` for ever."""
        self._name = name
        self._timeout = timeout
        self._process: P | None = None
        self._identity = uuid4().hex
        self._count = 0
        self._dropped = 0

    @property
    def name(self) -> Name:
        """The name of the server."""
        return self._name

    @property
    def epoch(self) -> Maybe[int]:
        """When the fold of the server began that it is connected to; see `Process.epoch`. If that changes, the server began anew."""
        return Nothing if self._process is None else self._process.epoch

    def _effort(self, messages: tuple[Message, ...], timeout: float | None = None, now: float = 0.0) -> Effort:
        """A verb with these messages, which is tried for so many seconds from now on. A message without an identity gets one."""
        return Effort(tuple(map(self._identified, messages)), None if timeout is None else now + timeout)

    def _identified(self, message: Message) -> Message:
        if message.identity.value_or(None) is not None:
            return message
        self._count += 1
        return message.identified(f"{self._identity}-{self._count}")

    def _patience(self, left: float | None) -> float | None:
        """How many seconds to wait for a server, if so many are left of the verb's own timeout."""
        if left is None or self._timeout is None:
            return self._timeout if left is None else left
        return min(left, self._timeout)

    def _again(self, effort: Effort, process: P, result: Result[T, E]) -> bool:
        """Whether to try the verb with another connection, after this result of that one. A connection that has ended is given up.

        Of many verbs on one connection, the first one counts.
        """
        match cases(result):
            case Success():
                self._acknowledged(effort, len(effort.messages))
                return False
            case Failure(error):
                pass
        reason: object = error
        if isinstance(error, Unacknowledged):
            self._acknowledged(effort, error.acknowledged)
            reason = error.reason
        own = process is self._process
        if own and isinstance(reason, ConnectionDropped):
            self._dropped += 1
        if own and process.closed:
            self._process = None  # the verbs of others that still use it notice, too
        return isinstance(reason, ConnectionClosed | ConnectionLost | ConnectionDropped) and self._dropped < _DROPPED

    def _acknowledged(self, effort: Effort, count: int) -> None:
        """Note that a server has acknowledged so many messages of this verb."""
        if count:
            self._dropped = 0
            effort.messages = effort.messages[count:]
