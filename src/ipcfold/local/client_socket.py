"""The socket of one client of a server, as the transport of its connection."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, TypeVar, final

from ipcfold.continuation import Continuation
from ipcfold.core.fold import Ask
from ipcfold.core.plain import begun, kept
from ipcfold.core.server import ServerCore
from ipcfold.core.server_connection import ServerConnection
from ipcfold.core.transports import READ, WRITE, Transports
from ipcfold.local.log import Log
from ipcfold.local.poller import Poller
from ipcfold.local.stream import LARGE, READ_SIZE, SEND_FLAGS, shut, widen

C = TypeVar("C")


@final
class ClientSocket:
    """The transport of one client: its socket."""

    __slots__ = ("_end", "_log", "_lost", "_now", "_poller", "_stream", "_wide", "interest")

    def __init__(self, stream: socket.socket, end: ServerConnection, poller: Poller[object], log: Log, now: Callable[[], float]) -> None:
        """`now` gives the time of the server."""
        self._stream = stream
        self._end = end
        self._poller = poller
        self._log = log
        self._now = now
        self._lost = False  # whether the client is known to be gone; reading and writing both find out
        self._wide = False
        self.interest = 0

    def send(self, data: bytes | memoryview) -> int:
        """See `Transport`."""
        if self._end.outbox.size > LARGE and not self._wide:
            self._wide = True
            widen(self._stream)
        try:
            return self._stream.send(data, SEND_FLAGS)
        except BlockingIOError:
            return 0
        except (BrokenPipeError, ConnectionResetError):
            self._end.unheard()
            self._lose()
        except OSError as error:  # part of the stream is lost
            self._end.abort(f"the system refused to write to it: {error.strerror}", self._now())
        return 0

    def watch(self, interest: int) -> None:
        """See `Transport`."""
        try:
            if not self.interest:
                self._poller.watch(self._stream, interest, self)
            elif not interest:
                self._poller.forget(self._stream)
            else:
                self._poller.change(self._stream, interest, self)
        except OSError:  # drop only this client
            self._end.abort("the system watches no more sockets", self._now())
            return
        self.interest = interest

    def close(self) -> None:
        """See `Transport`."""
        try:
            if self.interest:
                self._poller.forget(self._stream)
        finally:
            self.interest = 0
            shut(self._stream)

    def happened(self, events: int, transports: Transports[Any], now: float) -> None:  # Any: of whatever carry
        """Write and read, as the poller says that it is possible."""
        end = self._end
        if self.interest & WRITE and events & ~READ:
            transports.write(end, now)
        # Writing may have changed the interest, or closed the socket.
        if self.interest & READ and events & ~WRITE and not end.waiting and not end.behind:
            try:
                self._read(end, now)
            except MemoryError:
                pass  # the traceback keeps memory until this block is left
            else:
                return
            end.abort("there is no memory left for what it sends", now)

    def begin(self, core: ServerCore[C], now: float, time: float) -> Ask[C] | None:
        """Read, and begin with the message, if it is plain and all that came; see `plain.begun`. Otherwise, what came is handled later."""
        end = self._end
        if end.waiting or end.behind or end.growing:
            return None
        try:
            data = self._stream.recv(READ_SIZE)
            asked = begun(core, end, data, now, time)
            if asked is None and data:
                end.receive(data, now)
        except ConnectionResetError:  # the system tells it once
            self._lose()
            return None
        except OSError:
            return None
        except MemoryError:
            pass  # as above
        else:
            return asked
        end.abort("there is no memory left for what it sends", now)
        return None

    def keep(self, core: ServerCore[C], answer: Continuation[C], now: float) -> bool | None:
        """Take the answer to the message that has begun, and write it, if it is plain; see `plain.kept`.

        Returns whether all of it is written; `None` if it is not taken.
        """
        data = kept(core, self._end, answer, now)
        if data is None:
            return None
        try:
            written = self._stream.send(data, SEND_FLAGS)
        except OSError:
            written = 0  # to write it again fails again
        if written == len(data):
            return True
        self._end.owe(data[written:])
        return False

    @property
    def told(self) -> bool:
        """Whether the core has events of this connection to handle."""
        return self._end.told

    def rest(self) -> None:
        """Read nothing more until the message of this client that waits is folded. The poller would name the socket all the time."""
        if self.interest & READ and (self._end.waiting or self._end.behind):
            self.watch(self.interest & ~READ)

    def _read(self, end: ServerConnection, now: float) -> None:
        room = end.room()
        try:
            if room is None:
                data = self._stream.recv(READ_SIZE)
                if data:
                    end.receive(data, now)
                    return
            elif count := self._stream.recv_into(room):
                end.filled(count, now)
                return
        except BlockingIOError:
            return
        except OSError:  # a reset connection is treated as one that ended
            self._lose()
        end.end()

    def _lose(self) -> None:
        if not self._lost:
            self._lost = True
            self._log.lost(self._end.peer)
