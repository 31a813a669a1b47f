"""The client in an event loop: many tasks use one connection, and each of them may be cancelled at any time."""

import asyncio
import os
import socket
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from returns.result import Failure, Success

from ipcfold import (
    ConnectionLost,
    Continuation,
    InUse,
    Limits,
    Message,
    Name,
    NoServer,
    PathTooLong,
    ProcessClosed,
    TimedOut,
    Unacknowledged,
    aio,
)
from tests.aio.support import LOOPS, run, serving, turns
from tests.shells.handlers import EMPTY, Log, log
from tests.shells.serve_aio import log_later
from tests.shells.support import NAME, PATIENCE, PING, PONG
from tests.shells.wire import RECEIVED, Wire, frame, listening

pytestmark = LOOPS


def test_each_of_many_tasks_gets_its_own_answers(directory: Path, loop: str) -> None:
    async def main() -> None:
        ipc = aio.IPC(directory)
        async with serving(ipc, log, EMPTY) as server, (await ipc.get(NAME)).unwrap() as process:

            async def talk(number: int) -> None:
                for turn in range(20):
                    message = Message.text(f"echo {number} {turn}")
                    assert await process.ask(message) == Success(message)
                    assert await process.send(Message.text("quiet"), Message.text("quiet")) == Success(process)

            await asyncio.gather(*map(talk, range(50)))
            assert await process.wait(0) == Failure(TimedOut(NAME, 0, "a response of"))
        assert len(server.result().unwrap()) == 50 * 20 * 3

    run(main, loop)


def test_what_tasks_write_in_one_turn_leaves_together(directory: Path, loop: str) -> None:
    async def main() -> None:
        with listening(directory) as listener:
            connecting = asyncio.create_task(aio.IPC(directory).get(NAME))
            stream = await asyncio.to_thread(lambda: listener.accept()[0])
            with Wire(stream) as wire:
                await asyncio.to_thread(wire.greet)
                async with asyncio.timeout(PATIENCE):
                    process = (await connecting).unwrap()
                tasks = [asyncio.create_task(process.send(Message.text(f"{number:03}"))) for number in range(100)]
                received = await asyncio.to_thread(stream.recv, 2**20)
                assert received == b"".join(frame(f"{number:03}") for number in range(100))
                wire.write(*[RECEIVED] * 100)
                assert await asyncio.gather(*tasks) == [Success(process)] * 100

    run(main, loop)


def test_a_task_that_stops_waiting_for_its_answer_still_owns_it(directory: Path, loop: str) -> None:
    async def main() -> None:
        gate = asyncio.Event()

        async def handler(message: Message, continuation: Continuation[int], count: int) -> Continuation[int]:
            if message.content == b"slow":
                await gate.wait()
            return continuation.respond(count + 1, message)

        ipc = aio.IPC(directory)
        async with serving(ipc, handler, 0) as server, (await ipc.get(NAME)).unwrap() as process:
            asking = asyncio.create_task(process.ask(Message.text("slow")))
            sending = asyncio.create_task(process.send(Message.text("slow")))
            late = await process.ask(Message.text("slow"), 0.01)
            assert late == Failure(TimedOut(NAME, 0.01, "the response of"))
            asking.cancel()
            sending.cancel()
            other = asyncio.create_task(process.ask(Message.text("other")))
            gate.set()
            assert await other == Success(Message.text("other"))
            assert await process.wait() == Success(Message.text("slow"))  # of the one that was sent, which nobody asked for
            assert await process.wait(0) == Failure(TimedOut(NAME, 0, "a response of"))
            assert asking.cancelled()
        assert server.result() == Success(4)

    run(main, loop)


def test_a_cancelled_wait_loses_no_response(directory: Path, loop: str) -> None:
    async def main() -> None:
        ipc = aio.IPC(directory)
        async with serving(ipc, log, EMPTY), (await ipc.get(NAME)).unwrap() as process:
            for _ in range(20):
                waiting = [asyncio.create_task(process.wait()) for _ in range(3)]
                await asyncio.sleep(0)
                await process.send(Message.text("many 2"))
                waiting[0].cancel()
                heard = await asyncio.gather(*waiting[1:])
                if waiting[0].cancelled():
                    assert heard == [Success(Message.text("0")), Success(Message.text("1"))]
                else:  # it had its response before it was cancelled
                    assert [waiting[0].result(), heard[0]] == [Success(Message.text("0")), Success(Message.text("1"))]

    run(main, loop)


