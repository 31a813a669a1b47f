"""The blocking shell over NATS: `NATS` finds servers, connects to them, and listens."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, NoReturn, TypeVar, final

import attrs
from returns.maybe import Maybe
from returns.result import Failure, Result, Success

from ipcfold.errors import ProcessClosed, UsedAfterFork
from ipcfold.message import Message
from ipcfold.nats.brokers import Brokers
from ipcfold.nats.client import Client
from ipcfold.nats.errors import AskError, CloseError, ConnectError, LookError, ReceiveError, SendError
from ipcfold.nats.finding import exists, get, processes, wait
from ipcfold.nats.portal import ClosedError, Portal
from ipcfold.nats.process import unpicklable
from ipcfold.nats.running import Running, Server
from ipcfold.nats.server import Server as LoopServer
from ipcfold.peer import NOBODY, Name, Peer
from ipcfold.result import cases

__all__ = ["NATS", "Process", "Running", "Server"]

T = TypeVar("T")
E = TypeVar("E")

DEFAULT_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@final
class Process:
    """A session with the servers of a name: send messages, wait for responses, close.

    The session outlives each of the servers. Several threads may use it at once. With `with`, it closes the session at the end.
    """

    def __init__(self, client: Client, portal: Portal) -> None:
        """`NATS.get` and `NATS.wait` make these."""
        self._client = client
        self._portal = portal

    @property
    def name(self) -> Name:
        """The name of the servers."""
        return self._client.name

    @property
    def peer(self) -> Peer:
        """Nobody: which server answers may change at any time, and nobody vouches for it."""
        return NOBODY

    @property
    def epoch(self) -> Maybe[int]:
        """When the fold of the servers began, in nanoseconds since the epoch. If it is another one, the stream is another one, too."""
        return self._client.epoch

    @property
    def closed(self) -> bool:
        """Whether this end knows that the session is over."""
        return self._client.closed

    def send(self, *messages: Message) -> Result[Process, SendError]:
        """Send the messages at once. Success means that every one of them is stored in the stream, and folded.

        Responses that arrive meanwhile are kept for `wait`.
        """
        return self._run(lambda client: client.send(*messages)).map(lambda _: self)

    def wait(self, timeout: float | None = None) -> Result[Message, ReceiveError]:
        """The next response or told message, in the order they were sent; `timeout` in seconds, `None` for as long as it takes."""
        return self._run(lambda client: client.wait(timeout))

    def ask(self, message: Message, timeout: float | None = None) -> Result[Message, AskError]:
        """Send the message and wait for the first response to it, both within `timeout` seconds. The server may answer later.

        Responses to other messages, and what the server tells, stay for `wait`. A response that comes after the timeout is dropped.
        """
        return self._run(lambda client: client.ask(message, timeout))

    def close(self) -> Result[None, CloseError]:
        """End the session, and wait for the confirmation for at most `limits.drain` seconds. A second call does nothing."""
        match cases(self._run(Client.close)):
            case Failure(error):
                if isinstance(error, ProcessClosed):
                    return Success(None)
                if not isinstance(error, UsedAfterFork):
                    self._portal.close()
                return Failure(error)
            case Success():
                self._portal.close()
                return Success(None)

    def _run(self, verb: Callable[[Client], Coroutine[Any, Any, Result[T, E]]]) -> Result[T, E | UsedAfterFork | ProcessClosed]:
        """Run a verb in the loop of the session, if both are usable."""
        if os.getpid() != self._client.owner:
            return Failure(UsedAfterFork(self.name, self._client.owner))
        try:
            result = self._portal.run(verb(self._client))
        except ClosedError:
            return Failure(ProcessClosed(self.name))
        match cases(result):
            case Success(value):
                return Success(value)
            case Failure(error):
                return Failure(error)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        # After a pipeline that returns a response, no code is left that could close.
        with suppress(AttributeError, RuntimeError):  # the interpreter ends, or it was not made
            if os.getpid() == self._client.owner:
                self._portal.finish(self._client.close)

    def __repr__(self) -> str:
        return repr(self._client)

    def __reduce__(self) -> NoReturn:
        raise unpicklable(self.name)


@final
@attrs.frozen
class NATS(Brokers):
    """Finds servers, connects to them, and listens, over brokers of NATS. See `Brokers` for the arguments."""

    def processes(self) -> Result[frozenset[Name], LookError]:
        """The names under which a server listens now."""
        return _run(lambda: processes(self))

    def exists(self, name: Name) -> Result[bool, LookError]:
        """Whether a server listens under the name now."""
        return _run(lambda: exists(self, name))

    def get(self, name: Name) -> Result[Process, ConnectError]:
        """Begin a session with the servers of that name; fails at once if no server listens."""
        return _connected(lambda: get(self, name))

    def wait(self, name: Name, timeout: float | None = None) -> Result[Process, ConnectError]:
        """Begin a session with the servers of that name as soon as one listens; `timeout` in seconds, `None` for ever.

        It waits for a broker, too.
        """
        return _connected(lambda: wait(self, name, timeout))

    def listen(self, name: Name, timeout: float | None = None, *, signals: Iterable[int] = DEFAULT_SIGNALS) -> Server:
        """A server for that name, not started yet. Any number of servers may have one name: one of them leads, and the others stand by.

        With `timeout` the server stops, successfully, after that many seconds without a message. In the main thread the `signals` end it in
        good order.
        """
        return Server(LoopServer(self, name, timeout, tuple(signals)))


def _run(look: Callable[[], Coroutine[Any, Any, T]]) -> T:  # Any: the affair of the loop
    portal = Portal()
    try:
        return portal.run(look())
    finally:
        portal.close()


def _connected(connect: Callable[[], Coroutine[Any, Any, Result[Client, ConnectError]]]) -> Result[Process, ConnectError]:  # Any: as above
    portal, client = Portal(), None
    try:
        result = portal.run(connect())
        client = result.value_or(None)
        return result.map(lambda connected: Process(connected, portal))
    finally:
        if client is None:
            portal.close()
