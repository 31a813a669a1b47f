"""A connection to a server: the client's end of the core over a blocking socket.

Nothing runs in the background: bytes move while one of the methods does.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import Final, final
from weakref import WeakSet

from returns.maybe import Nothing
from returns.result import Failure, Result, Success

from ipcfold.core.calling import Calling, State
from ipcfold.core.frame import refusal
from ipcfold.errors import (
    AskError,
    CloseError,
    ConnectError,
    ConnectionClosed,
    ConnectionLost,
    ConnectionRefused,
    Ended,
    MessageTooLarge,
    ProcessClosed,
    ProtocolBroken,
    ReceiveError,
    ReservedMessage,
    SendError,
    TimedOut,
    Unacknowledged,
    UnreadExceeded,
    UsedAfterFork,
)
from ipcfold.limits import Limits
from ipcfold.message import Message
from ipcfold.peer import Name, Peer
from ipcfold.unix.stream import LONGEST_SLEEP, SEND_FLAGS, read_size

_connections: Final[WeakSet[Process]] = WeakSet()


@final
class Process:
    """A server, as a client sees it: send to it, wait for what it responds, close.

    One thread at a time may use it, in the process that made it. As a context manager it closes at the end.
    """

    __slots__ = ("__weakref__", "_calling", "_closed", "_heartbeat", "_limits", "_name", "_owner", "_peer", "_stream")

    def __init__(self, name: Name, peer: Peer, stream: socket.socket, heartbeat: float, limits: Limits) -> None:
        """Made by `IPC.get` and `IPC.wait`; reading from the stream must give up after `heartbeat` seconds."""
        self._name = name
        self._peer = peer
        self._stream = stream
        self._heartbeat = heartbeat
        self._limits = limits
        self._owner = os.getpid()
        self._calling = Calling(heartbeat=heartbeat, limits=limits, now=monotonic())
        self._closed = False
        _connections.add(self)

    @property
    def name(self) -> Name:
        """The name the server listens under."""
        return self._name

    @property
    def peer(self) -> Peer:
        """The server's process and user, as the kernel says."""
        return self._peer

    @property
    def closed(self) -> bool:
        """Whether the connection is known to be over, whoever ended it."""
        return self._closed or not self._calling.open

    def send(self, *messages: Message) -> Result[Process, SendError]:
        """Send the messages at once; success means that the server has folded every one of them.

        Responses that come meanwhile are kept for `wait`.
        """
        unusable = self._unusable() or self._refused(messages)
        if unusable is not None:
            return Failure(unusable)
        calling = self._calling
        before = calling.sent
        calling.send(messages)
        last = before + len(messages)
        self._run(lambda: calling.acknowledged >= last, None)
        if calling.acknowledged >= last:
            return Success(self)
        return Failure(Unacknowledged(max(0, calling.acknowledged - before), len(messages), self._ended()))

    def wait(self, timeout: float | None = None) -> Result[Message, ReceiveError]:
        """The next response, in the order they were sent; `timeout` in seconds, `None` for as long as it takes."""
        unusable = self._unusable()
        if unusable is not None:
            return Failure(unusable)
        response = self._received(self._calling.response, _deadline(timeout))
        if response is not None:
            return Success(response)
        if self._calling.open:
            return Failure(TimedOut(self._name, timeout or 0.0, "a response of"))
        return Failure(self._ended())

    def ask(self, message: Message, timeout: float | None = None) -> Result[Message, AskError]:
        """Send the message and wait for the first response to it, in `timeout` seconds together.

        Responses to other messages are left for `wait`, late ones to earlier questions too. An `Ended` means that the
        message was folded and nothing came of it; a `TimedOut` tells by `acknowledged` whether it is known to be.
        """
        unusable = self._unusable() or self._refused((message,))
        if unusable is not None:
            return Failure(unusable)
        calling, deadline = self._calling, _deadline(timeout)
        number = calling.sent + 1  # also where nothing is sent any more: the response to another is not to this
        calling.send((message,))
        response = self._received(lambda: calling.response_to(number), deadline)
        if response is not None:
            return Success(response)
        if calling.open:
            return Failure(TimedOut(self._name, timeout or 0.0, "the response of", int(calling.acknowledged >= number)))
        if calling.acknowledged >= number:
            return Failure(self._ended())
        return Failure(Unacknowledged(0, 1, self._ended()))

    def close(self) -> Result[None, CloseError]:
        """Ask the server to close and wait for its confirmation, at most `limits.drain` seconds; again does nothing."""
        if os.getpid() != self._owner:
            return Failure(UsedAfterFork(self._name, self._owner))
        if self._closed:
            return Success(None)
        calling = self._calling
        calling.close()
        self._run(lambda: False, monotonic() + self._limits.drain)
        unconfirmed = calling.open
        self._closed = True
        self._stream.close()
        if unconfirmed:
            return Failure(TimedOut(self._name, self._limits.drain, "the confirmation to close of"))
        if calling.state is State.CLOSED or calling.state is State.DISMISSED:
            return Success(None)
        return Failure(self._ended())

    def __enter__(self) -> Process:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        # A pipeline that ends in a response has nobody left to close; the server sees the stream end.
        self._stream.close()

    def __repr__(self) -> str:
        return f"<Process {self._name} pid={self._peer.pid}{' closed' if self.closed else ''}>"

    def abandon(self) -> None:
        """Close this process's copy of the socket and say nothing; part of forking."""
        self._stream.close()

    def greeted(self, deadline: float, timeout: float) -> Result[Process, ConnectError]:
        """This process once the server has greeted; part of connecting."""
        calling = self._calling
        self._run(lambda: calling.state is not State.CONNECTED, deadline)
        match calling.state:
            case State.TALKING:
                self._write()  # the acceptance leaves now: a client may think for long before its first message
                return Success(self)
            case State.BROKEN:
                return Failure(ProtocolBroken(self._name, calling.broken))
            case State.CONNECTED:
                self._stream.close()
                return Failure(TimedOut(self._name, timeout, "the greeting of"))
            case _:
                return Failure(ConnectionRefused(self._name))

    def _unusable(self) -> ProcessClosed | UsedAfterFork | None:
        if os.getpid() != self._owner:
            return UsedAfterFork(self._name, self._owner)
        return ProcessClosed(self._name) if self._closed else None

    def _refused(self, messages: tuple[Message, ...]) -> MessageTooLarge | ReservedMessage | None:
        for message in messages:
            if (refused := refusal(message, self._limits)) is not Nothing:
                return refused.unwrap()
        return None

    def _ended(self) -> Ended:
        match self._calling.state:
            case State.BROKEN:
                return ProtocolBroken(self._name, self._calling.broken)
            case State.FLOODED:
                return UnreadExceeded(self._name, self._limits.unread)
            case State.LOST:
                return ConnectionLost(self._name)
            case _:
                return ConnectionClosed(self._name)

    def _received(self, taken: Callable[[], Message | None], deadline: float | None) -> Message | None:
        while (response := taken()) is None and self._calling.open:
            if not self._step(deadline):
                response = taken()
                break
        self._shut_if_over(deadline)
        return response

    def _run(self, done: Callable[[], bool], deadline: float | None) -> None:
        """Write and read until that holds, the connection is over, or the deadline has passed."""
        while not done() and self._calling.open and self._step(deadline):
            pass
        self._shut_if_over(deadline)

    def _step(self, deadline: float | None) -> bool:
        """Write what waits and read what comes, blocking for one of them; false once the deadline has passed."""
        calling, now = self._calling, monotonic()
        calling.tick(now)
        if calling.outbox.size:
            self._write()
        if deadline is None and not calling.outbox.size:
            self._read()  # the kernel gives up when the next heartbeat may be due
            return True
        until = calling.deadline if deadline is None else min(calling.deadline, deadline)
        events = _poll(self._stream, select.POLLIN | (select.POLLOUT if calling.outbox.size else 0), until - now)
        if events & ~select.POLLOUT:
            self._read()
        return deadline is None or now < deadline

    def _write(self) -> None:
        outbox = self._calling.outbox
        try:
            outbox.sent(self._stream.send(outbox.head(), SEND_FLAGS))
        except BlockingIOError:
            pass  # the server reads nothing now: whoever calls goes on reading
        except OSError as error:
            if error.errno is None:  # not the system's, but raised by a signal's handler, as a TimeoutError may be
                raise
            outbox.mute()  # the server reads no more; what it wrote before is still to be read, then the end

    def _read(self) -> None:
        calling = self._calling
        try:
            data = self._stream.recv(read_size(calling.wanted))
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno is None:  # as above
                raise
            calling.end()
        else:
            if data:
                calling.receive(data)
            else:
                calling.end()

    def _shut_if_over(self, deadline: float | None) -> None:
        """Close the socket of a connection that is over, once its last word is written, or there is no more time for it."""
        if self._calling.open or self._stream.fileno() < 0:
            return
        drained = monotonic() + self._limits.drain
        deadline = drained if deadline is None else min(drained, deadline)
        while self._calling.outbox.size:
            self._write()
            if self._calling.outbox.size and not _poll(self._stream, select.POLLOUT, deadline - monotonic()):
                break
        self._stream.close()


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else monotonic() + timeout


def _poll(stream: socket.socket, events: int, seconds: float) -> int:
    poller = select.poll()
    poller.register(stream, events)
    ready = poller.poll(min(max(0.0, seconds), LONGEST_SLEEP) * 1000)
    return ready[0][1] if ready else 0


def _abandon() -> None:
    """Close a forked child's copies: with them open, the server would not see this end die with its process."""
    for process in list(_connections):
        process.abandon()


os.register_at_fork(after_in_child=_abandon)
