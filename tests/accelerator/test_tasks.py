"""Tasks of an event loop ask through the accelerator, and get what they would get without it."""

from __future__ import annotations

import asyncio
import select
import socket
import tempfile
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Success

from ipcfold import Message, accelerated, aio
from ipcfold.accelerator import fast
from ipcfold.aio.channel import Channel
from tests.aio.support import LOOPS, run, turns
from tests.shells.support import NAME, PATIENCE
from tests.shells.wire import HEARTBEAT, RECEIVED, Wire, frame, listening

pytestmark = pytest.mark.skipif(not accelerated, reason="the accelerator is not built")

Step: TypeAlias = tuple[str, str]

_SAID = {
    "answer": frame(RECEIVED) + frame("a"),
    "acknowledgement": frame(RECEIVED),
    "response": frame("b"),
    "other type": frame("{}", "application/json"),
    "late": frame("c", "text/plain;re=1"),
    "silence": frame(HEARTBEAT),
    "much": 130 * (frame(RECEIVED) + frame("d")),
    "large": frame("e" * 70_000),
    "half": frame("half")[:9],
    "rest": frame("half")[9:],
    "nonsense": b"nonsense nonsense",
}
_STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.tuples(st.just("ask"), st.sampled_from(["ping", "y" * 20_000, "innmind/ipc:heartbeat"]))
    | st.tuples(st.sampled_from(["ask", "send", "wait", "many", "cancel"]), st.just("ping"))
    | st.tuples(st.just("say"), st.just("answer") | st.sampled_from(sorted(_SAID))),
    max_size=30,
)


@given(_STEPS)
def test_tasks_get_the_same(steps: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as name:
        assert _met(Path(name), steps, accelerate=True) == _met(Path(name), steps, accelerate=False)


@LOOPS
def test_a_task_that_is_alone_asks_without_python(directory: Path, loop: str) -> None:
    async def main() -> None:
        async with _talking(directory) as (process, wire):
            await _asked(process, wire, 1)
            before = _taken()
            await _asked(process, wire, 10)
            assert [after - once for after, once in zip(_taken(), before, strict=True)] == [10, 10]

    run(main, loop)


@LOOPS
def test_many_answers_at_once_reach_their_tasks(directory: Path, loop: str) -> None:
    async def main() -> None:
        async with _talking(directory) as (process, wire):
            tasks = [asyncio.create_task(process.ask(Message.text("ping"))) for _ in range(300)]
            await turns(3)
            wire.stream.sendall(b"".join(frame(RECEIVED) + frame(str(number)) for number in range(300)))
            assert await asyncio.gather(*tasks) == [Success(Message.text(str(number))) for number in range(300)]

    run(main, loop)


@LOOPS
def test_what_the_socket_has_no_room_for_follows(directory: Path, loop: str) -> None:
    async def main() -> None:
        async with _talking(directory) as (process, wire):
            await _asked(process, wire, 1)
            process._channel.stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # noqa: SLF001 - nothing public makes the socket small
            message = "m" * 16_000
            for _ in range(3):
                asking = asyncio.create_task(process.ask(Message.text(message)))
                await asyncio.to_thread(wire.expect, message)
                wire.write(RECEIVED, message)
                assert await asking == Success(Message.text(message))

    run(main, loop)


def test_asking_keeps_no_memory(directory: Path) -> None:
    async def main() -> None:
        async with _talking(directory) as (process, wire):
            await _asked(process, wire, 20)
            tracemalloc.start()
            try:
                await _asked(process, wire, 20)
                few, _ = tracemalloc.get_traced_memory()
                await _asked(process, wire, 1000)
                many, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
        assert many - few < 20_000  # bytes, of 1000 messages

    asyncio.run(main())


def _taken() -> list[int]:
    """How many calls needed no Python."""
    return [getattr(function, "taken") for function in (Channel.ask, Channel._readable)]  # noqa: B009, SLF001 - type checkers see functions, and the loop calls the second


async def _asked(process: aio.Process, wire: Wire, times: int) -> None:
    for _ in range(times):
        asking = asyncio.create_task(process.ask(Message.text("ping")))
        await turns(2)
        wire.expect("ping").write(RECEIVED, "pong")
        assert await asking == Success(Message.text("pong"))


@asynccontextmanager
async def _talking(directory: Path) -> AsyncIterator[tuple[aio.Process, Wire]]:
    """A client, and the server's end that is spoken by hand. At the end the server is gone."""
    with listening(directory) as listener:
        connecting = asyncio.create_task(aio.IPC(directory, heartbeat=PATIENCE).get(NAME))
        stream = await asyncio.to_thread(lambda: listener.accept()[0])
        with Wire(stream) as wire:
            await asyncio.to_thread(wire.greet)
            async with asyncio.timeout(PATIENCE):
                process = (await connecting).unwrap()
            yield process, wire
        await process.close()


def _met(directory: Path, steps: list[Step], *, accelerate: bool) -> list[object]:
    """What the tasks of such a script got, in order, and what the server's end read after each step."""
    seen = list[object]()

    async def main() -> None:
        async with _talking(directory) as (process, wire):
            tasks = list[asyncio.Task[object]]()
            for kind, what in steps:
                if kind == "say":
                    with suppress(ConnectionError):  # the client has ended the connection
                        wire.stream.sendall(_SAID[what])
                elif kind == "cancel":
                    for task in [task for task in tasks if not task.done()][:1]:
                        task.cancel()
                else:
                    for _ in range(140 if kind == "many" else 1):
                        tasks.append(_begun(process, kind, what, len(tasks), seen))
                await turns(4)
                seen.append(_read(wire.stream))
            wire.stream.shutdown(socket.SHUT_RDWR)
            await turns(4)
            assert all(task.done() for task in tasks)

    with _built(accelerate=accelerate):
        asyncio.run(main())
    return seen


def _begun(process: aio.Process, kind: str, what: str, number: int, seen: list[object]) -> asyncio.Task[object]:
    async def use() -> object:
        message = Message.text(what)
        if kind == "send":
            return repr(await process.send(message, message))
        return repr(await (process.wait() if kind == "wait" else process.ask(message)))

    task = asyncio.create_task(use())
    task.add_done_callback(lambda ended: seen.append((number, "cancelled" if ended.cancelled() else ended.result())))
    return task


def _read(stream: socket.socket) -> bytes:
    """What has come, without waiting."""
    data = b""
    with suppress(ConnectionError):
        while select.select([stream], [], [], 0)[0] and (piece := stream.recv(2**20)):
            data += piece
    return data


@contextmanager
def _built(*, accelerate: bool) -> Iterator[None]:
    before = fast.enable(accelerate)
    try:
        yield
    finally:
        fast.enable(before)
