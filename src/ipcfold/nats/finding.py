"""Finds servers, and begins sessions with them, in an event loop: what both shells do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final, TypeVar

from returns.result import Failure, Result, Success

from ipcfold.errors import TimedOut
from ipcfold.errors.brokers import BrokerUnreachable, NobodyListens, NotPermitted
from ipcfold.nats.broker import SILENT, Broker, Unanswered
from ipcfold.nats.brokers import Brokers
from ipcfold.nats.client import Client, connected
from ipcfold.nats.errors import ConnectError, LookError
from ipcfold.nats.identity import MALFORMED
from ipcfold.nats.subjects import Subjects, name_of
from ipcfold.peer import Name
from ipcfold.result import cases

T = TypeVar("T")

_PAUSE: Final = 0.05  # seconds between the first two attempts of `wait`
_LONGEST: Final = 0.25  # seconds; the same, after many attempts


async def processes(brokers: Brokers) -> Result[frozenset[Name], LookError]:
    """The names under which a server listens now."""
    return await _looked(brokers, _listening)


async def exists(brokers: Brokers, name: Name) -> Result[bool, LookError]:
    """Whether a server listens under the name now."""

    async def look(broker: Broker) -> Result[bool, LookError]:
        return await listens(broker, name)

    return await _looked(brokers, look)


async def get(brokers: Brokers, name: Name) -> Result[Client, ConnectError]:
    """Begin a session with the servers of that name; fails at once if no server listens."""
    return await _connected(brokers, name, brokers.limits.handshake)


async def wait(brokers: Brokers, name: Name, timeout: float | None) -> Result[Client, ConnectError]:
    """Begin a session with the servers of that name as soon as one listens. It waits for a broker, too."""
    deadline = None if timeout is None else monotonic() + timeout
    pause = _PAUSE
    while True:
        left = brokers.limits.handshake if deadline is None else min(brokers.limits.handshake, max(0.001, deadline - monotonic()))
        attempt = await _connected(brokers, name, left)
        match cases(attempt):
            case Success():
                return attempt
            case Failure(error):
                late = deadline is not None and monotonic() + pause >= deadline
                silent = isinstance(error, BrokerUnreachable) and error.reason.startswith(SILENT)
                if late and (silent or isinstance(error, NobodyListens | TimedOut)):
                    return Failure(TimedOut(name, timeout or 0.0, "the server"))
                final = isinstance(error, BrokerUnreachable) and error.reason.endswith(MALFORMED)
                if late or final or not isinstance(error, TimedOut | NobodyListens | BrokerUnreachable):
                    return attempt
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST)


async def _connected(brokers: Brokers, name: Name, timeout: float) -> Result[Client, ConnectError]:
    deadline = monotonic() + timeout
    match cases(await Broker.open(brokers.address, timeout)):
        case Failure(error):
            return Failure(error)
        case Success(broker):
            pass
    client: Client | None = None
    try:
        left = max(0.001, deadline - monotonic())
        result = await connected(broker, name, brokers.inbox, brokers.limits, brokers.patience, left)
        client = result.value_or(None)
        return result
    finally:
        if client is None:
            await broker.close()


async def _looked(brokers: Brokers, look: Callable[[Broker], Awaitable[Result[T, LookError]]]) -> Result[T, LookError]:
    match cases(await Broker.open(brokers.address, brokers.limits.handshake)):
        case Failure(error):
            return Failure(error)
        case Success(broker):
            try:
                return await look(broker)
            finally:
                await broker.close()


async def listens(broker: Broker, name: Name) -> Result[bool, LookError]:
    """Whether a server listens under the name now."""
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
        match cases(await listens(broker, name)):
            case Failure(lost):
                return Failure(lost)
            case Success(there):
                if there:
                    found.add(name)
    return Success(frozenset(found))
