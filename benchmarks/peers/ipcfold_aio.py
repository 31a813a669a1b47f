"""The asyncio shell of this library, in the loop of asyncio and in uvloop: one connection, which any number of tasks share."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from asyncio import AbstractEventLoop, Runner
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Final, final

import uvloop
from returns.pipeline import is_successful

from benchmarks.contestant import PATIENCE, Client, Contestant, Standing, WrongAnswer, check
from benchmarks.peers.ipcfold import NAME, Ipcfold
from ipcfold import Continuation, Message, aio


def echo(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
    """Respond with what came."""
    return continuation.respond(carry + 1, message)


async def serve(directory: str) -> None:
    """Fold until the process is ended."""
    if not is_successful(await aio.IPC(directory).listen(NAME)(0, echo)):
        raise SystemExit(1)


class Tasks(Client):
    """One connection, and the loop it lives in, which runs while a round does."""

    def __init__(self, runner: Runner, directory: Path) -> None:
        self._runner = runner
        self._process = runner.run(aio.IPC(directory).wait(NAME, PATIENCE)).unwrap()

    def trip(self, content: bytes) -> bytes:
        """There and back."""
        return self._runner.run(self._trip(content))

    def trips(self, content: bytes, count: int) -> float:
        """All of them in one run of the loop."""
        return self._runner.run(self._trips(content, count))

    def batches(self, contents: Sequence[bytes], count: int) -> float:
        """A task for each content, all in one run of the loop."""
        return self._runner.run(self._batches(contents, count))

    def close(self) -> None:
        """End the connection and the loop."""
        self._runner.run(self._process.close()).unwrap()
        self._runner.close()

    async def _trip(self, content: bytes) -> bytes:
        return (await self._process.ask(Message.octets(content))).unwrap().content

    async def _trips(self, content: bytes, count: int) -> float:
        answer = b""
        began = perf_counter()
        for _ in range(count):
            answer = await self._trip(content)
            if len(answer) != len(content):
                raise WrongAnswer
        seconds = perf_counter() - began
        check(answer, content)
        return seconds

    async def _batches(self, contents: Sequence[bytes], count: int) -> float:
        async def work(content: bytes) -> None:
            for _ in range(count):
                check(await self._trip(content), content)

        began = perf_counter()
        await asyncio.gather(*map(work, contents))
        return perf_counter() - began


class IpcfoldAio(Contestant):
    """The verb `ask` in a loop."""

    standing = Standing.OURS
    enters = frozenset({"round-trip", "tasks", "clients", "idle-server"})
    wire = Ipcfold.wire

    @property
    @abstractmethod
    def loop(self) -> Callable[[], AbstractEventLoop]:
        """Makes the loop."""

    def serve(self, address: str) -> None:
        """Fold in a loop."""
        with Runner(loop_factory=self.loop) as runner:
            runner.run(serve(str(Path(address).parent)))

    def connect(self, address: str) -> Tasks:
        """Wait for the server."""
        return Tasks(Runner(loop_factory=self.loop), Path(address).parent)


@final
class IpcfoldAsyncio(IpcfoldAio):
    """In the loop of asyncio."""

    title = "ipcfold.aio"

    @property
    def loop(self) -> Callable[[], AbstractEventLoop]:
        """Its own."""
        return asyncio.new_event_loop


@final
class IpcfoldUvloop(IpcfoldAio):
    """In uvloop."""

    title = "ipcfold.aio, uvloop"

    @property
    def loop(self) -> Callable[[], AbstractEventLoop]:
        """That of uvloop."""
        return uvloop.new_event_loop


CONTESTANTS: Final = (IpcfoldAsyncio(), IpcfoldUvloop())
