"""Moving the bytes of a connection end over a blocking socket, in both directions at once where both have some.

Nothing runs in the background: bytes move while `step` does. An exception may strike between any two steps, since the
handler of a signal may raise. It harms nothing while waiting for bytes, and that is when it usually comes; anywhere
else the connection is ended, because nobody could tell any more which bytes went.
"""

from __future__ import annotations

import select
import socket
from collections import deque
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final, TypeVar, final

from ipcfold.core.client_connection import ClientConnection
from ipcfold.limits import Limits
from ipcfold.local.stream import LARGE, LONGEST_SLEEP, READ_SIZE, SEND_FLAGS, widen
from ipcfold.message import Message

T = TypeVar("T")

_READ_SIZES: Final = (READ_SIZE,)


@final
class Driver:
    """One connection end and its socket."""

    __slots__ = ("_arrived", "_drain", "_poller", "_wide", "connection", "idle", "stream")

    def __init__(self, stream: socket.socket, heartbeat: float, limits: Limits) -> None:
        """Reading from the stream must give up after `heartbeat` seconds."""
        self.stream = stream
        self.connection = ClientConnection(heartbeat=heartbeat, limits=limits, now=monotonic())
        self._drain = limits.drain
        self._wide = False
        self._arrived = deque[bytes | int]()  # read, or how much was read into the room, and not given to the connection end yet
        self._poller: select.poll | None = None  # made when it is needed
        self.idle = True
        """Whether an exception harms nothing now: nothing is under way, or it waits for bytes. Whoever uses it says when he is through."""

    def send(self, messages: Sequence[Message]) -> None:
        """Queue these messages, or raise what `Encoder.encode` does."""
        frames = self.connection.encode(messages)
        self.idle = False
        self.connection.send(frames, len(messages))
        if self.connection.outbox.size > LARGE and not self._wide:
            self._wide = True
            widen(self.stream)

    def close(self) -> None:
        """Queue the question to close."""
        self.idle = False
        self.connection.close()

    def until(self, found: Callable[[], T | None], deadline: float | None) -> T | None:
        """Write and read until there is something to be found, the connection is over, or the deadline has passed."""
        while (result := found()) is None and self.connection.open:
            if not self.step(deadline):
                return found()
        return result

    def step(self, deadline: float | None) -> bool:
        """Write what waits and read what comes, blocking for one of them; false once the deadline has passed."""
        self.idle = False
        connection, outbox = self.connection, self.connection.outbox
        if not outbox.size and (now := monotonic()) >= connection.deadline:
            connection.tick(now)
        if outbox.size:
            self.write()
        if self._arrived:
            self._take()
        elif deadline is None and not outbox.size:
            self._read()  # the kernel gives up when the next heartbeat may be due
        else:  # that is no way to keep a deadline: behind each signal Python reads anew, and the kernel's time begins anew
            now = monotonic()
            connection.tick(now)
            until = connection.deadline if deadline is None else min(connection.deadline, deadline)
            if self._poll(select.POLLIN | (select.POLLOUT if outbox.size else 0), until - now) & ~select.POLLOUT:
                self._read()
        if not connection.open:
            self._shut(deadline)
        return deadline is None or monotonic() < deadline

    def mend(self) -> None:
        """An exception struck during the last use where it harms, so that it is not idle: the connection is over."""
        self.connection.interrupt()
        self.stream.close()

    def write(self) -> None:
        """Write what the socket takes of what waits."""
        outbox = self.connection.outbox
        try:
            outbox.sent(self.stream.send(outbox.head(), SEND_FLAGS))
        except BlockingIOError:
            pass  # the server reads nothing now: whoever calls goes on reading
        except OSError as error:
            if error.errno is None:  # not the system's, but raised by a signal's handler, as a TimeoutError may be
                raise
            outbox.mute()  # the server reads no more; what it wrote before is still to be read, then the end

    def _read(self) -> None:
        # All in one call of C code: a signal's handler, which may raise, runs before bytes are taken from the
        # socket or after they are kept, and never between.
        room = self.connection.room()
        self.idle = True
        try:
            if room is None:
                self._arrived.extend(map(self.stream.recv, _READ_SIZES))
            else:
                self._arrived.extend(map(self.stream.recv_into, (room,)))
        except BlockingIOError:
            self.idle = False
            self.connection.overdue(monotonic())
        except OSError as error:
            if error.errno is None:  # as above
                raise
            self._arrived.append(0)
        self.idle = False
        if self._arrived:
            self._take()

    def _take(self) -> None:
        arrived = self._arrived.popleft()
        if not arrived:
            self.connection.end()
        elif isinstance(arrived, bytes):
            self.connection.receive(arrived)
        else:
            self.connection.filled(arrived)

    def _poll(self, events: int, seconds: float) -> int:
        if self._poller is None:
            self._poller = select.poll()
        self._poller.register(self.stream, events)  # again: changes the events
        self.idle = True
        ready = self._poller.poll(min(max(0.0, seconds), LONGEST_SLEEP) * 1000)
        self.idle = False
        return ready[0][1] if ready else 0

    def _shut(self, deadline: float | None) -> None:
        """Close the socket of a connection that is over, once its last word is written, or there is no more time for it."""
        drained = monotonic() + self._drain
        deadline = drained if deadline is None else min(drained, deadline)
        while self.connection.outbox.size:
            self.write()
            if self.connection.outbox.size and not self._poll(select.POLLOUT, deadline - monotonic()):
                break
        self.stream.close()
