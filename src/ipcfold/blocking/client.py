"""A connection to a server, as a program uses it: each verb returns a `Result`.

Nothing runs in the background: bytes move only while a verb runs.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import RLock
from time import monotonic
from types import TracebackType
from typing import Final, NoReturn, TypeVar, final
from weakref import WeakSet, ref

from returns.maybe import Some
from returns.result import Failure, Result, Success

from ipcfold.blocking.driver import Driver
from ipcfold.core.client_connection import State
from ipcfold.core.frame import RefusedError
from ipcfold.errors import (
    AskError,
    CloseError,
    ConnectError,
    ConnectionClosed,
    ConnectionDropped,
    ConnectionLost,
    ConnectionRefused,
    Ended,
    Interrupted,
    InUse,
    ProcessClosed,
    ProtocolBroken,
    ReceiveError,
    SendError,
    TimedOut,
    Unacknowledged,
    UnreadExceeded,
    UsedAfterFork,
)
from ipcfold.limits import Limits
from ipcfold.local.claim import holder_of
from ipcfold.message import Message
from ipcfold.peer import Name, Peer

A = TypeVar("A")
T = TypeVar("T")
E = TypeVar("E")

_connections: Final[WeakSet[Process]] = WeakSet()


class _User:
    """The in-use marker of a connection. The connection holds it weakly, so that an exception cannot leak it."""

    __slots__ = ("__weakref__",)


def _nobody() -> None:
    """The marker of a connection that is not in use, as a weak reference gives it."""


@final
class Process:
    """A connection to a server process: send messages, wait for responses, close.

    One thread at a time may use it, in the process that made it; another one gets an error. As a context manager it
    closes the connection at the end.
    """

    __slots__ = ("__weakref__", "_closed", "_driver", "_forked", "_guard", "_limits", "_name", "_owner", "_path", "_peer", "_user")

    def __init__(self, name: Name, peer: Peer, path: Path, driver: Driver, limits: Limits) -> None:
        """Made by `IPC.get` and `IPC.wait`."""
        self._driver = driver
        self._name = name
        self._peer = peer
        self._path = path
        self._limits = limits
        self._owner = os.getpid()
        self._forked = False  # a flag, because the kernel reuses process ids
        self._closed = False
        self._guard = RLock()  # reentrant, because a signal handler of the same thread may take it
        self._user: Callable[[], _User | None] = _nobody
        _connections.add(self)

    @property
    def name(self) -> Name:
        """The name the server listens under."""
        return self._name

    @property
    def peer(self) -> Peer:
        """The server's peer credentials."""
        return self._peer

    @property
    def closed(self) -> bool:
        """Whether this end knows that the connection is over."""
        return self._closed or self._forked or not self._driver.connection.open

    def send(self, *messages: Message) -> Result[Process, SendError]:
        """Send the messages at once. Success means that the server has folded every one of them.

        Responses that arrive meanwhile are kept for `wait`.
        """
        return self._alone(self._send, messages)

    def wait(self, timeout: float | None = None) -> Result[Message, ReceiveError]:
        """The next response, in the order they were sent; `timeout` in seconds, `None` for as long as it takes."""
        if self._user is _nobody and not self._forked and (response := self._driver.connection.response()) is not None:
            return Success(response)  # the usual case: it arrived together with the acknowledgement
        return self._alone(self._wait, timeout)

    def ask(self, message: Message, timeout: float | None = None) -> Result[Message, AskError]:
        """Send the message and wait for the first response to it, in `timeout` seconds together.

        Responses to other messages stay for `wait`, also late ones to earlier questions. An `Ended` means that the server
        folded the message and sent no response. A `TimedOut` says by `acknowledged` whether the fold is known.
        """
        return self._alone(partial(self._ask, message), timeout)

    def close(self) -> Result[None, CloseError]:
        """Ask the server to close, and wait for its confirmation for at most `limits.drain` seconds. A second call does nothing."""
        return self._alone(lambda _: self._close(), None)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        # After a pipeline that returns a response, no code is left that could close. The server then sees the stream end.
        self._driver.stream.close()

    def __repr__(self) -> str:
        return f"<Process {self._name} pid={self._peer.pid}{' closed' if self.closed else ''}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"the connection to {str(self._name)!r} belongs to this process and cannot be pickled: connect again in the other one"
        )

    def abandon(self) -> None:
        """Close this process's copy of the socket without a word to the server; called after a fork."""
        self._forked = True
        self._driver.stream.close()

    def greeted(self, deadline: float, timeout: float) -> Result[Process, ConnectError]:
        """This process once the server has greeted; called while connecting."""
        driver, connection = self._driver, self._driver.connection
        driver.until(lambda: None if connection.state is State.CONNECTED else True, deadline)
        match connection.state:
            case State.TALKING:
                driver.write()  # the acceptance leaves now, because a client may take long until its first message
                driver.idle = True
                return Success(self)
            case State.BROKEN:
                return Failure(ProtocolBroken(self._name, connection.broken))
            case State.CONNECTED:
                driver.stream.close()
                return Failure(TimedOut(self._name, timeout, "the greeting of"))
            case _:
                return Failure(ConnectionRefused(self._name))

    def _alone(self, use: Callable[[A], Result[T, E]], argument: A) -> Result[T, E | UsedAfterFork | InUse]:
        """The result of a use, during which neither another thread nor a signal handler can use the connection."""
        if self._forked:
            return Failure(UsedAfterFork(self._name, self._owner))
        user = _User()
        with self._guard:
            if self._user() is not None:
                return Failure(InUse(self._name))
            self._user = ref(user)
        driver = self._driver
        try:
            if not driver.idle:
                driver.mend()
            result = use(argument)
            driver.idle = True
            return result
        finally:
            self._user = _nobody

    def _send(self, messages: tuple[Message, ...]) -> Result[Process, SendError]:
        if self._closed:
            return Failure(ProcessClosed(self._name))
        driver, connection = self._driver, self._driver.connection
        before = connection.sent
        try:
            driver.send(messages)
        except RefusedError as error:
            return Failure(error.refusal)
        last = before + len(messages)
        while connection.acknowledged < last and connection.open:
            driver.step(None)
        if connection.acknowledged >= last:
            return Success(self)
        return Failure(Unacknowledged(max(0, connection.acknowledged - before), len(messages), self._ended()))

    def _wait(self, timeout: float | None) -> Result[Message, ReceiveError]:
        if self._closed:
            return Failure(ProcessClosed(self._name))
        connection = self._driver.connection
        response = self._driver.until(connection.response, _deadline(timeout))
        if response is not None:
            return Success(response)
        if connection.open:
            return Failure(TimedOut(self._name, timeout or 0.0, "a response of"))
        return Failure(self._ended())

    def _ask(self, message: Message, timeout: float | None) -> Result[Message, AskError]:
        if self._closed:
            return Failure(ProcessClosed(self._name))
        connection, deadline = self._driver.connection, _deadline(timeout)
        number = connection.sent + 1  # also if nothing can be sent any more: a response to another message is never taken for this one
        try:
            self._driver.send((message,))
        except RefusedError as error:
            return Failure(error.refusal)
        response = self._driver.until(partial(connection.response_to, number), deadline)
        if response is not None:
            return Success(response)
        if connection.open:
            return Failure(TimedOut(self._name, timeout or 0.0, "the response of", int(connection.acknowledged >= number)))
        if connection.acknowledged >= number:
            return Failure(self._ended())
        return Failure(Unacknowledged(0, 1, self._ended()))

    def _close(self) -> Result[None, CloseError]:
        if self._closed:
            return Success(None)
        connection = self._driver.connection
        self._driver.close()
        self._driver.until(lambda: None, monotonic() + self._limits.drain)
        unconfirmed = connection.open
        self._closed = True
        self._driver.stream.close()
        if unconfirmed:
            return Failure(TimedOut(self._name, self._limits.drain, "the confirmation to close of"))
        if connection.state is State.CLOSED or connection.state is State.DISMISSED:
            return Success(None)
        return Failure(self._ended())

    def _ended(self) -> Ended:
        connection = self._driver.connection
        match connection.state:
            case State.BROKEN:
                return ProtocolBroken(self._name, connection.broken)
            case State.FLOODED:
                return UnreadExceeded(self._name, self._limits.unread)
            case State.INTERRUPTED:
                return Interrupted(self._name)
            case State.LOST if holder_of(self._path) == Some(self._peer.pid):  # a hint only, because the kernel reuses process ids
                return ConnectionDropped(self._name, self._peer.pid, connection.largest)
            case State.LOST:
                return ConnectionLost(self._name)
            case _:
                return ConnectionClosed(self._name)


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else monotonic() + timeout


def _abandon() -> None:
    """Close a forked child's copies. Otherwise the server would not see the stream end when the parent dies."""
    for process in list(_connections):
        process.abandon()


os.register_at_fork(after_in_child=_abandon)
