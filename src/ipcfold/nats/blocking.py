"""The blocking shell over NATS: `NATS` finds servers, connects to them, and listens."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from threading import Condition, Thread
from types import TracebackType
from typing import Any, Final, Generic, NoReturn, TypeVar, final

import attrs
from returns.maybe import Maybe
from returns.result import Failure, Result, Success

from ipcfold.continuation import Handler, Leaving, Waking
from ipcfold.errors import ProcessClosed, TimedOut, UsedAfterFork
from ipcfold.log import Snapshots
from ipcfold.message import Message
from ipcfold.nats.aio import NATS as AioNATS  # noqa: N811 - it is a class
from ipcfold.nats.aio import Process as AioProcess
from ipcfold.nats.aio import Server as AioServer
from ipcfold.nats.brokers import Brokers
from ipcfold.nats.errors import AskError, CloseError, ConnectError, ListenError, LookError, ReceiveError, SendError
from ipcfold.nats.portal import Portal
from ipcfold.peer import Name, Peer
from ipcfold.result import cases

__all__ = ["NATS", "Process", "Running", "Server"]

C = TypeVar("C")
T = TypeVar("T")

DEFAULT_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@final
class Process:
    """A session with the servers of a name: send messages, wait for responses, close.

    The session outlives each of the servers. Several threads may use it at once. With `with`, it closes the session at the end.
    """

    def __init__(self, process: AioProcess, portal: Portal) -> None:
        """`NATS.get` and `NATS.wait` make these."""
        self._process = process
        self._portal = portal
        self._owner = os.getpid()

    @property
    def name(self) -> Name:
        """The name of the servers."""
        return self._process.name

    @property
    def peer(self) -> Peer:
        """Nobody: which server answers may change at any time, and nobody vouches for it."""
        return self._process.peer

    @property
    def epoch(self) -> Maybe[int]:
        """When the fold of the servers began, in nanoseconds since the epoch. If it is another one, the stream is another one, too."""
        return self._process.epoch

    @property
    def closed(self) -> bool:
        """Whether this end knows that the session is over."""
        return self._process.closed

    def send(self, *messages: Message) -> Result[Process, SendError]:
        """Send the messages at once. Success means that every one of them is stored in the stream, and folded.

        Responses that arrive meanwhile are kept for `wait`.
        """
        unusable = self._unusable()
        return Failure(unusable) if unusable is not None else self._portal.run(self._process.send(*messages)).map(lambda _: self)

    def wait(self, timeout: float | None = None) -> Result[Message, ReceiveError]:
        """The next response or told message, in the order they were sent; `timeout` in seconds, `None` for as long as it takes."""
        unusable = self._unusable()
        return Failure(unusable) if unusable is not None else self._portal.run(self._process.wait(timeout))

    def ask(self, message: Message, timeout: float | None = None) -> Result[Message, AskError]:
        """Send the message and wait for the first response to it, both within `timeout` seconds. The server may answer later.

        Responses to other messages, and what the server tells, stay for `wait`. A response that comes after the timeout is dropped.
        """
        unusable = self._unusable()
        return Failure(unusable) if unusable is not None else self._portal.run(self._process.ask(message, timeout))

    def close(self) -> Result[None, CloseError]:
        """End the session, and wait for the confirmation for at most `limits.drain` seconds. A second call does nothing."""
        unusable = self._unusable()
        if unusable is not None:
            return Success(None) if isinstance(unusable, ProcessClosed) else Failure(unusable)
        closed = self._portal.run(self._process.close())
        self._portal.close()
        return closed

    def _unusable(self) -> UsedAfterFork | ProcessClosed | None:
        if os.getpid() != self._owner:
            return UsedAfterFork(self.name, self._owner)
        return ProcessClosed(self.name) if self._process.dropped else None

    def __enter__(self) -> Process:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        # After a pipeline that returns a response, no code is left that could close.
        with suppress(AttributeError, RuntimeError):  # the interpreter ends, or it was not made
            if os.getpid() == self._owner and not self._process.dropped:
                self._portal.finish(self._process.close)

    def __repr__(self) -> str:
        return repr(self._process)

    def __reduce__(self) -> NoReturn:
        self._process.__reduce__()
        raise AssertionError


@final
class Running(Generic[C]):
    """A server on a thread of its own. As a context manager it stops the server at the end, and waits for it."""

    def __init__(self, name: Name, serving: Coroutine[Any, Any, Result[C, ListenError[C]]]) -> None:
        """`Server.start` makes these."""
        self._name = name
        self._serving = serving
        self._changed = Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Result[C, ListenError[C]]] | None = None
        self._result: Result[C, ListenError[C]] | None = None
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name=f"ipcfold server {name}", daemon=True)
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._task is not None)

    def _run(self) -> None:
        async def serve() -> Result[C, ListenError[C]]:
            with self._changed:
                self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
                self._changed.notify_all()
            return await self._serving

        result: Result[C, ListenError[C]] | None = None
        try:
            with asyncio.Runner() as runner:
                result = runner.run(serve())
        except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
            self._error = error
        with self._changed:
            self._result, self._loop = result, None
            self._changed.notify_all()

    @property
    def name(self) -> Name:
        """The name of the server."""
        return self._name

    def stop(self) -> None:
        """End the server in good order, without waiting for its end. Any thread may call this, also its handler."""
        with self._changed:
            if self._loop is not None and self._task is not None:
                self._loop.call_soon_threadsafe(self._task.cancel)

    def result(self, timeout: float | None = None) -> Result[C, ListenError[C] | TimedOut]:
        """The result of the server, once it has ended; `timeout` in seconds, `None` for as long as it takes."""
        with self._changed:
            self._changed.wait_for(lambda: self._loop is None, timeout)
            result = self._result
        if self._error is not None:
            raise self._error
        if result is None:
            return Failure(TimedOut(self._name, timeout or 0.0, "the end of"))
        match cases(result):
            case Success(carry):
                return Success(carry)
            case Failure(error):
                return Failure(error)

    def __enter__(self) -> Running[C]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
        self.result()


@final
@attrs.frozen
class Server:
    """A server that has not started. Calling it with the first carry and the handler blocks until the server ends."""

    server: AioServer

    @property
    def name(self) -> Name:
        """Its name."""
        return self.server.name

    def adopting(self) -> Server:
        """The same server, whose handler may answer what is in the stream in another way than it did, from now on.

        The stream says that, too. Other servers that run with the old handler end when they notice.
        """
        return Server(self.server.adopting())

    def __call__(
        self,
        carry: C,
        handler: Handler[C],
        left: Leaving[C] | None = None,
        woken: Waking[C] | None = None,
        *,
        snapshots: Snapshots[C] | None = None,
    ) -> Result[C, ListenError[C]]:
        """Fold the handler over every message of the stream; returns the carry so far, or the error.

        `carry` is the one at the beginning of the stream. All servers of a name must have the same, and the same functions. They are called
        on each of the servers, and must be pure.

        `snapshots`: how the leader keeps the carry in the stream, so that a server that starts folds only what came later.
        """
        with asyncio.Runner() as runner:
            return runner.run(self.server(carry, handler, left, woken, snapshots=snapshots))

    def start(
        self,
        carry: C,
        handler: Handler[C],
        left: Leaving[C] | None = None,
        woken: Waking[C] | None = None,
        *,
        snapshots: Snapshots[C] | None = None,
    ) -> Running[C]:
        """Serve on a thread of its own. This returns at once: `NATS.wait` waits until clients can connect. No signal ends such a server."""
        return Running(self.name, self.server(carry, handler, left, woken, snapshots=snapshots))


@final
@attrs.frozen
class NATS(Brokers):
    """Finds servers, connects to them, and listens, over brokers of NATS. See `Brokers` for the arguments."""

    def processes(self) -> Result[frozenset[Name], LookError]:
        """The names under which a server listens now."""
        return _run(self._aio.processes())

    def exists(self, name: Name) -> Result[bool, LookError]:
        """Whether a server listens under the name now."""
        return _run(self._aio.exists(name))

    def get(self, name: Name) -> Result[Process, ConnectError]:
        """Begin a session with the servers of that name; fails at once if no server listens."""
        return _connected(self._aio.get(name))

    def wait(self, name: Name, timeout: float | None = None) -> Result[Process, ConnectError]:
        """Begin a session with the servers of that name as soon as one listens; `timeout` in seconds, `None` for ever.

        It waits for a broker, too.
        """
        return _connected(self._aio.wait(name, timeout))

    def listen(self, name: Name, timeout: float | None = None, *, signals: Iterable[int] = DEFAULT_SIGNALS) -> Server:
        """A server for that name, not started yet. Any number of servers may have one name: one of them leads, and the others stand by.

        With `timeout` the server stops, successfully, after that many seconds without a message. In the main thread the `signals` end it in
        good order.
        """
        return Server(self._aio.listen(name, timeout, signals=signals))

    @property
    def _aio(self) -> AioNATS:
        return AioNATS(**{field.name: getattr(self, field.name) for field in attrs.fields(Brokers)})


def _run(coroutine: Coroutine[Any, Any, T]) -> T:
    portal = Portal()
    try:
        return portal.run(coroutine)
    finally:
        portal.close()


def _connected(connecting: Coroutine[Any, Any, Result[AioProcess, ConnectError]]) -> Result[Process, ConnectError]:
    portal, process = Portal(), None
    try:
        result = portal.run(connecting)
        process = result.value_or(None)
        return result.map(lambda connected: Process(connected, portal))
    finally:
        if process is None:
            portal.close()
