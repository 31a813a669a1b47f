"""A client for the tasks of an event loop that outlives connections and servers; see `ipcfold.blocking.steady`."""

from __future__ import annotations

from asyncio import Lock
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, final

from returns.maybe import Maybe, Nothing
from returns.result import Failure, Result, Success

from ipcfold.core.steady import Steadiness, left
from ipcfold.errors import AskError, CloseError, ConnectError, ReceiveError, SendError, Unacknowledged
from ipcfold.local.clock import Clock
from ipcfold.message import Message
from ipcfold.peer import Name
from ipcfold.result import cases

if TYPE_CHECKING:
    from ipcfold.aio.client import Process


@final
class Steady(Steadiness["Process"]):
    """A client of the server of this name, whichever process that is. It connects when it is first used. Many tasks may share it."""

    def __init__(
        self,
        wait: Callable[[Name, float | None], Awaitable[Result[Process, ConnectError]]],
        name: Name,
        timeout: float | None,
        clock: Clock,
    ) -> None:
        """`IPC.steady` makes these."""
        super().__init__(name, timeout)
        self._clock = clock
        self._wait = wait
        self._connecting = Lock()  # so that one task connects, and the others wait for it

    @property
    def epoch(self) -> Maybe[int]:
        """When the fold of the server began that it is connected to; see `Process.epoch`. If that changes, the server began anew."""
        return Nothing if self._process is None else self._process.epoch

    async def send(self, *messages: Message) -> Result[Steady, ConnectError | SendError]:
        """Send these messages; success means that every one has been folded. A message without an identity gets one."""
        unsent = tuple(map(self._identified, messages))
        while True:
            match cases(await self._connected()):
                case Success(process):
                    pass
                case Failure(unreachable):
                    return Failure(unreachable)
            match cases(await process.send(*unsent)):
                case Success():
                    self._dropped = 0
                    return Success(self)
                case Failure(error):
                    acknowledged = error.acknowledged if isinstance(error, Unacknowledged) else 0
                    if not self._tries_again(process, error, acknowledged):
                        return Failure(error)
                    unsent = unsent[acknowledged:]

    async def ask(self, message: Message, timeout: float | None = None) -> Result[Message, ConnectError | AskError]:
        """Send the message, and wait for its response; `timeout` in seconds for the response. The message gets an identity.

        It is sent again if the connection ends before the response comes. Then `once` gives the same response again.
        """
        identified = self._identified(message)
        until = None if timeout is None else self._clock.monotonic() + timeout
        while True:
            match cases(await self._connected(until)):
                case Success(process):
                    pass
                case Failure(unreachable):
                    return Failure(unreachable)
            match cases(await process.ask(identified, left(until, self._clock.monotonic()))):
                case Success(response):
                    self._dropped = 0
                    return Success(response)
                case Failure(error):
                    if not self._tries_again(process, error, 0):
                        return Failure(error)

    async def wait(self, timeout: float | None = None) -> Result[Message, ConnectError | ReceiveError]:
        """The next message that the server tells, or response to `send`; `timeout` in seconds.

        What a server told while there was no connection is lost: ask for it.
        """
        until = None if timeout is None else self._clock.monotonic() + timeout
        while True:
            match cases(await self._connected(until)):
                case Success(process):
                    pass
                case Failure(unreachable):
                    return Failure(unreachable)
            match cases(await process.wait(left(until, self._clock.monotonic()))):
                case Success(message):
                    return Success(message)
                case Failure(error):
                    if not self._tries_again(process, error, 0):
                        return Failure(error)

    async def close(self) -> Result[None, CloseError]:
        """Close the connection, if there is one. Verbs of other tasks that are under way end with `ProcessClosed`."""
        process, self._process = self._process, None
        return Success(None) if process is None else await process.close()

    async def __aenter__(self) -> Steady:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def _connected(self, until: float | None = None) -> Result[Process, ConnectError]:
        """The connection, or a new one."""
        if self._process is not None:
            return Success(self._process)
        async with self._connecting:
            if self._process is not None:  # another task has connected meanwhile
                return Success(self._process)
            connected = await self._wait(self._name, self._patience(left(until, self._clock.monotonic())))
            self._process = connected.value_or(None)
            return connected

    def _tries_again(self, process: Process, error: AskError, acknowledged: int) -> bool:
        """Whether to try with another connection, after this failure. A connection that has ended is given up."""
        again = self._again(process, error, acknowledged)
        if process.closed and process is self._process:
            self._process = None  # the tasks that still use it notice, too
        return again
