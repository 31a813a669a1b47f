"""The standard library's connections: `Listener` and `Client`, with bytes and without pickles.

Many clients are served by a thread for each, as the standard library's own managers do it: a `Listener` cannot be
waited for together with connections.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from multiprocessing import connection as library
from multiprocessing.connection import Connection, Listener
from struct import Struct
from threading import Thread, stack_size
from typing import ClassVar, Final, final

from benchmarks.contestant import ACKNOWLEDGEMENT, Client, Contestant, Wire, acknowledged
from benchmarks.peers.framing import window

_LENGTH: Final = Struct("!i")


def _frame(content: bytes) -> bytes:
    return _LENGTH.pack(len(content)) + content


class ConnectionClient(Client):
    """One connection."""

    answers_each: ClassVar[int] = 1

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def trip(self, content: bytes) -> bytes:
        """There and back."""
        self._connection.send_bytes(content)
        return self._connection.recv_bytes()

    def batch(self, contents: Sequence[bytes]) -> Sequence[bytes]:
        """As many in flight as can be without a deadlock."""
        connection, answers, ahead = self._connection, list[bytes](), window(contents)
        for index, content in enumerate(contents):
            if index >= ahead:
                answers += [connection.recv_bytes() for _ in range(self.answers_each)]
            connection.send_bytes(content)
        while len(answers) < len(contents) * self.answers_each:
            answers.append(connection.recv_bytes())
        return answers

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


@final
class AcknowledgedConnectionClient(ConnectionClient):
    """Every message is acknowledged before its answer."""

    answers_each = 2

    def batch(self, contents: Sequence[bytes]) -> Sequence[bytes]:
        """As many in flight as can be without a deadlock."""
        return acknowledged(super().batch(contents))


def acknowledge_and_answer(connection: Connection) -> None:
    """Send back all that comes, each behind its acknowledgement."""
    with connection, suppress(EOFError):
        while True:
            content = connection.recv_bytes()
            connection.send_bytes(ACKNOWLEDGEMENT)
            connection.send_bytes(content)


def answer(connection: Connection) -> None:
    """Send back all that comes."""
    with connection, suppress(EOFError):
        while True:
            connection.send_bytes(connection.recv_bytes())


class Connections(Contestant):
    """Without a key: permissions of the file decide, as everywhere else here."""

    title = "multiprocessing.connection"
    enters = frozenset({"round-trip", "pipelined", "bulk", "clients", "idle-connections", "connect", "idle-server"})
    wire = Wire(_frame, _frame)
    key: ClassVar[bytes | None] = None

    def serve(self, address: str) -> None:
        """One client after the other."""
        with Listener(address, "AF_UNIX", backlog=4096, authkey=self.key) as listener:
            while True:
                answer(listener.accept())

    def serve_many(self, address: str) -> None:
        """A thread for each client."""
        stack_size(2**18)  # thousands of them
        with Listener(address, "AF_UNIX", backlog=4096, authkey=self.key) as listener:
            while True:
                Thread(target=answer, args=(listener.accept(),), daemon=True).start()

    def connect(self, address: str) -> ConnectionClient:
        """A connection."""
        return ConnectionClient(library.Client(address, "AF_UNIX", authkey=self.key))


@final
class AcknowledgingConnections(Connections):
    """With acknowledgements, which the library cannot write together with the answers."""

    title = "multiprocessing.connection, acknowledging"
    enters = frozenset({"acknowledged"})

    def serve(self, address: str) -> None:
        """One client after the other."""
        with Listener(address, "AF_UNIX", backlog=4096) as listener:
            while True:
                acknowledge_and_answer(listener.accept())

    def connect(self, address: str) -> ConnectionClient:
        """A connection."""
        return AcknowledgedConnectionClient(library.Client(address, "AF_UNIX"))


@final
class KeyedConnections(Connections):
    """With a key, which both ends prove to have."""

    title = "multiprocessing.connection, authkey"
    enters = frozenset({"connect"})
    key = b"any secret will do"


CONTESTANTS: Final = (Connections(), AcknowledgingConnections(), KeyedConnections())
