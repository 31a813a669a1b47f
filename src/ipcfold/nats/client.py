"""A session with the servers of a name, for the tasks of an event loop. Each verb returns a `Result`."""

from __future__ import annotations

import asyncio
import os
from time import monotonic
from types import TracebackType
from typing import NoReturn, final

from returns.maybe import Maybe
from returns.result import Failure, Result, Success

from ipcfold.core.wire import Encoder, RefusedError
from ipcfold.errors import ConnectionClosed, ConnectionLost, InUse, ProcessClosed, TimedOut, UsedAfterFork
from ipcfold.errors.brokers import EndedAtBroker, NobodyListens, NotPermitted, Unacknowledged
from ipcfold.limits import Limits
from ipcfold.message import Message
from ipcfold.nats.broker import Broker, Unanswered
from ipcfold.nats.errors import AskError, CloseError, ConnectError, ReceiveError, SendError
from ipcfold.nats.link import Asked, Link
from ipcfold.nats.subjects import Subjects
from ipcfold.peer import NOBODY, Name, Peer
from ipcfold.result import cases


@final
class Process:
    """A session with the servers of a name: send messages, wait for responses, close.

    The session outlives each of the servers. Any number of tasks of one event loop may use it at once, and each gets its own answers. In
    another loop or thread, and in a forked process, its verbs return an error. With `async with`, it closes the session at the end.

    Each verb may be cancelled at any time. The message of a cancelled verb may still be folded. Its answer is dropped.
    """

    def __init__(self, name: Name, broker: Broker, inbox: str, limits: Limits, patience: float) -> None:
        """`NATS.get` and `NATS.wait` make these."""
        self._link = Link(name, broker, inbox, limits, patience)
        self._name = name
        self._limits = limits
        self._encoder = Encoder(limits)
        self._owner = os.getpid()

    @property
    def name(self) -> Name:
        """The name of the servers."""
        return self._name

    @property
    def peer(self) -> Peer:
        """Nobody: which server answers may change at any time, and nobody vouches for it."""
        return NOBODY

    @property
    def epoch(self) -> Maybe[int]:
        """When the fold of the servers began, in nanoseconds since the epoch. If it is another one, the stream is another one, too."""
        return Maybe.from_optional(self._link.caller.epoch or None)

    @property
    def dropped(self) -> bool:
        """Whether `close` has ended the connection to the broker."""
        return self._link.dropped

    @property
    def closed(self) -> bool:
        """Whether this end knows that the session is over."""
        return self._link.closing or self._link.caller.ended is not None

    async def greet(self, timeout: float) -> Result[None, ConnectError]:
        """Begin the session. `NATS` calls this."""
        return await self._link.greet(timeout)

    async def send(self, *messages: Message) -> Result[Process, SendError]:
        """Send the messages at once. Success means that every one of them is stored in the stream, and folded.

        Responses that arrive meanwhile are kept for `wait`.
        """
        unusable = self._unusable()
        if unusable is not None:
            return Failure(unusable)
        if self._link.closing:
            return Failure(ProcessClosed(self._name))
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
        return self._sent(before, len(messages)).map(lambda _: self)

    def _sent(self, before: int, count: int) -> Result[None, ProcessClosed | Unacknowledged]:
        acknowledged = min(max(self._link.caller.acknowledged - before, 0), count)
        ended = self._link.caller.ended
        if acknowledged == count and (count or ended is None):
            return Success(None)
        if self._link.closing:
            return Failure(ProcessClosed(self._name))
        return Failure(Unacknowledged(acknowledged, count, ended or ConnectionLost(self._name)))

    async def wait(self, timeout: float | None = None) -> Result[Message, ReceiveError]:
        """The next response or told message, in the order they were sent; `timeout` in seconds, `None` for as long as it takes."""
        unusable = self._unusable()
        if unusable is not None:
            return Failure(unusable)
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
                return Failure(TimedOut(self._name, timeout, "a response of"))
        return Failure(ProcessClosed(self._name))

    async def ask(self, message: Message, timeout: float | None = None) -> Result[Message, AskError]:
        """Send the message and wait for the first response to it, both within `timeout` seconds. The server may answer later.

        Responses to other messages, and what the server tells, stay for `wait`. A response that comes after the timeout is dropped.
        """
        unusable = self._unusable()
        if unusable is not None:
            return Failure(unusable)
        if self._link.closing:
            return Failure(ProcessClosed(self._name))
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
            return Failure(ProcessClosed(self._name))
        if caller.acknowledged < number:
            ended: EndedAtBroker | None = caller.ended
            return Failure(TimedOut(self._name, timeout or 0.0, "the response of") if ended is None else Unacknowledged(0, 1, ended))
        return Failure(caller.ended or TimedOut(self._name, timeout or 0.0, "the response of", 1))

    async def close(self) -> Result[None, CloseError]:
        """End the session, and wait for the confirmation for at most `limits.drain` seconds. A second call does nothing."""
        unusable = self._unusable()
        if unusable is not None:
            return Failure(unusable)
        if self._link.closing:
            return Success(None)
        ended = self._link.caller.ended
        self._link.closing = True
        self._link.wake_all()
        try:
            if ended is None:
                await self._link.bye(self._limits.drain)
                if self._link.caller.ended is None:
                    return Failure(TimedOut(self._name, self._limits.drain, "the confirmation to close of"))
            ended = ended or self._link.caller.ended
        finally:
            await self._link.drop()
        return Success(None) if ended is None or isinstance(ended, ConnectionClosed) else Failure(ended)

    async def __aenter__(self) -> Process:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<Process {self._name} at {self._link.broker.place}{' closed' if self.closed else ''}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"the session with {str(self._name)!r} belongs to this process and cannot be pickled: connect again in the other one"
        )

    def _unusable(self) -> UsedAfterFork | InUse | None:
        if os.getpid() != self._owner:
            return UsedAfterFork(self._name, self._owner)
        return None if asyncio.get_running_loop() is self._link.loop else InUse(self._name)


async def connected(
    broker: Broker, name: Name, inbox: str, limits: Limits, patience: float, timeout: float
) -> Result[Process, ConnectError]:
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
    process = Process(name, broker, inbox, limits, patience)
    return (await process.greet(timeout)).map(lambda _: process)
