"""What takes part: a contestant is one way to move messages between processes, as its own documentation recommends.

Every contestant does the same work: its server answers each message with that message, its client counts what comes
back. A server and a client are processes of their own, made by `benchmarks.processes`; here stands only what runs
inside them. To add a peer, write a module below `benchmarks.peers` with its `CONTESTANTS`, and name it in `PEERS` there.
"""

from __future__ import annotations

import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from pathlib import Path
from time import monotonic, perf_counter, sleep
from types import MappingProxyType
from typing import ClassVar, Final, TypeAlias, TypeVar, final

import attrs

T = TypeVar("T")

SOCKET: Final = "bench.sock"
"""The file, in a directory of each contestant's own, that its server listens at."""
ACKNOWLEDGEMENT: Final = b"\x06"
"""What says that a message was handled, where that and the answer to it are two messages."""
PATIENCE: Final = 30.0
"""Seconds after which whoever does not answer has failed."""


class Standing(Enum):
    """What a contestant is compared as."""

    RAW = "raw"
    """What the kernel and Python cost without any library: ratios are against the first of these."""
    PEER = "peer"
    APART = "apart"
    """Shown, but not among the peers that the best is chosen from: its module says why it is not the same work."""
    OURS = "ours"


Answer: TypeAlias = bytes | bytearray | memoryview
"""What comes back, in whatever the peer gives without a copy more."""


class Client(ABC):
    """A client that is connected."""

    @abstractmethod
    def trip(self, content: bytes) -> Answer:
        """Send it and give what came back."""

    def batch(self, contents: Sequence[bytes]) -> Sequence[Answer]:
        """Send all of them before the first answer is needed, and give all that came back."""
        return [self.trip(content) for content in contents]

    @abstractmethod
    def close(self) -> None:
        """End the connection."""

    def trips(self, content: bytes, count: int) -> float:
        """Seconds for so many trips, one after the other."""
        size, trip = len(content), self.trip
        answer: Answer = content
        began = perf_counter()
        for _ in range(count):
            answer = trip(content)
            if len(answer) != size:
                raise WrongAnswer
        seconds = perf_counter() - began
        check(answer, content)
        return seconds

    def batches(self, contents: Sequence[bytes], count: int) -> float:
        """Seconds for so many batches, one after the other."""
        answers: Sequence[Answer] = ()
        began = perf_counter()
        for _ in range(count):
            answers = self.batch(contents)
            if len(answers) != len(contents):
                raise WrongAnswer
        seconds = perf_counter() - began
        for answer, content in zip(answers, contents, strict=True):
            check(answer, content)
        return seconds


class WrongAnswer(Exception):  # noqa: N818 - it is no error of ours
    """What came back is not what was sent."""


def acknowledged(answers: Sequence[T]) -> Sequence[T]:
    """The answers, of which each has its acknowledgement before it."""
    if any(each != ACKNOWLEDGEMENT for each in answers[::2]):
        raise WrongAnswer
    return answers[1::2]


def check(answer: Answer, content: bytes) -> None:
    """Fail unless the answer is the content."""
    if answer != content:
        raise WrongAnswer


class ClientPool(ABC):
    """Many connections held by one process."""

    @abstractmethod
    def requests(self, count: int) -> float:
        """Seconds for so many requests, with one in flight on every connection."""


@final
@attrs.frozen
class Wire:
    """How a contestant's bytes look on a stream, for the generator of load that all such contestants share.

    `greeting` is what a server says first and `acceptance` the reply; `noise` may come at any time and means nothing.
    """

    request: Callable[[bytes], bytes]
    response: Callable[[bytes], bytes]
    greeting: bytes = b""
    acceptance: bytes = b""
    noise: bytes = b""


class Contestant(ABC):
    """One row of the tables."""

    title: ClassVar[str]
    standing: ClassVar[Standing] = Standing.PEER
    enters: ClassVar[frozenset[str]]
    """The names of the workloads that it takes part in."""
    declines: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """The workloads that it has no row in but is named, and why."""
    wire: ClassVar[Wire | None] = None

    @abstractmethod
    def serve(self, address: str) -> None:
        """Listen at that path and answer, until the process is ended."""

    def serve_many(self, address: str) -> None:
        """The same for thousands of clients at once, where the one for few clients is another."""
        self.serve(address)

    @abstractmethod
    def connect(self, address: str) -> Client:
        """A client of the server; an `OSError` while it is not up."""

    def crowd(self, address: str, clients: int, content: bytes) -> ClientPool:
        """So many connections that send this content."""
        from benchmarks.client_pool import StreamClientPool  # noqa: PLC0415 - that module needs this one

        if self.wire is None:
            raise NotImplementedError(f"{self.title} has no generator of load")
        return StreamClientPool(self.wire, address, clients, content)

    def visits(self, address: str, content: bytes, count: int) -> float:
        """Seconds for so many times connecting, one trip, and closing."""
        began = perf_counter()
        for _ in range(count):
            client = self.connect(address)
            check(client.trip(content), content)
            client.close()
        return perf_counter() - began


def end_when_told() -> None:
    """Have SIGTERM end this process as an exit does, for a peer that would leave its files or its shared memory behind."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())


def patiently(reach: Callable[[], T], address: str) -> T:
    """What reaches a server that may not be up yet."""
    deadline = monotonic() + PATIENCE
    while True:
        with suppress(OSError):
            if Path(address).exists():
                return reach()
        if monotonic() > deadline:
            raise TimeoutError("its server does not listen")
        sleep(0.005)
