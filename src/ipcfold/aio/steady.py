"""A client for the tasks of an event loop that outlives connections and servers; see `ipcfold.blocking.steady`."""

from __future__ import annotations

from asyncio import Lock
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar, final

from returns.result import Failure, Result, Success

from ipcfold.core.steady import Effort, Steadiness
from ipcfold.errors import AskError, CloseError, ConnectError, ReceiveError, SendError
from ipcfold.local.clock import Clock
from ipcfold.message import Message
from ipcfold.peer import Name
from ipcfold.result import cases

if TYPE_CHECKING:
    from ipcfold.aio.client import Process

T = TypeVar("T")
E = TypeVar("E", bound=AskError)


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

    async def send(self, *messages: Message) -> Result[Steady, ConnectError | SendError]:
        """Send these messages; success means that every one has been folded. A message without an identity gets one."""
        effort = self._effort(messages)
        return (await self._tried(effort, lambda process: process.send(*effort.messages))).map(lambda _: self)

    async def ask(self, message: Message, timeout: float | None = None) -> Result[Message, ConnectError | AskError]:
        """Send the message, and wait for its response; `timeout` in seconds for the response. The message gets an identity.

        It is sent again if the connection ends before the response comes. Then `once` gives the same response again.
        """
        effort = self._effort((message,), timeout, self._clock.monotonic())
        (identified,) = effort.messages
        return await self._tried(effort, lambda process: process.ask(identified, effort.left(self._clock.monotonic())))

    async def wait(self, timeout: float | None = None) -> Result[Message, ConnectError | ReceiveError]:
        """The next message that the server tells, or response to `send`; `timeout` in seconds.

        What a server told while there was no connection is lost: ask for it.
        """
        effort = self._effort((), timeout, self._clock.monotonic())
        return await self._tried(effort, lambda process: process.wait(effort.left(self._clock.monotonic())))

    async def close(self) -> Result[None, CloseError]:
        """Close the connection, if there is one. Verbs of other tasks that are under way end with `ProcessClosed`."""
        process, self._process = self._process, None
        return Success(None) if process is None else await process.close()

    async def __aenter__(self) -> Steady:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def _tried(self, effort: Effort, verb: Callable[[Process], Awaitable[Result[T, E]]]) -> Result[T, ConnectError | E]:
        """The result of a verb, which is tried with one connection after another."""
        while True:
            match cases(await self._connected(effort)):
                case Success(process):
                    pass
                case Failure(unreachable):
                    return Failure(unreachable)
            result = await verb(process)
            if not self._again(effort, process, result):
                return result

    async def _connected(self, effort: Effort) -> Result[Process, ConnectError]:
        """The connection, or a new one."""
        if self._process is not None:
            return Success(self._process)
        async with self._connecting:
            if self._process is not None:  # another task has connected meanwhile
                return Success(self._process)
            connected = await self._wait(self._name, self._patience(effort.left(self._clock.monotonic())))
            self._process = connected.value_or(None)
            return connected
