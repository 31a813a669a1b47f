"""The asyncio shell over NATS: `NATS` finds servers, connects to them, and listens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from time import monotonic
from typing import TypeVar, final

import attrs
from returns.result import Failure, Result, Success

from ipcfold.errors import TimedOut
from ipcfold.errors.brokers import BrokerUnreachable, NobodyListens, NotPermitted
from ipcfold.nats.broker import SILENT, Broker, Unanswered
from ipcfold.nats.brokers import Brokers
from ipcfold.nats.client import Process, connected
from ipcfold.nats.errors import ConnectError, LookError
from ipcfold.nats.server import Server
from ipcfold.nats.subjects import Subjects, name_of
from ipcfold.peer import Name
from ipcfold.result import cases

__all__ = ["NATS", "Process", "Server"]

T = TypeVar("T")

_PAUSE = 0.05  # seconds between the first two attempts of `wait`
_LONGEST = 0.25  # seconds; the same, after many attempts


@final
@attrs.frozen
class NATS(Brokers):
    """Finds servers, connects to them, and listens, over brokers of NATS, in an event loop of asyncio. See `Brokers` for the arguments."""

    async def processes(self) -> Result[frozenset[Name], LookError]:
        """The names under which a server listens now."""
        return await self._looked(_listening)

    async def exists(self, name: Name) -> Result[bool, LookError]:
        """Whether a server listens under the name now."""

        async def look(broker: Broker) -> Result[bool, LookError]:
            return await _there(broker, name)

        return await self._looked(look)

    async def get(self, name: Name) -> Result[Process, ConnectError]:
        """Begin a session with the servers of that name; fails at once if no server listens."""
        return await self._connected(name, self.limits.handshake)

    async def wait(self, name: Name, timeout: float | None = None) -> Result[Process, ConnectError]:
        """Begin a session with the servers of that name as soon as one listens; `timeout` in seconds, `None` for ever.

        It waits for a broker, too.
        """
        deadline = None if timeout is None else monotonic() + timeout
        pause = _PAUSE
        while True:
            left = self.limits.handshake if deadline is None else min(self.limits.handshake, max(0.001, deadline - monotonic()))
            attempt = await self._connected(name, left)
            match cases(attempt):
                case Success():
                    return attempt
                case Failure(error):
                    late = deadline is not None and monotonic() + pause >= deadline
                    silent = isinstance(error, BrokerUnreachable) and error.reason.startswith(SILENT)
                    if late and (silent or isinstance(error, NobodyListens | TimedOut)):
                        return Failure(TimedOut(name, timeout or 0.0, "the server"))
                    if late or not isinstance(error, TimedOut | NobodyListens | BrokerUnreachable):
                        return attempt
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST)

    def listen(self, name: Name, timeout: float | None = None, *, signals: Iterable[int] = ()) -> Server:
        """A server for that name, not started yet. Any number of servers may have one name: one of them leads, and the others stand by.

        With `timeout` the server stops, successfully, after that many seconds without a message. In the main thread the `signals` end it in
        good order; by default there are none.
        """
        return Server(self, name, timeout, tuple(signals))

    async def _connected(self, name: Name, timeout: float) -> Result[Process, ConnectError]:
        deadline = monotonic() + timeout
        match cases(await Broker.open(self.address, timeout)):
            case Failure(error):
                return Failure(error)
            case Success(broker):
                pass
        process: Process | None = None
        try:
            left = max(0.001, deadline - monotonic())
            result = await connected(broker, name, self.inbox, self.limits, self.patience, left)
            process = result.value_or(None)
            return result
        finally:
            if process is None:
                await broker.close()

    async def _looked(self, look: Callable[[Broker], Awaitable[Result[T, LookError]]]) -> Result[T, LookError]:
        match cases(await Broker.open(self.address, self.limits.handshake)):
            case Failure(error):
                return Failure(error)
            case Success(broker):
                try:
                    return await look(broker)
                finally:
                    await broker.close()


async def _there(broker: Broker, name: Name) -> Result[bool, LookError]:
    match cases(await broker.request(Subjects(name).find)):
        case Success() | Failure(Unanswered.LATE):  # a server that is busy, or stopped, listens
            return Success(True)
        case Failure(Unanswered.NOBODY):
            return Success(False)
        case Failure(NotPermitted() as denied):
            return Failure(denied)
        case Failure():
            return Failure(broker.unreachable)


async def _listening(broker: Broker) -> Result[frozenset[Name], LookError]:
    found, names, offset = set[Name](), set[Name](), 0
    while True:
        listed = await broker.use("list the streams", broker.client.jetstream().streams_info(offset))
        match cases(listed):
            case Failure(error):
                return Failure(error)
            case Success(streams):
                names.update(name for stream in streams if (name := name_of(stream.config.name or "")) is not None)
                offset += len(streams)
                if not streams:
                    break
    for name in names:
        match cases(await _there(broker, name)):
            case Failure(lost):
                return Failure(lost)
            case Success(there):
                if there:
                    found.add(name)
    return Success(frozenset(found))
