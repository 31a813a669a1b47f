"""The verbs of a client over one connection: greet, send, wait, ask, close; and how `IPC.wait` tries again.

A verb is a generator of steps. Each step yields the time until which to wait for the stream, or `None` to wait without a
limit. The wait is over when the stream is readable, or writable while the outbox has bytes. The shell waits, moves the
bytes that can be moved, and sends the time. The verb never waits itself, so every shell runs the same verbs.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from math import inf
from typing import Final, TypeAlias, TypeVar, final

import attrs
from returns.result import Failure, Result, Success

from ipcfold.core.client_connection import ClientConnection
from ipcfold.core.protocol import ClientState
from ipcfold.core.wire import RefusedError
from ipcfold.errors import (
    ConnectError,
    ConnectionClosed,
    ConnectionDropped,
    ConnectionLost,
    ConnectionRefused,
    Ended,
    GreetError,
    Interrupted,
    MessageTooLarge,
    NoServer,
    ProcessClosed,
    ProtocolBroken,
    ReservedMessage,
    TimedOut,
    Unacknowledged,
    UnreadExceeded,
)
from ipcfold.limits import Limits
from ipcfold.message import Message
from ipcfold.peer import Name

T = TypeVar("T")

Steps: TypeAlias = Generator[float | None, float, T]
"""A verb. It yields the time until which to wait, gets the present time, and returns its result."""

Sent: TypeAlias = Result[None, MessageTooLarge | ReservedMessage | ProcessClosed | Unacknowledged]
Waited: TypeAlias = Result[Message, Ended | ProcessClosed | TimedOut]
Asked: TypeAlias = Result[Message, MessageTooLarge | ReservedMessage | ProcessClosed | Unacknowledged | Ended | TimedOut]
Closed: TypeAlias = Result[None, Ended | TimedOut]
Greeted: TypeAlias = Result[None, GreetError]

_PAUSE: Final = 0.01  # seconds between two attempts to connect
_LONGEST_PAUSE: Final = 0.32  # seconds; the same, while the server goes on refusing
_AFRESH: Final = 0.25  # seconds after which everything is checked again, because nothing tells of some changes
_GLIMPSE: Final = 0.001  # seconds between two attempts at a new socket, whose server is about to listen
_NEW: Final = 0.05  # seconds for which a socket is new


def _done(result: T) -> Steps[T]:
    """A verb that has its result at once."""
    yield from ()
    return result


def _while(unfinished: Callable[[], bool], deadline: float) -> Steps[None]:
    """Wait while something is unfinished, until the deadline has passed."""
    now = -inf
    while now < deadline and unfinished():
        now = yield deadline


@final
class Verbs:
    """The verbs of one connection."""

    __slots__ = ("_connection", "_limits", "_lost", "_name", "closed")

    def __init__(
        self,
        name: Name,
        connection: ClientConnection,
        limits: Limits,
        lost: Callable[[], ConnectionLost | ConnectionDropped],
    ) -> None:
        """`lost` gives the error for a server whose stream ended."""
        self._name = name
        self._connection = connection
        self._limits = limits
        self._lost = lost
        self.closed = False
        """Whether this end has closed the connection."""

    def greet(self, timeout: float, deadline: float) -> Steps[Greeted]:
        """Wait for the greeting of the server until the deadline, which is in `timeout` seconds."""
        connection = self._connection
        yield from _while(lambda: connection.state is ClientState.CONNECTED, deadline)
        match connection.state:
            case ClientState.TALKING:
                return Success(None)
            case ClientState.BROKEN:
                return Failure(ProtocolBroken(self._name, connection.broken))
            case ClientState.CONNECTED:
                return Failure(TimedOut(self._name, timeout, "the greeting of"))
            case _:
                return Failure(ConnectionRefused(self._name))

    def send(self, messages: tuple[Message, ...]) -> Steps[Sent]:
        """Send the messages, and wait until the server has acknowledged all of them. Raises a `TypeError` for any other object."""
        if self.closed:
            return _done(Failure(ProcessClosed(self._name)))
        try:
            return self._send(self._connection.encode(messages), len(messages))
        except RefusedError as error:
            return _done(Failure(error.refusal))

    def _send(self, frames: list[bytes], count: int) -> Steps[Sent]:
        connection = self._connection
        before = connection.sent
        connection.send(frames, count)
        return (yield from self.acknowledged(before, count))

    def acknowledged(self, before: int, count: int) -> Steps[Sent]:
        """Wait until the server has acknowledged so many messages, which follow the first `before`."""
        connection = self._connection
        while connection.acknowledged < before + count and connection.open:
            yield None
        return self.sent(before, count)

    def sent(self, before: int, count: int) -> Sent:
        """The result for so many messages, which follow the first `before`, once nothing more can change it."""
        connection = self._connection
        if connection.acknowledged >= before + count:
            return Success(None)
        return Failure(Unacknowledged(max(0, connection.acknowledged - before), count, self._ended()))

    def wait(self, timeout: float | None, deadline: float | None) -> Steps[Waited]:
        """Wait for the next response until the deadline, which is in `timeout` seconds."""
        if self.closed:
            return Failure(ProcessClosed(self._name))
        connection = self._connection
        while (response := connection.response()) is None and connection.open:
            now = yield deadline
            if deadline is not None and now >= deadline:
                response = connection.response()
                break
        return self.waited(response, timeout)

    def waited(self, response: Message | None, timeout: float | None) -> Waited:
        """The result of a wait: the response, if one came before the deadline, which was in `timeout` seconds."""
        if response is not None:
            return Success(response)
        if self._connection.open:
            return Failure(TimedOut(self._name, timeout or 0.0, "a response of"))
        return Failure(self._ended())

    def ask(self, message: Message, timeout: float | None, deadline: float | None) -> Steps[Asked]:
        """Send the message, and wait for the first response to it until the deadline, which is in `timeout` seconds."""
        if self.closed:
            return _done(Failure(ProcessClosed(self._name)))
        try:
            return self._ask(self._connection.encode((message,)), timeout, deadline)
        except RefusedError as error:
            return _done(Failure(error.refusal))

    def _ask(self, frames: list[bytes], timeout: float | None, deadline: float | None) -> Steps[Asked]:
        connection = self._connection
        number = connection.sent + 1  # also if nothing can be sent any more: a response to another message is never taken for this one
        connection.send(frames, 1)
        return (yield from self.answered(number, timeout, deadline))

    def answered(self, number: int, timeout: float | None, deadline: float | None) -> Steps[Asked]:
        """Wait for the first response to the message of that number until the deadline, which is in `timeout` seconds."""
        connection, seen = self._connection, 0
        try:
            while (response := connection.response_to(number, seen)) is None and connection.open:
                seen = connection.unread
                now = yield deadline
                if deadline is not None and now >= deadline:
                    response = connection.response_to(number, seen)
                    break
        except GeneratorExit:  # an exception ended the wait
            connection.disown(number)
            raise
        return self.asked(number, response, timeout)

    def asked(self, number: int, response: Message | None, timeout: float | None) -> Asked:
        """The result for the message of that number: its response, if one came before the deadline, which was in `timeout` seconds."""
        connection = self._connection
        if response is not None:
            return Success(response)
        if connection.open:
            connection.disown(number)
            return Failure(TimedOut(self._name, timeout or 0.0, "the response of", int(connection.acknowledged >= number)))
        if connection.acknowledged >= number:
            return Failure(self._ended())
        return Failure(Unacknowledged(0, 1, self._ended()))

    def close(self, now: float) -> Steps[Closed]:
        """Ask the server to close, and wait for its confirmation for at most `limits.drain` seconds."""
        if self.closed:
            return Success(None)
        self._connection.close()
        return (yield from self.confirmed(now + self._limits.drain))

    def confirmed(self, deadline: float) -> Steps[Closed]:
        """Wait for the confirmation of the server until the deadline."""
        connection = self._connection
        yield from _while(lambda: connection.open, deadline)
        self.closed = True
        if connection.open:
            return Failure(TimedOut(self._name, self._limits.drain, "the confirmation to close of"))
        if connection.state is ClientState.CLOSED or connection.state is ClientState.DISMISSED:
            return Success(None)
        return Failure(self._ended())

    def _ended(self) -> Ended:
        """Why the connection is over."""
        connection = self._connection
        match connection.state:
            case ClientState.BROKEN:
                return ProtocolBroken(self._name, connection.broken)
            case ClientState.FLOODED:
                return UnreadExceeded(self._name, self._limits.unread)
            case ClientState.INTERRUPTED:
                return Interrupted(self._name)
            case ClientState.LOST:
                return self._lost()
            case _:
                return ConnectionClosed(self._name)


@final
@attrs.frozen
class Standing:
    """What stands at the path of a server at which nobody listens."""

    identity: tuple[int, int, int]
    """Another file, or the same one after a change, has another identity."""
    age: float = attrs.field(eq=False)
    """Seconds since the last change of the file."""


@final
@attrs.frozen
class Pause:
    """What to wait for before the next attempt to connect."""

    until: float
    """When to try again."""
    watch: bool
    """Whether to try at once if something else stands at the path."""


@final
class Attempts:
    """How `IPC.wait` tries again, while the server is not there, is full, or ends.

    A server binds its socket a moment before it listens, and nothing tells of that. So attempts at a new socket follow each
    other closely. Then they become rare, because a dead server has left that socket.
    """

    def __init__(self, name: Name, timeout: float | None, handshake: float, now: float) -> None:
        """`timeout`: of all attempts, in seconds; `handshake`: the longest timeout of one."""
        self._name = name
        self._timeout = timeout
        self._handshake = handshake
        self._deadline = inf if timeout is None else now + timeout
        self._pause = _PAUSE
        self._refused: ConnectionRefused | None = None
        self._looked = False
        self._standing: Standing | None = None
        self._since = now  # when the socket was new

    def timeout(self, now: float) -> float:
        """The timeout of an attempt that begins now, in seconds."""
        return min(self._handshake, max(0.0, self._deadline - now))

    def failed(self, error: ConnectError, standing: Standing | None, now: float) -> Result[Pause, ConnectError]:
        """The pause after an attempt that failed, with what stands at the path since; the error, if no further attempt makes sense."""
        match error:
            case NoServer():
                self._pause, self._refused = _PAUSE, None
                return self._again(self._glimpse(standing, now), now, watch=True)
            case ConnectionRefused():
                self._pause, self._refused = min(2 * self._pause, _LONGEST_PAUSE), error  # the server logs each refusal
            case TimedOut():
                pass
            case _:
                return Failure(error)
        return self._again(self._pause, now, watch=False)

    def _again(self, pause: float, now: float, *, watch: bool) -> Result[Pause, ConnectError]:
        if now >= self._deadline:  # the last attempt may have had no time for a refusal
            return Failure(self._refused or TimedOut(self._name, self._timeout or 0.0, "the server"))
        return Success(Pause(min(now + pause, self._deadline), watch))

    def _glimpse(self, standing: Standing | None, now: float) -> float:
        """The pause after an attempt at this socket, or at none."""
        if standing != self._standing:
            self._since = now if self._looked or standing is None else now - standing.age
            self._standing = standing
        self._looked = True
        return _AFRESH if standing is None or now - self._since >= _NEW else _GLIMPSE
