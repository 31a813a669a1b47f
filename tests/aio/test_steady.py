"""A steady client of an event loop goes on with the next server, and each of its messages is folded once."""

import asyncio
import signal
from pathlib import Path

from returns.maybe import Nothing
from returns.result import Success

from ipcfold import IPC, ConnectionDropped, Continuation, Limits, Message, MessageTooLarge, NoServer, ProcessClosed, TimedOut, aio
from ipcfold.handlers import Remembered, once
from ipcfold.log import MemoryLog, SQLiteLog
from tests.aio.support import LOOPS, run
from tests.shells.children import Child
from tests.shells.support import NAME, PATIENCE

ONE, TWO = Message.text("one"), Message.text("two")


def count(message: Message, given: Continuation[int], carry: int) -> Continuation[int]:
    if message.content == b"close":
        return given.respond(carry + 1, Message.text("closing")).close(carry + 1)
    if message.content == b"tell":
        return given.tell(carry + 1, given.peer, TWO)
    return given.respond(carry + 1, Message.text(str(carry + 1)))


@LOOPS
def test_a_steady_client_says_the_same_to_one_server_after_another(directory: Path, loop: str) -> None:
    log = MemoryLog()

    async def main() -> None:
        ipc = aio.IPC(directory)
        async with ipc.steady(NAME, PATIENCE) as steady:
            assert (steady.name, steady.epoch) == (NAME, Nothing)
            epochs = set[object]()
            for life in range(3):
                server = asyncio.create_task(ipc.listen(NAME, log=log)(Remembered(0), once(count)))
                assert await steady.send(ONE, TWO) == Success(steady)
                assert [(await steady.wait(PATIENCE)).unwrap().content for _ in range(2)] == [b"%d" % (3 * life + n) for n in (1, 2)]
                assert (await steady.ask(ONE, PATIENCE)).unwrap().content == b"%d" % (3 * life + 3)
                epochs.add(steady.epoch)
                server.cancel()
                assert (await server).unwrap().carry == 3 * life + 3
            assert len(epochs) == 1

    run(main, loop)


@LOOPS
def test_many_tasks_share_a_steady_client_while_its_servers_are_killed(directory: Path, loop: str) -> None:
    log = SQLiteLog.of(directory / "log")

    def serving() -> Child:
        return Child(lambda _: IPC(directory).listen(NAME, log=log)(Remembered(0), once(count)))

    async def main() -> None:
        async with aio.IPC(directory).steady(NAME, PATIENCE) as steady:

            async def say() -> list[int]:
                return [int((await steady.ask(ONE, PATIENCE)).unwrap().content) for _ in range(100)]

            tasks = [asyncio.create_task(say()) for _ in range(5)]
            for _ in range(3):
                with serving() as server:
                    assert await steady.send(*[TWO] * 5) == Success(steady)
                    server.signal(signal.SIGKILL)
                    await asyncio.to_thread(server.gone)
            with serving() as server:
                answers = [number for said in await asyncio.gather(*tasks) for number in said]
                assert len(set(answers)) == 500
                assert f"Remembered(carry={515}" in server.stop()

    run(main, loop)


@LOOPS
def test_a_connection_that_the_handler_closes_is_followed_by_another(directory: Path, loop: str) -> None:
    async def main() -> None:
        ipc = aio.IPC(directory)
        server = asyncio.create_task(ipc.listen(NAME)(Remembered(0), once(count)))
        async with ipc.steady(NAME, PATIENCE) as steady:
            for _ in range(3):
                assert (await steady.ask(Message.text("close"), PATIENCE)).unwrap().content == b"closing"
            await steady.send(Message.text("tell"))
            assert await steady.wait(PATIENCE) == Success(TWO)
        server.cancel()
        assert (await server).unwrap().carry == 4

    run(main, loop)


@LOOPS
def test_a_steady_client_says_what_it_cannot_do(directory: Path, loop: str) -> None:
    large = Message.octets(b"x" * 20)

    async def main() -> None:
        ipc = aio.IPC(directory)
        small = aio.IPC(directory, limits=Limits(message=10))
        async with ipc.steady(NAME, 0.01) as steady:
            assert isinstance((await steady.send(ONE)).failure(), NoServer | TimedOut)
            assert isinstance((await steady.ask(ONE, 0.01)).failure(), NoServer | TimedOut)
            assert isinstance((await steady.wait(0.01)).failure(), NoServer | TimedOut)
        server = asyncio.create_task(small.listen(NAME)(0, count))
        async with small.steady(NAME, PATIENCE) as steady:
            assert isinstance((await steady.send(large)).failure(), MessageTooLarge)
            waiting = asyncio.create_task(steady.wait())
            await asyncio.sleep(0)
            assert isinstance((await steady.wait(0.01)).failure(), TimedOut)
            await steady.close()
            assert isinstance((await waiting).failure(), ProcessClosed)
        async with ipc.steady(NAME) as steady:  # it sends again, and gives up
            refused = (await steady.ask(large, PATIENCE)).failure()
            assert isinstance(getattr(refused, "reason", None), ConnectionDropped)
            assert (await steady.ask(ONE, PATIENCE)).unwrap().content == b"1"
        server.cancel()
        assert await server == Success(1)

    run(main, loop)
