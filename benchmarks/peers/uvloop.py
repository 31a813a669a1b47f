"""uvloop, as a loop for streams, and with a protocol, which its documentation calls the faster way.

The protocol takes all messages that one read brought and answers them in one write, with the framing of the raw sockets:
the least that uvloop can cost from Python. It is a loop and no library of messages, as raw sockets are none, so that it
stands apart from the peers.
"""

from __future__ import annotations

import asyncio
import typing
from asyncio import AbstractEventLoop, Future, Protocol, Runner
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Final, final, runtime_checkable

import uvloop

from benchmarks.contestant import Answer, Client, Contestant, Standing, WrongAnswer, acknowledged, check
from benchmarks.peers.framing import WIRE, Frames, acknowledging, joined
from benchmarks.peers.streams import AcknowledgingStreams, StreamPerTask, Streams


@final
class UvloopStreams(Streams):
    """Streams in the loop of uvloop."""

    title = "uvloop streams"

    @property
    def loop(self) -> Callable[[], AbstractEventLoop]:
        """Its own."""
        return uvloop.new_event_loop


@final
class UvloopStreamPerTask(StreamPerTask):
    """A stream for each task."""

    title = "uvloop streams, one for each task"

    @property
    def loop(self) -> Callable[[], AbstractEventLoop]:
        """That of uvloop."""
        return uvloop.new_event_loop


@final
class AcknowledgingUvloopStreams(AcknowledgingStreams):
    """The same with acknowledgements."""

    title = "uvloop streams, acknowledging"

    @property
    def loop(self) -> Callable[[], AbstractEventLoop]:
        """Its own."""
        return uvloop.new_event_loop


@runtime_checkable
class Writer(typing.Protocol):
    """What is used of a transport; those of uvloop are no subclasses of asyncio's."""

    def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...


class Framed(Protocol):
    """Whole messages of one connection."""

    transport: Writer

    def __init__(self) -> None:
        self._frames = Frames()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio's protocols."""
        if isinstance(transport, Writer):
            self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Part of asyncio's protocols."""
        if messages := self._frames.fed(data):
            self.received(messages)

    def received(self, messages: list[bytes]) -> None:
        """All that one read brought."""
        raise NotImplementedError


@final
class Answering(Framed):
    """A server's end."""

    def received(self, messages: list[bytes]) -> None:
        """Send them back."""
        self.transport.write(joined(messages))


@final
class Acknowledging(Framed):
    """A server's end that acknowledges every message."""

    def received(self, messages: list[bytes]) -> None:
        """Send them back, each behind its acknowledgement."""
        self.transport.write(acknowledging(messages))


@final
class Collecting(Framed):
    """A client's end: it waits for a number of answers."""

    def __init__(self) -> None:
        super().__init__()
        self._answers: list[bytes] = []
        self._wanted = 0
        self._done: Future[list[bytes]]

    def answers(self, count: int) -> Future[list[bytes]]:
        """The next so many answers."""
        self._answers, self._wanted = [], count
        self._done = asyncio.get_running_loop().create_future()
        return self._done

    def received(self, messages: list[bytes]) -> None:
        """Keep them until all are there."""
        self._answers += messages
        if len(self._answers) >= self._wanted and not self._done.done():
            self._done.set_result(self._answers)


async def _serve(address: str, end: Callable[[], Framed]) -> None:
    loop = asyncio.get_running_loop()
    async with await loop.create_unix_server(end, address, backlog=4096) as server:
        await server.serve_forever()


async def _connected(address: str) -> Collecting:
    _, protocol = await asyncio.get_running_loop().create_unix_connection(Collecting, address)
    return protocol


class ProtocolClient(Client):
    """One connection, and the loop it lives in."""

    def __init__(self, address: str) -> None:
        self._runner = Runner(loop_factory=uvloop.new_event_loop)
        self._protocol = self._runner.run(_connected(address))

    def trip(self, content: bytes) -> Answer:
        """There and back, in the loop."""
        return self._runner.run(self._exchanged((content,)))[0]

    def trips(self, content: bytes, count: int) -> float:
        """All of them in one run of the loop."""
        return self._runner.run(self._repeated((content,), count))

    def batches(self, contents: Sequence[bytes], count: int) -> float:
        """All of them in one run of the loop."""
        return self._runner.run(self._repeated(contents, count))

    def close(self) -> None:
        """End the connection and the loop."""
        self._protocol.transport.close()
        self._runner.close()

    async def _exchanged(self, contents: Sequence[bytes]) -> Sequence[bytes]:
        answers = self._protocol.answers(len(contents))
        self._protocol.transport.write(joined(contents))
        return await answers

    async def _repeated(self, contents: Sequence[bytes], count: int) -> float:
        answers: Sequence[bytes] = ()
        began = perf_counter()
        for _ in range(count):
            answers = await self._exchanged(contents)
            if len(answers) != len(contents):
                raise WrongAnswer
        seconds = perf_counter() - began
        for answer, content in zip(answers, contents, strict=True):
            check(answer, content)
        return seconds


@final
class AcknowledgedProtocolClient(ProtocolClient):
    """Every message is acknowledged before its answer."""

    async def _exchanged(self, contents: Sequence[bytes]) -> Sequence[bytes]:
        answers = self._protocol.answers(2 * len(contents))
        self._protocol.transport.write(joined(contents))
        return acknowledged(await answers)


@final
class UvloopProtocol(Contestant):
    """A protocol in the loop of uvloop; large messages are left to streams, whose buffer grows better."""

    title = "uvloop protocol, framed by hand"
    standing = Standing.PEER
    enters = frozenset({"round-trip", "pipelined", "clients", "idle-connections", "idle-server"})
    wire = WIRE

    def serve(self, address: str) -> None:
        """Answer all clients."""
        with Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(address, Answering))

    def connect(self, address: str) -> ProtocolClient:
        """A client in a loop of its own."""
        return ProtocolClient(address)


@final
class AcknowledgingUvloopProtocol(Contestant):
    """The same with acknowledgements."""

    title = "uvloop protocol, framed by hand, acknowledging"
    standing = Standing.PEER
    enters = frozenset({"acknowledged"})

    def serve(self, address: str) -> None:
        """Acknowledge and answer all clients."""
        with Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(address, Acknowledging))

    def connect(self, address: str) -> ProtocolClient:
        """A client in a loop of its own."""
        return AcknowledgedProtocolClient(address)


CONTESTANTS: Final = (UvloopStreams(), UvloopStreamPerTask(), AcknowledgingUvloopStreams(), UvloopProtocol(), AcknowledgingUvloopProtocol())
