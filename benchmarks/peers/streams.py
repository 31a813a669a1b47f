"""What asyncio and uvloop have in common, since the second is a faster loop for the first: streams, with a length
before each message, and a client whose loop runs while a round does.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from asyncio import AbstractEventLoop, IncompleteReadError, Runner, StreamReader, StreamWriter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from time import perf_counter
from typing import Final, final

from benchmarks.contestant import ACKNOWLEDGEMENT, Answer, Client, Contestant, WrongAnswer, acknowledged, check
from benchmarks.peers.framing import JOINED, LENGTH, WIRE, framed

_LIMIT: Final = 2**20  # of what a stream buffers before it stops reading; the usual 64 KiB slow large messages down
_BACKLOG: Final = 4096


def write(writer: StreamWriter, content: bytes) -> None:
    """Queue one message."""
    if len(content) <= JOINED:
        writer.write(framed(content))
    else:
        writer.write(LENGTH.pack(len(content)))
        writer.write(content)


async def read(reader: StreamReader) -> bytes:
    """The next message."""
    return await reader.readexactly(LENGTH.unpack(await reader.readexactly(4))[0])


async def answer(reader: StreamReader, writer: StreamWriter) -> None:
    """Send back all that comes."""
    with suppress(IncompleteReadError, ConnectionError):
        while True:
            write(writer, await read(reader))
            await writer.drain()
    writer.close()


async def acknowledge_and_answer(reader: StreamReader, writer: StreamWriter) -> None:
    """The same behind an acknowledgement of each."""
    acknowledgement = framed(ACKNOWLEDGEMENT)
    with suppress(IncompleteReadError, ConnectionError):
        while True:
            writer.write(acknowledgement + framed(await read(reader)))
            await writer.drain()
    writer.close()


async def serve(address: str, talk: Callable[[StreamReader, StreamWriter], Awaitable[None]]) -> None:
    """Talk to all clients."""
    async with await asyncio.start_unix_server(talk, address, limit=_LIMIT, backlog=_BACKLOG) as server:
        await server.serve_forever()


class StreamClient(Client):
    """One stream, and the loop it lives in."""

    def __init__(self, runner: Runner, address: str) -> None:
        self._runner = runner
        self._reader, self._writer = runner.run(asyncio.open_unix_connection(address, limit=_LIMIT))

    def trip(self, content: bytes) -> Answer:
        """There and back, in the loop."""
        return self._runner.run(self._trip(content))

    def trips(self, content: bytes, count: int) -> float:
        """All of them in one run of the loop."""
        return self._runner.run(self._trips(content, count))

    def batches(self, contents: Sequence[bytes], count: int) -> float:
        """All of them in one run of the loop."""
        return self._runner.run(self._batches(contents, count))

    def close(self) -> None:
        """End the connection and the loop."""
        self._writer.close()
        self._runner.run(self._writer.wait_closed())
        self._runner.close()

    async def _answers(self, reader: StreamReader, count: int) -> Sequence[bytes]:
        return [await read(reader) for _ in range(count)]

    async def _trip(self, content: bytes) -> bytes:
        write(self._writer, content)
        await self._writer.drain()
        return await read(self._reader)

    async def _trips(self, content: bytes, count: int) -> float:
        reply = b""
        began = perf_counter()
        for _ in range(count):
            reply = await self._trip(content)
            if len(reply) != len(content):
                raise WrongAnswer
        seconds = perf_counter() - began
        check(reply, content)
        return seconds

    async def _batches(self, contents: Sequence[bytes], count: int) -> float:
        reader, writer = self._reader, self._writer
        answers: Sequence[bytes] = ()
        began = perf_counter()
        for _ in range(count):
            for content in contents:
                write(writer, content)
            drained = asyncio.ensure_future(writer.drain())  # answers are read meanwhile: both may be full
            answers = await self._answers(reader, len(contents))
            await drained
        seconds = perf_counter() - began
        for reply, content in zip(answers, contents, strict=True):
            check(reply, content)
        return seconds


@final
class AcknowledgedStreamClient(StreamClient):
    """Every message is acknowledged before its answer."""

    async def _answers(self, reader: StreamReader, count: int) -> Sequence[bytes]:
        return acknowledged(await super()._answers(reader, 2 * count))


@final
class ManyStreams(Client):
    """Tasks of one loop, each with a stream of its own."""

    def __init__(self, runner: Runner, address: str) -> None:
        self._runner = runner
        self._address = address
        self._streams: list[tuple[StreamReader, StreamWriter]] = []
        self._runner.run(self._open(1))

    def trip(self, content: bytes) -> Answer:
        """There and back, over the first of them."""
        return self._runner.run(_exchanged(*self._streams[0], content))

    def batches(self, contents: Sequence[bytes], count: int) -> float:
        """A task and a stream for each content, all in one run of the loop."""
        return self._runner.run(self._batches(contents, count))

    def close(self) -> None:
        """End the connections and the loop."""
        for _, writer in self._streams:
            writer.close()
        self._runner.close()

    async def _open(self, count: int) -> None:
        while len(self._streams) < count:
            self._streams.append(await asyncio.open_unix_connection(self._address, limit=_LIMIT))

    async def _batches(self, contents: Sequence[bytes], count: int) -> float:
        async def work(reader: StreamReader, writer: StreamWriter, content: bytes) -> None:
            for _ in range(count):
                check(await _exchanged(reader, writer, content), content)

        await self._open(len(contents))
        began = perf_counter()
        await asyncio.gather(*(work(*stream, content) for stream, content in zip(self._streams, contents, strict=False)))
        return perf_counter() - began


async def _exchanged(reader: StreamReader, writer: StreamWriter, content: bytes) -> bytes:
    write(writer, content)
    await writer.drain()
    return await read(reader)


class Streams(Contestant):
    """Streams in some loop."""

    wire = WIRE
    enters = frozenset({"round-trip", "pipelined", "bulk", "clients", "idle-connections", "connect", "idle-server"})

    @property
    @abstractmethod
    def loop(self) -> Callable[[], AbstractEventLoop]:
        """What makes the loop."""

    def serve(self, address: str) -> None:
        """Answer all clients."""
        with Runner(loop_factory=self.loop) as runner:
            runner.run(serve(address, answer))

    def connect(self, address: str) -> Client:
        """A client in a loop of its own."""
        return StreamClient(Runner(loop_factory=self.loop), address)

    def visits(self, address: str, content: bytes, count: int) -> float:
        """All of them in one loop, as a program would."""
        with Runner(loop_factory=self.loop) as runner:
            return runner.run(visits(address, content, count))


class StreamPerTask(Streams):
    """A stream for each task."""

    enters = frozenset({"tasks"})

    def connect(self, address: str) -> Client:
        """Clients in one loop."""
        return ManyStreams(Runner(loop_factory=self.loop), address)


class AcknowledgingStreams(Streams):
    """Streams in some loop, and an acknowledgement of every message in one write with its answer."""

    enters = frozenset({"acknowledged"})

    def serve(self, address: str) -> None:
        """Acknowledge and answer all clients."""
        with Runner(loop_factory=self.loop) as runner:
            runner.run(serve(address, acknowledge_and_answer))

    def connect(self, address: str) -> Client:
        """A client in a loop of its own."""
        return AcknowledgedStreamClient(Runner(loop_factory=self.loop), address)


async def visits(address: str, content: bytes, count: int) -> float:
    """Connect, one trip, close, so many times."""
    began = perf_counter()
    for _ in range(count):
        reader, writer = await asyncio.open_unix_connection(address)
        write(writer, content)
        check(await read(reader), content)
        writer.close()
        await writer.wait_closed()
    return perf_counter() - began
