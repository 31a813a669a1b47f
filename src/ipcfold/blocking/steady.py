"""A client that outlives connections and servers: it connects again, and sends again what was not acknowledged.

Each message has an identity, which stays the same. A server with `ipcfold.handlers.once` folds it once, however often it comes. If the
server has a log, that holds across its crashes and restarts, too.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, TypeAlias, final
from uuid import uuid4

from returns.result import Failure, Result, Success

from ipcfold.errors import (
    AskError,
    CloseError,
    ConnectError,
    ConnectionClosed,
    ConnectionDropped,
    ConnectionLost,
    Ended,
    ReceiveError,
    SendError,
    TimedOut,
    Unacknowledged,
)
from ipcfold.message import Message
from ipcfold.peer import Name
from ipcfold.result import cases

if TYPE_CHECKING:
    from ipcfold.blocking.client import Process

_DROPPED = 3  # times in a row that a server drops the connection without an acknowledgement: it does not take that message

SteadyError: TypeAlias = ConnectError | AskError
"""The errors of a `Steady`."""


@final
class Steady:
    """A client of the server of this name, whichever process that is. It connects when it is first used.

    >>> from tempfile import TemporaryDirectory
    >>> from ipcfold import IPC, Message, Name
    >>> from ipcfold.handlers import Remembered, once
    >>> def count(message, continuation, counter):
    ...     return continuation.respond(counter + 1, Message.text(str(counter + 1)))
    >>> with TemporaryDirectory() as directory, IPC(directory).steady(Name("counter")) as steady:
    ...     with IPC(directory).listen(Name("counter")).start(Remembered(0), once(count)):
    ...         first = steady.ask(Message.text("one"))
    ...     with IPC(directory).listen(Name("counter")).start(Remembered(10), once(count)):
    ...         second = steady.ask(Message.text("one"))
    >>> first.unwrap().content, second.unwrap().content
    (b'1', b'11')
    """

    def __init__(self, wait: Callable[[Name, float | None], Result[Process, ConnectError]], name: Name, timeout: float | None) -> None:
        """`IPC.steady` makes these."""
        self._wait = wait
        self._name = name
        self._timeout = timeout
        self._process: Process | None = None
        self._identity = uuid4().hex
        self._count = 0
        self._dropped = 0

    @property
    def name(self) -> Name:
        """The name of the server."""
        return self._name

    def send(self, *messages: Message) -> Result[Steady, ConnectError | SendError]:
        """Send these messages; success means that every one has been folded. A message without an identity gets one."""
        left = tuple(map(self._identified, messages))
        while True:
            match cases(self._connected()):
                case Failure(unreachable):
                    return Failure(unreachable)
                case Success(process):
                    pass
            match cases(process.send(*left)):
                case Success():
                    self._dropped = 0
                    return Success(self)
                case Failure(error):
                    if not isinstance(error, Unacknowledged) or not self._again(error.reason, error.acknowledged):
                        return Failure(error)
                    left = left[error.acknowledged :]

    def ask(self, message: Message, timeout: float | None = None) -> Result[Message, ConnectError | AskError]:
        """Send the message, and wait for its response; `timeout` in seconds for the response. The message gets an identity.

        It is sent again if the connection ends before the response comes. Then `once` gives the same response again.
        """
        message = self._identified(message)
        until = None if timeout is None else monotonic() + timeout
        while True:
            match cases(self._connected(until)):
                case Failure(unreachable):
                    return Failure(unreachable)
                case Success(process):
                    pass
            match cases(process.ask(message, None if until is None else max(0.0, until - monotonic()))):
                case Success(response):
                    self._dropped = 0
                    return Success(response)
                case Failure(error):
                    reason = error.reason if isinstance(error, Unacknowledged) else error
                    if not isinstance(reason, ConnectionClosed | ConnectionLost | ConnectionDropped) or not self._again(reason, 0):
                        return Failure(error)

    def wait(self, timeout: float | None = None) -> Result[Message, ConnectError | ReceiveError]:
        """The next message that the server tells, or response to `send`; `timeout` in seconds.

        What a server told while there was no connection is lost: ask for it.
        """
        until = None if timeout is None else monotonic() + timeout
        while True:
            match cases(self._connected(until)):
                case Failure(unreachable):
                    return Failure(unreachable)
                case Success(process):
                    pass
            match cases(process.wait(None if until is None else max(0.0, until - monotonic()))):
                case Success(message):
                    return Success(message)
                case Failure(error):
                    if not isinstance(error, ConnectionClosed | ConnectionLost | ConnectionDropped) or not self._again(error, 0):
                        return Failure(error)

    def close(self) -> Result[None, CloseError]:
        """Close the connection, if there is one."""
        process, self._process = self._process, None
        return Success(None) if process is None else process.close()

    def __enter__(self) -> Steady:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _identified(self, message: Message) -> Message:
        if message.identity.value_or(None) is not None:
            return message
        self._count += 1
        return message.identified(f"{self._identity}-{self._count}")

    def _connected(self, until: float | None = None) -> Result[Process, ConnectError]:
        """The connection, or a new one."""
        if self._process is not None:
            return Success(self._process)
        timeout = self._timeout
        if until is not None:
            left = max(0.0, until - monotonic())
            timeout = left if timeout is None else min(left, timeout)
        match cases(self._wait(self._name, timeout)):
            case Success(process):
                self._process = process
                return Success(process)
            case Failure(error):
                return Failure(error)

    def _again(self, reason: Ended | TimedOut, acknowledged: int) -> bool:
        """Give the connection up, which has ended. Returns whether to try another one."""
        process, self._process = self._process, None
        if process is not None:
            process.close()
        if acknowledged:
            self._dropped = 0
        if isinstance(reason, ConnectionDropped):
            self._dropped += 1
        return isinstance(reason, ConnectionClosed | ConnectionLost | ConnectionDropped) and self._dropped < _DROPPED