@pytest.mark.parametrize("kind", ["timeout", "group", "anyio"])
def test_every_kind_of_cancellation_leaves_the_connection_usable(directory: Path, loop: str, kind: str) -> None:
    async def main() -> None:
        ipc = aio.IPC(directory)
        gate = asyncio.Event()

        async def handler(message: Message, continuation: Continuation[int], count: int) -> Continuation[int]:
            if message.content == b"slow":
                await gate.wait()
            return continuation.respond(count + 1, message)

        async def cancelled(process: aio.Process) -> None:
            slow = Message.text("slow")
            match kind:
                case "timeout":
                    with pytest.raises(TimeoutError):
                        async with asyncio.timeout(0.01):
                            await process.ask(slow)
                case "group":
                    with pytest.raises(ExceptionGroup):  # noqa: PT012 - the block is the group
                        async with asyncio.TaskGroup() as group:
                            group.create_task(process.ask(slow))
                            await asyncio.sleep(0)
                            raise KeyError
                case _:
                    with anyio.move_on_after(0.01) as scope:
                        await process.ask(slow)
                    assert scope.cancelled_caught

        async with serving(ipc, handler, 0) as server, (await ipc.get(NAME)).unwrap() as process:
            await cancelled(process)
            gate.set()
            assert await process.ask(PING) == Success(PING)
        assert server.result() == Success(2)

    run(main, loop)


def test_a_process_closes_in_a_scope_that_is_cancelled(directory: Path, loop: str) -> None:
    async def main() -> None:
        ipc = aio.IPC(directory)
        async with serving(ipc, log, EMPTY):
            with anyio.CancelScope() as scope:
                async with (await ipc.get(NAME)).unwrap() as process:
                    scope.cancel()
            assert process.closed
            assert await process.ask(PING) == Failure(ProcessClosed(NAME))

    run(main, loop)


@pytest.mark.parametrize("turn", [0, 1, 2, 3, 5, 20])
def test_a_client_that_is_cancelled_while_it_connects_leaves_nothing_behind(directory: Path, loop: str, turn: int) -> None:
    async def main() -> None:
        with listening(directory):  # it does not accept, so it does not greet
            for connect in (aio.IPC(directory).get(NAME), aio.IPC(directory).wait(NAME), aio.IPC(directory).wait(Name("other"))):
                connecting = asyncio.create_task(connect)
                await turns(turn)
                connecting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await connecting

    run(main, loop)


def test_a_full_backlog_is_waited_for(directory: Path, loop: str) -> None:
    async def main() -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(directory / "server.sock"))
            listener.listen(0)
            with socket.socket(socket.AF_UNIX) as first:
                first.connect(str(directory / "server.sock"))
                ipc = aio.IPC(directory, limits=Limits(handshake=0.05))
                assert await ipc.get(NAME) == Failure(TimedOut(NAME, 0.05, "a place in the backlog of"))
                connecting = asyncio.create_task(aio.IPC(directory).get(NAME))
                await turns(20)
                listener.accept()[0].close()
                with Wire(await asyncio.to_thread(lambda: listener.accept()[0])) as wire:
                    await asyncio.to_thread(wire.greet)
                    (await connecting).unwrap()

    run(main, loop)


def test_a_failure_to_connect_is_a_value(directory: Path, loop: str) -> None:
    async def main() -> None:
        ipc = aio.IPC(directory)
        assert await ipc.get(NAME) == Failure(NoServer(NAME, directory / "server.sock"))
        assert isinstance((await ipc.get(Name("x" * 300))).failure(), PathTooLong)
        (directory / "server.sock").touch()
        assert await ipc.get(NAME) == Failure(NoServer(NAME, directory / "server.sock"))
        assert await ipc.exists(NAME) == Success(False)
        for wrong in (aio.IPC(directory / "missing"), aio.IPC(directory / "server.sock")):
            assert isinstance((await wrong.processes()).failure(), type((await wrong.exists(NAME)).failure()))

    run(main, loop)


