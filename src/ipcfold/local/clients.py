"""The sockets of a server's clients: reads, writes and closes them."""

from __future__ import annotations

import socket
from time import monotonic
from typing import Final, Generic, TypeVar, final

from ipcfold.core.server import ServerCore
from ipcfold.core.server_connection import ServerConnection, State
from ipcfold.local.log import ServerLog
from ipcfold.local.poller import Poller
from ipcfold.local.stream import LARGE, READ, READ_SIZE, SEND_FLAGS, WRITE, widen

C = TypeVar("C")

_TALKING: Final = State.TALKING


@final
class ClientSocket:
    """One accepted socket and its connection."""

    __slots__ = ("end", "interest", "lost", "stream", "wide")

    def __init__(self, stream: socket.socket, end: ServerConnection) -> None:
        self.stream = stream
        self.end = end
        self.interest = 0
        self.wide = False
        self.lost = False  # whether the client is known to be gone; reading and writing both find out


@final
class ClientSockets(Generic[C]):
    """All client sockets, by the number of their connection."""

    def __init__(self, core: ServerCore[C], poller: Poller[object], log: ServerLog) -> None:
        self._core = core
        self._poller = poller
        self._log = log
        self._clients = dict[int, ClientSocket]()

    def add(self, stream: socket.socket, end: ServerConnection) -> None:
        """Add an accepted client."""
        self._clients[end.peer.connection] = ClientSocket(stream, end)
        self._log.connected(end.peer)

    def happened(self, client: ClientSocket, events: int, now: float) -> None:
        """Write and read, as the poller says that it is possible."""
        if client.interest & WRITE and events & ~READ:
            self._look_after(client)
        if client.interest & READ and events & ~WRITE:  # writing may have changed the interest, or closed the socket
            self._read(client, now)

    def settle(self) -> None:
        """Write to, watch or close every connection that has changed."""
        while ends := self._core.attention():
            for end in ends:
                client = self._clients.get(end.peer.connection)
                if client is not None:
                    self._look_after(client)
                else:  # an interrupt came between accepting the client and adding it
                    self._core.forget(end.peer.connection)

    def abandon(self) -> None:
        """Close every socket. In a forked child these are copies, so the parent is not affected."""
        for client in self._clients.values():
            client.stream.close()

    def _read(self, client: ClientSocket, now: float) -> None:
        """Read; if memory runs out, drop only this client."""
        try:
            self._receive(client, now)
        except MemoryError:
            pass  # the traceback keeps memory until this block is left
        else:
            return
        client.end.abort("there is no memory left for what it sends", now)
        self._drop(client)

    def _receive(self, client: ClientSocket, now: float) -> None:
        end = client.end
        if end.waiting or end.behind:
            return
        room, data = end.room(), b""
        try:
            if room is None:
                data = client.stream.recv(READ_SIZE)
                count = len(data)
            else:
                count = client.stream.recv_into(room)
        except BlockingIOError:
            return
        except OSError:  # a reset connection is treated as one that ended
            self._lose(client)
            count = 0
        if not count:
            self._core.end(end.peer.connection, now)
        elif room is None:
            self._core.receive(end.peer.connection, data, now)
        else:
            self._core.filled(end.peer.connection, count, now)

    def _lose(self, client: ClientSocket) -> None:
        if client.lost:
            return
        client.lost = True
        self._log.lost(client.end.peer)

    def _look_after(self, client: ClientSocket) -> None:
        end, outbox = client.end, client.end.outbox
        if waiting := outbox.size:
            clogged = end.clogged
            if waiting > LARGE and not client.wide:
                client.wide = True
                widen(client.stream)
            while outbox.size:
                try:
                    outbox.sent(client.stream.send(outbox.head(), SEND_FLAGS))
                except BlockingIOError:
                    break
                except (BrokenPipeError, ConnectionResetError):
                    outbox.mute()  # the client reads no more; what it wrote before is still folded
                    self._lose(client)
                except OSError:  # the system has no memory for the write: drop the client, because part of its stream is lost
                    self._drop(client)
                    return
            if (clogged or end.state is not _TALKING) and outbox.size < waiting:
                self._core.wrote(end.peer.connection, monotonic())
        if end.hearing and client.interest == READ and not outbox.size:
            return  # the usual case
        if end.over:
            self._drop(client)
        elif (interest := (READ if end.reading else 0) | (WRITE if outbox.size else 0)) != client.interest:
            self._watch(client, interest)

    def _watch(self, client: ClientSocket, interest: int) -> None:
        if not client.interest:
            try:
                self._poller.watch(client.stream, interest, client)
            except OSError:  # the system watches no more sockets: drop only this client
                self._drop(client)
                return
        elif not interest:
            self._poller.forget(client.stream)
        else:
            self._poller.change(client.stream, interest, client)
        client.interest = interest

    def _drop(self, client: ClientSocket) -> None:
        if client.interest:
            self._poller.forget(client.stream)
        client.interest = 0
        client.stream.close()
        connection = client.end.peer.connection
        del self._clients[connection]
        self._core.forget(connection)
        self._log.disconnected(client.end)
