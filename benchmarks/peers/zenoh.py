"""zenoh over a unix socket: queries for one request at a time, and publications both ways for many.

A publication is not acknowledged. `put` succeeds when nobody listens. By default it drops what does not fit into a queue; here it
waits, as in the library's own examples. After five seconds of waiting it closes the connection, and still raises nothing.
A query tells nobody that there is no server: it has no reply.

The library keeps a file in /dev/shm after a process that was killed, so its processes end themselves when they are told to.
Messages from 3 KiB on go through shared memory, which is the usual setting; the unix socket says where they are.
Discovery is off: the client is told the address. Answers are published to all who listen, so that one client is measured.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from threading import Event
from time import monotonic, sleep
from types import MappingProxyType
from typing import ClassVar, Final, final

import zenoh

from benchmarks.contestant import ACKNOWLEDGEMENT, PATIENCE, Client, Contestant, acknowledged, end_when_told

_BLOCK: Final = zenoh.CongestionControl.BLOCK
_ECHO: Final = "bench/echo"
_PING: Final = "bench/ping"
_PONG: Final = "bench/pong"
_ONE: Final = "a session here has threads and a connection of its own, and answers go to all sessions; one client is measured"


def _opened(mode: str, way: str, address: str) -> zenoh.Session:
    end_when_told()
    config = zenoh.Config()
    settings = {"mode": mode, f"{way}/endpoints": [f"unixsock-stream/{address}"]}
    for key, value in {**settings, "scouting/multicast/enabled": False, "scouting/gossip/enabled": False}.items():
        config.insert_json5(key, json.dumps(value))
    try:
        return zenoh.open(config)
    except zenoh.ZError as error:
        raise ConnectionRefusedError(str(error)) from error


def _matched(declared: zenoh.Querier | zenoh.Publisher) -> None:
    """Wait until the server's declarations have come."""
    deadline = monotonic() + PATIENCE
    while not declared.matching_status.matching:
        if monotonic() > deadline:
            raise TimeoutError("its server declares nothing")
        sleep(0.0005)


@final
class QueryClient(Client):
    """One session that queries."""

    def __init__(self, address: str) -> None:
        self._session = _opened("client", "connect", address)
        self._querier = self._session.declare_querier(_ECHO, timeout=PATIENCE)
        _matched(self._querier)

    def trip(self, content: bytes) -> bytes:
        """One query, which has one reply."""
        for reply in self._querier.get(payload=content):
            if reply.ok is not None:
                return reply.ok.payload.to_bytes()
        raise ConnectionError("no reply")

    def close(self) -> None:
        """End the session."""
        self._session.close()


class PutClient(Client):
    """One session that publishes, and subscribes to the answers."""

    answers_each: ClassVar[int] = 1

    def __init__(self, address: str) -> None:
        self._session = _opened("client", "connect", address)
        self._answers = self._session.declare_subscriber(_PONG)
        self._publisher = self._session.declare_publisher(_PING, congestion_control=_BLOCK)
        _matched(self._publisher)

    def trip(self, content: bytes) -> bytes:
        """There and back."""
        self._publisher.put(content)
        return self._answers.recv().payload.to_bytes()

    def batch(self, contents: Sequence[bytes]) -> Sequence[bytes]:
        """All of them, then every answer: the library's own threads move the bytes meanwhile."""
        put, receive = self._publisher.put, self._answers.recv
        for content in contents:
            put(content)
        return [receive().payload.to_bytes() for _ in range(len(contents) * self.answers_each)]

    def close(self) -> None:
        """End the session."""
        self._session.close()


@final
class AcknowledgedPutClient(PutClient):
    """Every message is acknowledged before its answer."""

    answers_each = 2

    def batch(self, contents: Sequence[bytes]) -> Sequence[bytes]:
        """All of them, then every acknowledgement and answer."""
        return acknowledged(super().batch(contents))


class _Zenoh(Contestant):
    declines = MappingProxyType(dict.fromkeys(("clients", "idle-connections", "idle-server"), _ONE))


@final
class Queries(_Zenoh):
    """One request at a time."""

    title = "zenoh, querier to queryable"
    enters = frozenset({"round-trip", "connect"})

    def serve(self, address: str) -> None:
        """Answer all clients."""

        def answer(query: zenoh.Query) -> None:
            query.reply(_ECHO, query.payload or b"")
            query.drop()

        with _opened("peer", "listen", address) as session:  # unless it is closed, its callbacks keep the process alive
            session.declare_queryable(_ECHO, answer)
            Event().wait()

    def connect(self, address: str) -> QueryClient:
        """A client."""
        return QueryClient(address)


class Puts(_Zenoh):
    """Publications both ways."""

    title = "zenoh, put to put"
    enters = frozenset({"round-trip", "pipelined", "bulk"})

    def serve(self, address: str) -> None:
        """Answer all clients."""
        with _opened("peer", "listen", address) as session:
            publisher = session.declare_publisher(_PONG, congestion_control=_BLOCK)
            session.declare_subscriber(_PING, lambda sample: self.answer(publisher, sample))
            Event().wait()

    def answer(self, publisher: zenoh.Publisher, sample: zenoh.Sample) -> None:
        """Publish what came."""
        publisher.put(sample.payload)

    def connect(self, address: str) -> PutClient:
        """A client."""
        return PutClient(address)


@final
class AcknowledgingPuts(Puts):
    """The same with acknowledgements."""

    title = "zenoh, put to put, acknowledging"
    enters = frozenset({"acknowledged"})

    def answer(self, publisher: zenoh.Publisher, sample: zenoh.Sample) -> None:
        """Acknowledge, then publish what came."""
        publisher.put(ACKNOWLEDGEMENT)
        publisher.put(sample.payload)

    def connect(self, address: str) -> PutClient:
        """A client."""
        return AcknowledgedPutClient(address)


CONTESTANTS: Final = (Queries(), Puts(), AcknowledgingPuts())