def test_a_verb_under_way_ends_when_another_task_closes(directory: Path, loop: str) -> None:
    async def main() -> None:
        ipc = aio.IPC(directory, limits=Limits(drain=0.05))
        never = asyncio.Event()

        async def handler(message: Message, continuation: Continuation[int], count: int) -> Continuation[int]:
            await never.wait()
            return continuation.continue_(count)

        async with serving(ipc, handler, 0):
            process = (await ipc.get(NAME)).unwrap()
            verbs = [asyncio.create_task(verb) for verb in (process.ask(PING), process.send(PING), process.wait(), process.wait(PATIENCE))]
            await turns(20)
            assert await process.close() == Failure(TimedOut(NAME, 0.05, "the confirmation to close of"))
            assert await asyncio.gather(*verbs) == [Failure(ProcessClosed(NAME))] * 4
            assert await process.close() == Success(None)

    run(main, loop)


def test_all_tasks_learn_that_the_server_is_gone(directory: Path, loop: str) -> None:
    async def main() -> None:
        with listening(directory) as listener:
            connecting = asyncio.create_task(aio.IPC(directory).get(NAME))
            with Wire(await asyncio.to_thread(lambda: listener.accept()[0])) as wire:
                await asyncio.to_thread(wire.greet)
                process = (await connecting).unwrap()
                verbs = [asyncio.create_task(verb) for verb in (process.ask(PING), process.send(PING, PING), process.wait())]
                await asyncio.to_thread(wire.expect, "ping", "ping", "ping")
                wire.write(RECEIVED, "pong", RECEIVED, "own")
            lost = ConnectionLost(NAME)
            assert await asyncio.gather(*verbs) == [Success(PONG), Failure(Unacknowledged(1, 2, lost)), Success(Message.text("own"))]
            assert await process.wait() == Failure(lost)
            assert await process.wait(PATIENCE) == Failure(lost)
            assert process.closed

    run(main, loop)


def test_a_loop_that_did_not_connect_is_told_that_the_connection_is_in_use(directory: Path, loop: str) -> None:
    async def main() -> None:
        ipc = aio.IPC(directory)
        async with serving(ipc, log, EMPTY), (await ipc.get(NAME)).unwrap() as process:

            def use() -> object:
                return asyncio.run(process.ask(PING)), asyncio.run(process.close())

            assert await asyncio.to_thread(use) == (Failure(InUse(NAME)),) * 2
            assert await process.ask(PING) == Success(PONG)

    run(main, loop)


