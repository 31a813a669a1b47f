"""A session with the servers of a name, as both shells use it. Each verb returns a `Result`."""

from __future__ import annotations

import asyncio
import os
from time import monotonic
from typing import final

from returns.maybe import Maybe
from returns.result import Failure, Result, Success

from ipcfold.core.wire import Encoder, RefusedError
from ipcfold.errors import ConnectionClosed, ConnectionLost, ProcessClosed, TimedOut
from ipcfold.errors.brokers import EndedAtBroker, NobodyListens, NotPermitted, Unacknowledged
from ipcfold.limits import Limits
from ipcfold.message import Message
from ipcfold.nats.broker import Broker, Unanswered
from ipcfold.nats.errors import AskError, CloseError, ConnectError, ReceiveError, SendError
from ipcfold.nats.link import Asked, Link
from ipcfold.nats.subjects import Subjects
from ipcfold.peer import Name
from ipcfold.result import cases


@final
class Client:
    """A session with the servers of a name. Any number of tasks of one event loop may use it at once, and each gets its own answers."""

    def __init__(self, name: Name, broker: Broker, inbox: str, limits: Limits, patience: float) -> None:
        self.name = name
        """The name of the servers."""
        self.owner = os.getpid()
        """The process to which it belongs."""
        self._link = Link(name, broker, inbox, limits, patience)
        self._limits = limits
        self._encoder = Encoder(limits)

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop in which it may be used."""
        return self._link.loop

    @property
    def epoch(self) -> Maybe[int]:
        """When the fold of the servers began, in nanoseconds since the epoch."""
        return Maybe.from_optional(self._link.caller.epoch or None)

    @property
    def closed(self) -> bool:
        """Whether this end knows that the session is over."""
        return self._link.closing or self._link.caller.ended is not None

    async def greet(self, timeout: float) -> Result[None, ConnectError]:
        """Begin the session."""
        return await self._link.greet(timeout)

    async def send(self, *messages: Message) -> Result[None, SendError]:
        """See `Process.send`."""
        if self._link.closing:
            return Failure(ProcessClosed(self.name))
        try:
            frames = [b"".join(self._encoder.encode((message,))) for message in messages]
        except RefusedError as error:
            return Failure(error.refusal)
        caller = self._link.caller
        before = caller.sent
        if caller.ended is None and frames:
            last = caller.send(frames)
            waiting: asyncio.Future[None] = self._link.loop.create_future()
            self._link.sends.append((last, waiting))
            await self._link.pump()
            await waiting
        return self._sent(before, len(messages))

    def _sent(self, before: int, count: int) -> Result[None, ProcessClosed | Unacknowledged]:
        acknowledged = min(max(self._link.caller.acknowledged - before, 0), count)
        ended = self._link.caller.ended
        if acknowledged == count and (count or ended is None):
            return Success(None)
        if self._link.closing:
            return Failure(ProcessClosed(self.name))
        return Failure(Unacknowledged(acknowledged, count, ended or ConnectionLost(self.name)))

    async def wait(self, timeout: float | None = None) -> Result[Message, ReceiveError]:
        """See `Process.wait`."""
        deadline = None if timeout is None else monotonic() + timeout
        caller = self._link.caller
        while not self._link.closing:
            message = caller.take() if not self._link.waits else None
            if message is not None:
                return Success(message)
            if caller.ended is not None:
                return Failure(caller.ended)
            waiting: asyncio.Future[None] = self._link.loop.create_future()
            self._link.waits.append(waiting)
            try:
                await asyncio.wait((waiting,), timeout=None if deadline is None else max(0.0, deadline - monotonic()))
            finally:
                if waiting in self._link.waits:
                    self._link.waits.remove(waiting)
                elif self._link.caller.unread:  # this task may be cancelled, and what it was woken for is for the next one
                    self._link.loop.call_soon(self._link.wake)
            message = caller.take()
            if message is not None:
                return Success(message)
            if timeout is not None and caller.ended is None and deadline is not None and monotonic() >= deadline:
                return Failure(TimedOut(self.name, timeout, "a response of"))
        return Failure(ProcessClosed(self.name))

    async def ask(self, message: Message, timeout: float | None = None) -> Result[Message, AskError]:
        """See `Process.ask`."""
        if self._link.closing:
            return Failure(ProcessClosed(self.name))
        deadline = None if timeout is None else monotonic() + timeout
        try:
            frames = [b"".join(self._encoder.encode((message,)))]
        except RefusedError as error:
            return Failure(error.refusal)
        caller = self._link.caller
        number = caller.sent + 1
        if caller.ended is None:
            caller.asking.add(caller.send(frames))
            waiting: Asked = self._link.loop.create_future()
            self._link.asks[number] = waiting
            try:
                await self._link.pump()
                if deadline is None:
                    await waiting
                else:
                    await asyncio.wait((waiting,), timeout=max(0.0, deadline - monotonic()))
            finally:
                self._link.asks.pop(number, None)
                caller.forget(number)
            response = waiting.result() if waiting.done() else None
            if response is not None:
                return Success(response)
        if self._link.closing:
            return Failure(ProcessClosed(self.name))
        if caller.acknowledged < number:
            ended: EndedAtBroker | None = caller.ended
            return Failure(TimedOut(self.name, timeout or 0.0, "the response of") if ended is None else Unacknowledged(0, 1, ended))
        return Failure(caller.ended or TimedOut(self.name, timeout or 0.0, "the response of", 1))

    async def close(self) -> Result[None, CloseError]:
        """See `Process.close`."""
        if self._link.closing:
            return Success(None)
        ended = self._link.caller.ended
        self._link.closing = True
        self._link.wake_all()
        try:
            if ended is None:
                await self._link.bye(self._limits.drain)
                if self._link.caller.ended is None:
                    return Failure(TimedOut(self.name, self._limits.drain, "the confirmation to close of"))
            ended = ended or self._link.caller.ended
        finally:
            await self._link.drop()
        return Success(None) if ended is None or isinstance(ended, ConnectionClosed) else Failure(ended)

    def __repr__(self) -> str:
        return f"<Process {self.name} at {self._link.broker.place}{' closed' if self.closed else ''}>"


async def connected(
    broker: Broker, name: Name, inbox: str, limits: Limits, patience: float, timeout: float
) -> Result[Client, ConnectError]:
    """A session with the servers of that name, over this connection."""
    match cases(await broker.request(Subjects(name).find, b"", timeout)):
        case Failure(Unanswered.NOBODY):
            return Failure(NobodyListens(name, broker.place))
        case Failure(Unanswered.LATE):
            return Failure(TimedOut(name, timeout, "an answer of"))
        case Failure(NotPermitted() as denied):
            return Failure(denied)
        case Failure():
            return Failure(broker.unreachable)
        case Success():
            pass
    client = Client(name, broker, inbox, limits, patience)
    return (await client.greet(timeout)).map(lambda _: client)
