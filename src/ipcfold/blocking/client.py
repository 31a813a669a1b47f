"""A connection to a server, for a client's program: its verbs. Each verb returns a `Result`.

Nothing runs in the background: bytes move only while a verb runs.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from threading import RLock
from time import monotonic
from types import TracebackType
from typing import Final, NoReturn, TypeVar, final
from weakref import WeakSet, ref

from returns.maybe import Maybe
from returns.result import Failure, Result, Success

from ipcfold.accelerator import accelerate
from ipcfold.blocking.driver import Driver
from ipcfold.core.plain import answer
from ipcfold.core.verbs import Closed, Sent, Steps, Verbs
from ipcfold.errors import (
    AskError,
    CloseError,
    ConnectError,
    InUse,
    ReceiveError,
    SendError,
    SystemFailure,
    UsedAfterFork,
)
from ipcfold.local.claim import epoch_of
from ipcfold.local.forks import process_id
from ipcfold.local.stream import shut
from ipcfold.message import Message
from ipcfold.peer import Name, Peer
from ipcfold.result import cases, success

T = TypeVar("T")
U = TypeVar("U")
E = TypeVar("E")

_connections: Final[WeakSet[Process]] = WeakSet()


class _User:
    """The in-use marker of a connection. The connection holds it weakly, so that an exception cannot leak it."""

    __slots__ = ("__weakref__",)


def _nobody() -> None:
    """The marker of a connection that is not in use, as a weak reference gives it."""


_ACCELERATOR: Final = _User()


def _somebody() -> _User:
    """The marker of a connection that the accelerator uses."""
    return _ACCELERATOR


@final
class Process:
    """A connection to a server process: send messages, wait for responses, close.

    One thread at a time may use it, in the process that made it; another one gets an error. As a context manager it
    closes the connection at the end.
    """

    __slots__ = ("__weakref__", "_driver", "_forked", "_guard", "_name", "_owner", "_path", "_peer", "_user", "_verbs")

    def __init__(self, name: Name, path: Path, peer: Peer, driver: Driver, verbs: Verbs) -> None:
        """`IPC.get` and `IPC.wait` make these."""
        self._driver = driver
        self._verbs = verbs
        self._name = name
        self._path = path
        self._peer = peer
        self._owner = os.getpid()
        self._forked = False  # a flag, because the kernel reuses process ids
        self._guard = RLock()  # reentrant, because a signal handler of the same thread may take it
        self._user: Callable[[], _User | None] = _nobody
        _connections.add(self)

    @property
    def name(self) -> Name:
        """The name of the server."""
        return self._name

    @property
    def peer(self) -> Peer:
        """The server's peer credentials."""
        return self._peer

    @property
    def epoch(self) -> Maybe[int]:
        """When the fold of the server began, in nanoseconds since the epoch; `Nothing` once the server is gone.

        A server with a log goes on with the fold of the one before, so it has the same epoch. A server without one begins anew.
        """
        return epoch_of(self._peer.pid, self._path)

    @property
    def closed(self) -> bool:
        """Whether this end knows that the connection is over."""
        return self._inherited() or self._verbs.closed or not self._driver.connection.open

    @accelerate("send")
    def send(self, *messages: Message) -> Result[Process, SendError]:
        """Send the messages at once. Success means that the server has folded every one of them.

        Responses that arrive meanwhile are kept for `wait`.
        """
        return self._alone(self._send, messages)

    @accelerate("wait")
    def wait(self, timeout: float | None = None) -> Result[Message, ReceiveError]:
        """The next response or told message, in the order they were sent; `timeout` in seconds, `None` for as long as it takes."""
        if self._user is _nobody and not self._inherited() and (response := self._driver.connection.response()) is not None:
            return success(response)  # the usual case: it arrived together with the acknowledgement
        return self._alone(self._wait, timeout)

    @accelerate("ask")
    def ask(self, message: Message, timeout: float | None = None) -> Result[Message, AskError]:
        """Send the message and wait for the first response to it, both within `timeout` seconds. The server may answer later.

        Responses to other messages, and what the server tells, stay for `wait`. A response that comes after the timeout is dropped.
        An `Ended` means that the server folded the message and sent no response. The `acknowledged` of a `TimedOut` says whether
        the message is known to be folded.
        """
        return self._alone(self._ask, (message, timeout))

    @accelerate("close")
    def close(self) -> Result[None, CloseError]:
        """Ask the server to close, and wait for its confirmation for at most `limits.drain` seconds. A second call does nothing."""
        return self._alone(self._close, None)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        # After a pipeline that returns a response, no code is left that could close. The server then sees the stream end.
        if self._driver.stream.fileno() >= 0:
            shut(self._driver.stream)

    def __repr__(self) -> str:
        return f"<Process {self._name} pid={self._peer.pid}{' closed' if self.closed else ''}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"the connection to {str(self._name)!r} belongs to this process and cannot be pickled: connect again in the other one"
        )

    def abandon(self) -> None:
        """Close this process's copy of the socket without a signal to the server. A forked child calls this."""
        self._forked = True
        shut(self._driver.stream)

    def greeted(self, path: Path, timeout: float, deadline: float) -> Result[Process, ConnectError]:
        """Wait for the greeting of the server, and accept it. `connected` calls this once, before anybody else has the connection."""
        driver = self._driver
        try:
            greeted = driver.run(self._verbs.greet(timeout, deadline))
        except (OSError, ValueError):  # of a socket that was closed
            if not self._inherited():
                raise
            return forked_before(path)
        if self._inherited():  # by a signal handler, whose child came back
            return forked_before(path)
        match cases(greeted):
            case Success():
                driver.write()  # the acceptance leaves now, because a client may take long until its first message
                driver.idle = True
                return Success(self)
            case Failure(failure):
                shut(driver.stream)
                return Failure(failure)

    def _inherited(self) -> bool:
        """Whether the parent of this process made the connection. A fork by a library in C runs no hooks, so the process id counts, too."""
        if not self._forked and process_id() != self._owner:
            self.abandon()
        return self._forked

    def _alone(self, use: Callable[[U], Result[T, E]], argument: U) -> Result[T, E | UsedAfterFork | InUse]:
        """The result of a use. During it, neither another thread nor a signal handler can use the connection."""
        if self._inherited():
            return Failure(UsedAfterFork(self._name, self._owner))
        user = _User()
        with self._guard:
            if self._user is not _nobody and self._user() is not None:
                return Failure(InUse(self._name))
            self._user = ref(user)
        try:
            return self._used(use, argument)
        finally:
            self._user = _nobody

    def _used(self, use: Callable[[U], Result[T, E]], argument: U) -> Result[T, E | UsedAfterFork]:
        driver = self._driver
        try:
            if not driver.idle:
                driver.mend()
            result = use(argument)
            driver.idle = True
        except (OSError, ValueError):  # of a socket that was closed
            if not self._inherited():
                raise
        if self._forked:  # by a signal handler, whose child came back into the verb
            return Failure(UsedAfterFork(self._name, self._owner))
        return result

    def _send(self, messages: tuple[Message, ...]) -> Result[Process, SendError]:
        connection = self._driver.connection
        before = connection.sent
        if len(messages) != 1 or not self._driver.exchange(messages[0], None):
            return self._sent(self._verbs.send(messages))
        if connection.acknowledged > before:
            return success(self)
        return self._sent(self._verbs.acknowledged(before, 1))

    def _wait(self, timeout: float | None) -> Result[Message, ReceiveError]:
        return self._driver.run(self._verbs.wait(timeout, _deadline(timeout)))

    def _ask(self, asked: tuple[Message, float | None]) -> Result[Message, AskError]:
        (message, timeout), connection = asked, self._driver.connection
        deadline = _deadline(timeout)
        number = connection.sent + 1
        try:
            sent = self._driver.exchange(message, deadline)
        except BaseException:
            if connection.sent >= number:
                connection.disown(number)  # nobody waits for its response
            raise
        if not sent:
            return self._driver.run(self._verbs.ask(message, timeout, deadline))
        if (response := answer(connection, number)) is not None:
            return success(response)
        return self._driver.run(self._verbs.answered(number, timeout, deadline))

    # The accelerator calls these when it cannot finish a verb that it has begun. It uses the connection meanwhile.

    def _go_on_sending(self, before: int, count: int) -> Result[Process, SendError]:
        return self._go_on(lambda _: self._sent(self._verbs.acknowledged(before, count)))

    def _go_on_waiting(self, timeout: float | None, deadline: float | None) -> Result[Message, ReceiveError]:
        return self._go_on(lambda _: self._driver.run(self._verbs.wait(timeout, deadline)))

    def _go_on_asking(self, number: int, timeout: float | None, deadline: float | None) -> Result[Message, AskError]:
        return self._go_on(lambda _: self._driver.run(self._verbs.answered(number, timeout, deadline)))

    def _go_on_closing(self, deadline: float) -> Result[None, CloseError]:
        return self._go_on(lambda _: self._closed(self._verbs.confirmed(deadline)))

    def _go_on(self, use: Callable[[None], Result[T, E]]) -> Result[T, E | UsedAfterFork]:
        if self._inherited():  # a signal handler forked, and its child came back into the verb
            return Failure(UsedAfterFork(self._name, self._owner))
        return self._used(use, None)

    def _sent(self, steps: Steps[Sent]) -> Result[Process, SendError]:
        match cases(self._driver.run(steps)):
            case Success():
                return Success(self)
            case Failure(error):
                return Failure(error)

    def _close(self, _: None) -> Result[None, CloseError]:
        return self._closed(self._verbs.close(monotonic()))

    def _closed(self, steps: Steps[Closed]) -> Result[None, CloseError]:
        closed = self._driver.run(steps)
        shut(self._driver.stream)
        return closed


def forked_before(path: Path) -> Failure[SystemFailure]:
    """The error in a child that was forked while its parent connected."""
    return Failure(SystemFailure("connect to", path, "this process was forked from one that connected: connect again in this one"))


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else monotonic() + timeout


def _abandon() -> None:
    """Close a forked child's copies. Otherwise the server would not see the stream end when the parent dies."""
    for process in list(_connections):
        process.abandon()


os.register_at_fork(after_in_child=_abandon)
