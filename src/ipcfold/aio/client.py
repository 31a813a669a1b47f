"""A connection to a server, for the tasks of an event loop, and its verbs. Each verb returns a `Result`."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from types import TracebackType
from typing import NoReturn, final

from returns.maybe import Maybe
from returns.result import Failure, Result, Success

from ipcfold.aio.channel import Channel, Waiting
from ipcfold.core.verbs import Verbs
from ipcfold.core.wire import RefusedError
from ipcfold.errors import (
    AskError,
    CloseError,
    InUse,
    ProcessClosed,
    ReceiveError,
    SendError,
    UsedAfterFork,
)
from ipcfold.local.claim import epoch_of
from ipcfold.local.forks import process_id
from ipcfold.message import Message
from ipcfold.peer import Name, Peer
from ipcfold.result import cases


@final
class Process:
    """A connection to a server process: send messages, wait for responses, close.

    Any number of tasks of one event loop may use it at once. Each gets its own answers. In another loop or thread, and in a forked
    process, its verbs return an error. With `async with`, it closes the connection at the end.

    Each verb may be cancelled at any time. The message of a cancelled verb may still be folded. Its answer is dropped, and the
    connection goes on.
    """

    __slots__ = ("_channel", "_name", "_owner", "_path", "_peer", "_verbs")

    def __init__(self, name: Name, path: Path, peer: Peer, channel: Channel, verbs: Verbs) -> None:
        """`IPC.get` and `IPC.wait` make these."""
        self._channel = channel
        self._verbs = verbs
        self._name = name
        self._path = path
        self._peer = peer
        self._owner = os.getpid()

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
        channel = self._channel
        return self._inherited() or channel.closing or not channel.connection.open

    async def send(self, *messages: Message) -> Result[Process, SendError]:
        """Send the messages at once. Success means that the server has folded every one of them.

        Responses that arrive meanwhile are kept for `wait`.
        """
        channel, connection = self._channel, self._channel.connection
        if (unusable := self._unusable()) is not None:
            return Failure(unusable)
        if channel.closing:
            return Failure(ProcessClosed(self._name))
        try:
            frames = connection.encode(messages)
        except RefusedError as error:
            return Failure(error.refusal)
        before, count = connection.sent, len(messages)
        if connection.open and count:
            channel.send(frames, count)
        if connection.open and connection.acknowledged < before + count:
            waiting: Waiting = channel.loop.create_future()
            channel.exchange.send(before + count, waiting)
            await channel.watch(waiting)
            if channel.closing and connection.acknowledged < before + count:
                return Failure(ProcessClosed(self._name))
        match cases(self._verbs.sent(before, count)):
            case Success():
                return Success(self)
            case Failure(ended):
                return Failure(ended)

    async def wait(self, timeout: float | None = None) -> Result[Message, ReceiveError]:
        """The next response or told message, in the order they were sent; `timeout` in seconds, `None` for as long as it takes.

        Responses that another task asked for are not among them. If several tasks wait, the one that has waited longest gets the next.
        """
        channel, exchange = self._channel, self._channel.exchange
        if (unusable := self._unusable()) is not None:
            return Failure(unusable)
        deadline = None if timeout is None else channel.now() + timeout
        response = exchange.take() if exchange.free else None
        while response is None and not channel.closing and channel.connection.open:
            waiting: Waiting = channel.loop.create_future()
            exchange.wait(waiting)
            try:
                await (channel.watch(waiting) if deadline is None else channel.until(waiting, deadline))
            except BaseException:  # the task is cancelled, so that what it was woken for is for the next one
                exchange.leave(waiting)
                channel.wake()
                raise
            if exchange.leave(waiting) or exchange.free:
                response = exchange.take()
            if exchange.busy:
                channel.wake()
            if deadline is not None and channel.now() >= deadline:
                break
        if response is None and channel.closing:
            return Failure(ProcessClosed(self._name))
        if response is None and not channel.connection.open:
            response = exchange.take()
        match cases(self._verbs.waited(response, timeout)):
            case Success(message):
                return Success(message)
            case Failure(ended):
                return Failure(ended)

    async def ask(self, message: Message, timeout: float | None = None) -> Result[Message, AskError]:
        """Send the message and wait for the first response to it, both within `timeout` seconds. The server may answer later.

        Responses to other messages, and what the server tells, stay for `wait`. A response that comes after the timeout is dropped.
        An `Ended` means that the server folded the message and sent no response. The `acknowledged` of a `TimedOut` says whether
        the message is known to be folded.
        """
        channel, connection = self._channel, self._channel.connection
        if (unusable := self._unusable()) is not None:
            return Failure(unusable)
        if channel.closing:
            return Failure(ProcessClosed(self._name))
        deadline, number = None if timeout is None else channel.now() + timeout, connection.sent + 1
        try:
            waiting = channel.ask(message)
        except RefusedError as error:
            return Failure(error.refusal)
        response: Message | None = None
        if waiting is not None:
            try:
                response = await (waiting if deadline is None else channel.until(waiting, deadline))
            except BaseException:  # the task is cancelled, and its answer with it
                channel.exchange.disown(number)
                raise
        if response is not None:
            return Success(response)
        if channel.closing:
            return Failure(ProcessClosed(self._name))
        channel.exchange.forget(number)
        match cases(self._verbs.asked(number, None, timeout)):
            case Success(late):
                return Success(late)
            case Failure(ended):
                return Failure(ended)

    async def close(self) -> Result[None, CloseError]:
        """Ask the server to close, and wait for its confirmation for at most `limits.drain` seconds. A second call does nothing.

        Verbs of other tasks that are under way end with `ProcessClosed`. A task that is cancelled here does not wait for the confirmation.
        """
        if (unusable := self._unusable()) is not None:
            return Failure(unusable)
        self._channel.begin_to_close()
        try:
            closed = await self._channel.run(self._verbs.close(self._channel.now()))
        finally:
            self._verbs.closed = True
            self._channel.drop()
        match cases(closed):
            case Success():
                return Success(None)
            case Failure(error):
                return Failure(error)

    async def __aenter__(self) -> Process:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    def __del__(self) -> None:
        # After a pipeline that returns a response, no code is left that could close. The server then sees the stream end.
        self._channel.drop()

    def __repr__(self) -> str:
        return f"<Process {self._name} pid={self._peer.pid}{' closed' if self.closed else ''}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"the connection to {str(self._name)!r} belongs to this process and cannot be pickled: connect again in the other one"
        )

    def _inherited(self) -> bool:
        """Whether the parent of this process made the connection. A fork by a library in C runs no hooks, so the process id counts, too."""
        if not self._channel.forked and process_id() != self._owner:
            self._channel.abandon()
        return self._channel.forked

    def _unusable(self) -> UsedAfterFork | InUse | None:
        """Why no verb can run here, if there is a reason."""
        channel = self._channel
        if channel.forked or process_id() != self._owner:
            return UsedAfterFork(self._name, self._owner) if self._inherited() else None
        return None if asyncio.get_running_loop() is channel.loop else InUse(self._name)