def test_a_large_content_of_a_cancelled_task_still_leaves_whole(directory: Path, loop: str) -> None:
    async def main() -> None:
        ipc = aio.IPC(directory)
        large = "quiet " + "x" * (8 * 2**20)
        async with serving(ipc, log, EMPTY) as server, (await ipc.get(NAME)).unwrap() as process:
            sending = asyncio.create_task(process.send(Message.text(large)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            sending.cancel()
            assert await process.ask(PING) == Success(PONG)
            echo = Message.text("echo " + "y" * (8 * 2**20))
            assert await asyncio.gather(*(process.ask(echo) for _ in range(3))) == [Success(echo)] * 3
        assert server.result().unwrap()[:2] == (large, "ping")

    run(main, loop)


def test_a_pipeline_composes_functions_that_return_results_or_awaitables(directory: Path, loop: str) -> None:
    async def main() -> None:
        ipc = aio.IPC(directory)
        async with serving(ipc, log, EMPTY) as server:
            chain = aio.pipeline(Name.of("server")).flat_map(ipc.wait).flat_map(aio.send(PING))
            assert await chain.flat_map(aio.wait()) == Success(PONG)
            assert await chain.flat_map(aio.ask(PING)) == Success(PONG)  # over the same connection
            assert await chain.flat_map(aio.close()).map(str) == Success("None")
            text = await aio.pipeline(ipc.get(NAME)).flat_map(aio.ask(PING, PATIENCE)).match(lambda message: message.content, str)
            assert text == b"pong"
            absent = aio.pipeline(ipc.get(Name("absent")))
            assert await absent.alt(type) == Failure(NoServer)
            assert await absent.lash(lambda _: ipc.get(NAME)).map(lambda process: process.name) == Success(NAME)
            assert await chain.lash(lambda _: Name.of("not reached")).map(lambda _: 1) == Success(1)
            assert await aio.pipeline(Name.of("no name")).flat_map(ipc.get).match(str, lambda _: 2) == 2
            for wrong in (lambda _: 3, lambda _: asyncio.sleep(0)):
                with pytest.raises(TypeError, match="a step returns a Result or an awaitable of one"):
                    await chain.flat_map(wrong)  # type: ignore[arg-type]  # what this test is about
        assert len(server.result().unwrap()) == 3

    run(main, loop)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="CPython has eager tasks since 3.12")
def test_eager_tasks_may_use_a_connection(directory: Path, loop: str) -> None:
    if loop == "uvloop" and sys.version_info[:3] == (3, 13, 0):
        pytest.skip("uvloop fails with eager tasks on this version")

    async def main() -> None:
        ipc = aio.IPC(directory)
        eager: Any = getattr(asyncio, "eager_task_factory")  # noqa: B009 - a checker of 3.11 refuses the attribute; Any: its type is there
        asyncio.get_running_loop().set_task_factory(eager)
        async with serving(ipc, log_later, EMPTY) as server, (await ipc.get(NAME)).unwrap() as process:
            asked = await asyncio.gather(*(process.ask(PING) for _ in range(100)))
            assert asked == [Success(PONG)] * 100
        assert server.result() == Success(("ping",) * 100)

    run(main, loop)


def test_a_connection_that_nobody_has_any_more_is_closed_wherever_that_is_noticed(directory: Path, loop: str) -> None:
    async def main() -> None:
        ipc = aio.IPC(directory)
        left = list[int]()
        all_left = asyncio.Event()

        def leave(_: object, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
            left.append(1)
            if len(left) == 3:  # with the one that waited for the server
                all_left.set()
            return continuation.continue_(carry)

        async with serving(ipc, log, EMPTY, left=leave):
            kept = [(await ipc.get(NAME)).unwrap() for _ in range(2)]
            del kept[0]
            await asyncio.to_thread(kept.clear)
            await all_left.wait()

    run(main, loop)


def test_a_heartbeat_fills_the_silence_while_a_task_waits(directory: Path, loop: str) -> None:
    async def main() -> None:
        with listening(directory) as listener:
            connecting = asyncio.create_task(aio.IPC(directory, heartbeat=0.02).get(NAME))
            with Wire(await asyncio.to_thread(lambda: listener.accept()[0])) as wire:
                await asyncio.to_thread(wire.greet)
                process = (await connecting).unwrap()
                waiting = asyncio.create_task(process.wait())
                await asyncio.to_thread(wire.expect_heartbeats, 3)
                wire.write("response")
                assert await waiting == Success(Message.text("response"))

    run(main, loop)


def test_no_signal_and_no_child_is_needed_to_find_servers(directory: Path, loop: str) -> None:
    async def main() -> None:
        ipc = aio.IPC(directory)
        assert await ipc.processes() == Success(frozenset())
        with listening(directory, Name("foreign")) as listener:  # a server without a lock file is asked by a connection
            looking = asyncio.create_task(ipc.processes())
            with Wire(await asyncio.to_thread(lambda: listener.accept()[0])) as wire:
                assert await looking == Success(frozenset({Name("foreign")}))
                assert wire.ended()
        async with serving(ipc, log, EMPTY):
            assert await ipc.exists(NAME) == Success(True)

    run(main, loop)


def test_a_connection_is_no_value_to_send_elsewhere(directory: Path, loop: str) -> None:
    async def main() -> None:
        ipc = aio.IPC(directory)
        async with serving(ipc, log, EMPTY), (await ipc.get(NAME)).unwrap() as process:
            assert repr(process) == f"<Process server pid={os.getpid()}>"
            with pytest.raises(TypeError, match="cannot be pickled"):
                process.__reduce__()

    run(main, loop)
