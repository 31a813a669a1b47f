"""Moves the bytes of a client's connection over a blocking socket, in both directions at once.

Nothing runs in the background: bytes move only while `run` runs a verb. A signal handler may raise an exception between any
two lines. While `run` waits for bytes, the usual case, such an exception harms nothing. Anywhere else it ends the
connection, because this end no longer knows which bytes were moved.
"""

from __future__ import annotations

import select
import socket
from collections import deque
from time import monotonic
from typing import Final, TypeVar, final

from ipcfold.core.client_connection import ClientConnection
from ipcfold.core.plain import heard, sent
from ipcfold.core.verbs import Steps
from ipcfold.limits import Limits
from ipcfold.local.memory import KEPT
from ipcfold.local.stream import LARGE, LONGEST_SLEEP, READ_SIZE, SEND_FLAGS, shut, widen
from ipcfold.message import Message

T = TypeVar("T")

_READ_SIZES: Final = (READ_SIZE,)


@final
class Driver:
    """A client's connection and its socket."""

    __slots__ = ("_arrived", "_drain", "_poller", "_wide", "connection", "idle", "stream")

    def __init__(self, stream: socket.socket, heartbeat: float, limits: Limits) -> None:
        """The stream needs a receive timeout of `heartbeat` seconds."""
        self.stream = stream
        self.connection = ClientConnection(heartbeat=heartbeat, limits=limits, now=monotonic(), memory=KEPT)
        self._drain = limits.drain
        self._wide = False
        self._arrived = deque[bytes | int]()  # read but not given to the connection yet: bytes, or a count of them
        self._poller: select.poll | None = None  # created on first use
        self.idle = True
        """Whether an exception harms nothing now: no bytes are being moved. The caller sets it when its use is done."""

    def run(self, steps: Steps[T]) -> T:
        """Run a verb, and block until it has its result."""
        self.idle = False
        try:
            until = next(steps)
            while True:
                self._step(until)
                until = steps.send(0.0 if until is None else monotonic())
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            steps.close()  # an exception may keep it alive

    def exchange(self, message: Message, deadline: float | None) -> bool:
        """Send a plain message, and wait once for what comes: what `run` does in the usual case, in fewer calls.

        Returns whether the message is sent or queued. Otherwise nothing is done, and `run` takes every case.
        """
        connection, now = self.connection, monotonic()
        if self._arrived:
            return False
        self.idle = False
        frame = sent(connection, message, now)
        if frame is None:
            return False
        try:
            written = self.stream.send(frame, SEND_FLAGS)
        except OSError as error:
            if error.errno is None:  # a signal handler raised it, see `write`
                raise
            written = 0  # to write it again gives the same error again
        if written < len(frame):
            connection.outbox.add(frame[written:])
        elif deadline is None or self._poll(select.POLLIN, min(connection.deadline, deadline) - now):
            self._read()
            if not connection.open:
                self._shut(deadline)
        return True

    def _step(self, deadline: float | None) -> None:
        """Write or read once, and block until one of them is possible, or until the deadline."""
        connection, outbox = self.connection, self.connection.outbox
        if not outbox.size and (now := monotonic()) >= connection.deadline:
            connection.tick(now)
        if outbox.size:
            self.write()
        if self._arrived:
            self._take()
        elif deadline is None and not outbox.size:
            self._read()  # the receive timeout of the socket ends it when the next heartbeat may be due
        else:  # a receive timeout cannot keep a deadline: Python repeats the read after each signal, and the timeout starts again
            now = monotonic()
            connection.tick(now)
            until = connection.deadline if deadline is None else min(connection.deadline, deadline)
            if self._poll(select.POLLIN | (select.POLLOUT if outbox.size else 0), until - now) & ~select.POLLOUT:
                self._read()
        if not connection.open:
            self._shut(deadline)

    def arrived(self, data: bytes) -> None:
        """Take these bytes, which the accelerator has read."""
        self.connection.receive(data)
        if not self.connection.open:
            self._shut(None)

    def mend(self) -> None:
        """End the connection, because an exception interrupted the last use while bytes were being moved."""
        self.connection.interrupt()
        shut(self.stream)

    def write(self) -> None:
        """Write as much of the outbox as the socket takes."""
        outbox = self.connection.outbox
        if outbox.size > LARGE and not self._wide:
            self._wide = True
            widen(self.stream)
        try:
            outbox.sent(self.stream.send(outbox.head(), SEND_FLAGS))
        except BlockingIOError:
            pass  # the server does not read now; the caller goes on reading
        except OSError as error:
            if error.errno is None:  # a signal handler raised it, as it may raise a TimeoutError; it is not from the system call
                raise
            outbox.mute()  # the server reads no more, or the system refused; what the server wrote before can still be read
            self._hang_up()

    def _hang_up(self) -> None:
        """Let the server see the end of this stream. It then closes its own, so that reading ends, too."""
        try:
            self.stream.shutdown(socket.SHUT_WR)
        except OSError as error:
            if error.errno is None:  # as above
                raise
            self._arrived.append(0)

    def _read(self) -> None:
        # One call of C code reads and stores the bytes. A signal handler, which may raise, runs before or after it,
        # so that no bytes are lost between the two.
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
        arrived, connection = self._arrived.popleft(), self.connection
        if not arrived:
            connection.end()
        elif type(arrived) is bytes:
            if not heard(connection, arrived):
                connection.receive(arrived)
        elif isinstance(arrived, int):
            connection.filled(arrived)

    def _poll(self, events: int, seconds: float) -> int:
        if self._poller is None:
            self._poller = select.poll()
        self._poller.register(self.stream, events)  # a second call changes the events
        self.idle = True
        try:
            ready = self._poller.poll(min(max(0.0, seconds), LONGEST_SLEEP) * 1000)
        except OSError as error:
            if error.errno is None:  # as above
                raise
            ready = []
            self._arrived.append(0)  # without waiting, the stream cannot be used
        self.idle = False
        return ready[0][1] if ready else 0

    def _shut(self, deadline: float | None) -> None:
        """Close the socket of a connection that is over, once the outbox is written or the time for that has passed."""
        drained = monotonic() + self._drain
        deadline = drained if deadline is None else min(drained, deadline)
        while self.connection.outbox.size:
            self.write()
            if self.connection.outbox.size and not self._poll(select.POLLOUT, deadline - monotonic()):
                break
        shut(self.stream)
