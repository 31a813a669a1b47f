"""Moves the bytes of a client's connection over a socket that an event loop watches.

- It always reads, so that an answer is here before the stream ends, and so that a closed connection leaves no bytes unread.
- All that the tasks write in one turn of the loop leaves together. A task that is alone does not wait for the end of the turn.
- A task that is cancelled ends only its own wait. The bytes that it has given are still written, and never twice.
"""

from __future__ import annotations

import os
import socket
from asyncio import AbstractEventLoop, Future
from threading import get_ident
from typing import Final, TypeAlias, TypeVar, final
from weakref import WeakSet

from ipcfold.accelerator import accelerate
from ipcfold.core.client_connection import ClientConnection
from ipcfold.core.exchange import Exchange
from ipcfold.core.verbs import Steps
from ipcfold.limits import Limits
from ipcfold.local.clock import Clock, Timer
from ipcfold.local.memory import KEPT
from ipcfold.local.stream import LARGE, READ_SIZE, SEND_FLAGS, shut, widen
from ipcfold.message import Message

T = TypeVar("T")

Waiting: TypeAlias = Future[Message | None]
"""What a task awaits: the answer that it asked for, or a look at what has changed."""

_channels: Final[WeakSet[Channel]] = WeakSet()


@final
class Channel:
    """A client's connection, its socket, and the loop that watches it."""

    __slots__ = (
        "__weakref__",
        "_changed",
        "_clock",
        "_descriptor",
        "_drain",
        "_lone",
        "_over",
        "_scheduled",
        "_thread",
        "_timer",
        "_wide",
        "_writing",
        "closing",
        "connection",
        "exchange",
        "forked",
        "loop",
        "now",
        "stream",
    )

    def __init__(self, loop: AbstractEventLoop, stream: socket.socket, heartbeat: float, limits: Limits, clock: Clock) -> None:
        """The stream does not block."""
        self.loop = loop
        self.stream = stream
        self._clock = clock
        self.now: Final = clock.monotonic
        """The time."""
        self.connection = ClientConnection(heartbeat=heartbeat, limits=limits, now=self.now(), memory=KEPT)
        self.exchange: Final = Exchange[Waiting](self.connection)
        self.closing = False
        """Whether this end has begun to close."""
        self.forked = False
        """Whether this process is a forked child of the one that connected."""
        self._drain = limits.drain
        self._descriptor = stream.fileno()  # uvloop would not close in a forked child what it watches as a socket
        self._thread = get_ident()
        self._changed: list[Waiting] = []  # of the verbs that look at every change
        self._timer: Timer | None = None  # of the next heartbeat, while a task waits
        self._scheduled = False  # whether the end of this turn writes
        self._lone = False  # whether the last bytes woke one task, and no other waits
        self._writing = False  # whether the loop watches for room to write
        self._wide = False
        self._over = False
        loop.add_reader(self._descriptor, self._readable)
        _channels.add(self)

    async def run(self, steps: Steps[T]) -> T:
        """Run a verb that looks at every change. Its bytes leave at once."""
        try:
            until = next(steps)
            while True:
                self._write()
                waiting: Waiting = self.loop.create_future()
                self._changed.append(waiting)
                await (self.watch(waiting) if until is None else self.until(waiting, until))
                until = steps.send(self.now())
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            steps.close()

    def watch(self, waiting: Waiting) -> Waiting:
        """What to await, so that heartbeats leave meanwhile."""
        if self._over:
            if not waiting.done():
                waiting.set_result(None)
        elif self._timer is None:
            self._watch_silence()
        return waiting

    async def until(self, waiting: Waiting, deadline: float) -> Message | None:
        """Wait until this is woken, or until the deadline."""
        self.watch(waiting)
        timer = self._clock.call_at(self.loop, deadline, self._expire, waiting)
        try:
            return await waiting
        finally:
            timer.cancel()

    def send(self, frames: list[bytes], count: int) -> None:
        """Write these frames of so many messages, together with what else is written in this turn."""
        connection = self.connection
        if self._lone:
            self._lone = False
            if count == len(frames) == 1 and not connection.outbox.size and connection.open:  # the usual case
                try:
                    connection.wrote(frames[0], self.stream.send(frames[0], SEND_FLAGS))
                except OSError:  # `_write` finds out which
                    connection.send(frames, count)
            else:
                connection.send(frames, count)
            self._write()
            return
        connection.send(frames, count)
        if self._scheduled:
            return
        if not self._over:
            self._scheduled = True
            self.loop.call_soon(self._flush)

    @accelerate("ask_alone")
    def ask(self, message: Message) -> Waiting | None:
        """Write this message, and return what to await for its answer, unless the connection is over. This raises a `RefusedError`."""
        connection, number = self.connection, self.connection.sent + 1
        frames = connection.encode((message,))
        if not connection.open:
            return None
        self.send(frames, 1)
        waiting: Waiting = self.loop.create_future()
        self.exchange.ask(number, waiting)
        return self.watch(waiting)

    def wake(self) -> None:
        """Wake the tasks whose time has come."""
        due = self.exchange.due()
        for waiting, response in due:
            if not waiting.done():  # otherwise it is cancelled, so that nobody waits for this response
                waiting.set_result(response)
        self._lone = len(due) == 1 and not self.exchange.busy

    def begin_to_close(self) -> None:
        """Wake all other tasks, because this end closes the connection."""
        self.closing = True
        self._wake_all()

    def drop(self) -> None:
        """Close the socket at once; any thread may call this."""
        if self.forked or self.loop.is_closed():
            shut(self.stream)
        elif get_ident() == self._thread:
            self._shut()
        else:
            try:
                self.loop.call_soon_threadsafe(self._shut)
            except RuntimeError:  # the loop was closed meanwhile
                shut(self.stream)

    def abandon(self) -> None:
        """Close this process's copy of the socket. A forked child calls this; it shares the parent's poller, so it must not change that."""
        self.forked = self._over = True
        self.connection.end()
        shut(self.stream)

    @accelerate("hear_tasks")
    def _readable(self) -> None:
        connection = self.connection
        try:
            room = connection.room()
            try:
                if room is None:
                    data = self.stream.recv(READ_SIZE)
                    if data:
                        connection.receive(data)
                    else:
                        connection.end()
                elif count := self.stream.recv_into(room):
                    connection.filled(count)
                else:
                    connection.end()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno is None:  # a signal handler raised it; it is not from the system call
                    raise
                connection.end()  # a reset connection is treated as one that ended
        except BaseException:  # a signal handler raised it, or there is no memory: nobody knows which bytes were taken
            connection.interrupt()
            self._advance()
            raise
        self._advance()

    def _advance(self) -> None:
        """Look after what has changed."""
        self.wake()
        if self._changed:
            self._wake_changed()
        if self.connection.outbox.size and not self._writing:
            self._write()
        if not self.connection.open and not self._over:
            self._end()

    def _wake_changed(self) -> None:
        changed, self._changed = self._changed, []
        for waiting in changed:
            if not waiting.done():
                waiting.set_result(None)

    def _wake_all(self) -> None:
        for waiting in self.exchange.everyone():
            if not waiting.done():
                waiting.set_result(None)

    def _flush(self) -> None:
        self._scheduled = False
        self._write()

    def _write(self) -> None:
        """Write as much of the outbox as the socket takes at once, and watch for room for the rest."""
        outbox = self.connection.outbox
        if not outbox.size or self._writing or self.stream.fileno() < 0:
            return
        self._send()
        if outbox.size:
            self._writing = True
            self.loop.add_writer(self._descriptor, self._writable)

    def _writable(self) -> None:
        self._send()
        if not self.connection.outbox.size:
            self._writing = False
            self.loop.remove_writer(self._descriptor)
            if self._over:
                self._shut()

    def _send(self) -> None:
        outbox = self.connection.outbox
        if outbox.size > LARGE and not self._wide:
            self._wide = True
            widen(self.stream)
        try:
            outbox.sent(self.stream.send(outbox.head(), SEND_FLAGS))
        except BlockingIOError:
            pass
        except OSError:
            outbox.mute()  # the server reads no more, or the system refused; what the server wrote before can still be read
            try:
                self.stream.shutdown(socket.SHUT_WR)  # the server then closes its own end, so that reading ends, too
            except OSError:
                self.connection.end()
                self.loop.call_soon(self._advance)

    def _watch_silence(self) -> None:
        """Send a heartbeat when one is due, as long as a task waits."""
        now = self.now()
        if now >= self.connection.deadline:
            self.connection.tick(now)
            self._write()
        self._timer = self._clock.call_at(self.loop, self.connection.deadline, self._beat)

    def _beat(self) -> None:
        self._timer = None
        if self._over:
            return
        self.connection.tick(self.now())
        self._write()
        if self.exchange.busy or self._changed:
            self._watch_silence()

    def _expire(self, waiting: Waiting) -> None:
        """A deadline has come. What has arrived before it counts."""
        if not waiting.done() and not self._over:
            self._readable()
        if not waiting.done():
            waiting.set_result(None)

    def _end(self) -> None:
        """The connection is over: close the socket, once the outbox is written or the time for that has passed."""
        self._over = True
        self._wake_all()
        self._stop_timer()
        self.loop.remove_reader(self._descriptor)
        if self._writing:
            self._timer = self._clock.call_at(self.loop, self.now() + self._drain, self._shut)
        else:
            self._shut()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _shut(self) -> None:
        """Close the socket, and wake whoever still waits."""
        if self.forked or self.stream.fileno() < 0:
            return
        self._over = True
        self._stop_timer()
        if not self.loop.is_closed():
            self.loop.remove_reader(self._descriptor)
            if self._writing:
                self.loop.remove_writer(self._descriptor)
        shut(self.stream)
        self.connection.end()
        self._wake_all()
        self._wake_changed()


def _abandon() -> None:
    """Close a forked child's copies. Otherwise the server would not see the stream end when the parent dies."""
    for channel in list(_channels):
        channel.abandon()


os.register_at_fork(after_in_child=_abandon)
