"""Drives the connections of a server: writes to their transports, watches them, and closes them.

A transport is a socket, or its replacement in a test. This is the only code that turns the answers of the core into
writes, so that every shell and every test drives the core in the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar, final

from ipcfold.core.server import ServerCore, Turn
from ipcfold.core.server_connection import ServerConnection

C = TypeVar("C")

# The events as `poll` and `epoll` number them. An error or the end of a stream counts as both: the next read or write
# tells which of them it is.
READ: Final = 1
WRITE: Final = 4


class Transport(Protocol):
    """The stream of one connection. None of its methods blocks."""

    interest: int
    """The argument of the last call of `watch`; 0 before the first call."""

    def send(self, data: bytes | memoryview) -> int:
        """Write some of these bytes, and return how many; 0 if none can be written now. A failure is an event of the connection."""

    def watch(self, interest: int) -> None:
        """Wait for `READ`, `WRITE`, both or neither from now on."""

    def close(self) -> None:
        """Close the stream."""


@final
class Transports(Generic[C]):
    """The transports of a server's connections."""

    __slots__ = ("_core", "_transports", "_withdraw")

    def __init__(self, core: ServerCore[C], withdraw: Callable[[], object] = lambda: None) -> None:
        """`withdraw` gives the server's name up, before a client is asked to close. It may be called again."""
        self._core = core
        self._withdraw = withdraw
        self._transports: dict[int, Transport] = {}

    def add(self, end: ServerConnection, transport: Transport) -> None:
        """Add the transport of a new connection."""
        self._transports[end.peer.connection] = transport

    def __len__(self) -> int:
        return len(self._transports)

    def abandon(self) -> None:
        """Close this process's copies of the streams, which other processes may go on using."""
        for transport in self._transports.values():
            transport.interest = 0  # the other processes share the poller, so this process must not change it
            transport.close()

    def settle(self, now: float, heard: float) -> Turn[C]:
        """Take turns and look after the connections that they name, until nothing changes; see `ServerCore.turn`."""
        core = self._core
        while True:
            turn = core.turn(now, heard)
            if not core.accepting:
                self._withdraw()
            for end in turn[1]:
                transport = self._transports.get(end.peer.connection)
                if transport is not None:
                    self._look_after(end, transport, now)
                else:  # an interrupt came between the two steps of adding it
                    core.disconnect(end)
            if not core.shared.changed and (turn[0] is not None or not core.waiting):
                return turn

    def write(self, end: ServerConnection, now: float) -> None:
        """Write, because the transport can take more."""
        self._look_after(end, self._transports[end.peer.connection], now)

    def _look_after(self, end: ServerConnection, transport: Transport, now: float) -> None:
        outbox = end.outbox
        while outbox.size and (count := transport.send(outbox.head())):
            end.wrote(count, now)
        if transport.interest == READ and end.hearing and not outbox.size:
            return  # the usual case
        if end.over:
            del self._transports[end.peer.connection]
            transport.close()
            self._core.disconnect(end)
        elif (interest := (READ if end.reading else 0) | (WRITE if outbox.size else 0)) != transport.interest:
            transport.watch(interest)
