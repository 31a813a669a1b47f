"""The server in an event loop: it shares the loop with other tasks, and ends in good order when its task is cancelled."""

import asyncio
import os
import selectors
import signal
import threading
from pathlib import Path
from typing import Any

import anyio
import pytest
from returns.result import Failure, Success

from ipcfold import (
    IPC,
    ConnectionClosed,
    Continuation,
    HandlerFailed,
    Limits,
    Message,
    Name,
    NameTaken,
    Peer,
    Unacknowledged,
    aio,
)
from ipcfold.effects import Ticket
from ipcfold.events import Departure, Disconnected, Event, Listening
from ipcfold.inputs import Left
from tests.aio.support import LOOPS, run, serving
from tests.environment import PLAIN
from tests.shells.handlers import EMPTY, Log, log
from tests.shells.serve_aio import log_later
from tests.shells.support import NAME, PATIENCE, PING, PONG, handled, python
from tests.shells.wire import CLOSE, CLOSE_OK, RECEIVED, Wire


class Gate:
    """A handler that waits for an event, and says when it does."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.released = asyncio.Event()

    async def __call__(self, message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
        if message.content == b"wait":
            self.entered.set()
            await self.released.wait()
        return continuation.respond((*carry, message.content.decode()), PONG)


@LOOPS
def test_a_cancelled_server_ends_in_good_order_and_returns_its_carry(directory: Path, loop: str) -> None:
    async def main() -> None:
        ipc = aio.IPC(directory)
        server = asyncio.create_task(ipc.listen(NAME)(EMPTY, log))
        process = (await ipc.wait(NAME, PATIENCE)).unwrap()
        assert await process.ask(PING) == Success(PONG)
        server.cancel()
        assert await process.wait() == Failure(ConnectionClosed(NAME))
        assert await server == Success(("ping",))
        assert (server.cancelled(), server.cancelling()) == (False, 0)
        assert list(directory.iterdir()) == []

    run(main, loop)


@LOOPS
@pytest.mark.parametrize("kind", ["timeout", "group", "anyio"])
def test_every_kind_of_cancellation_gives_the_carry(directory: Path, loop: str, kind: str) -> None:
    async def main() -> None:
        ipc = aio.IPC(directory, limits=Limits(drain=0.05))
        listen, results = ipc.listen(NAME), list[object]()

        async def use() -> None:
            process = (await ipc.wait(NAME, PATIENCE)).unwrap()
            await process.send(PING)
            del process

        async def serve() -> None:
            results.append(await listen(EMPTY, log))

        match kind:
            case "timeout":
                async with asyncio.timeout(0.5):
                    using = asyncio.create_task(use())
                    await serve()
                await using
            case "group":
                async with asyncio.TaskGroup() as group:
                    serving = group.create_task(serve())
                    await use()
                    serving.cancel()
            case _:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(serve)
                    await use()
                    tasks.cancel_scope.cancel()
        assert results == [Success(("ping",))]

    run(main, loop)


@LOOPS
def test_a_server_that_is_cancelled_asks_its_clients_to_close_however_often_it_is_cancelled(directory: Path, loop: str) -> None:
    async def main() -> None:
        ipc = aio.IPC(directory)
        with anyio.CancelScope() as scope:

            def speak() -> None:
                with Wire.talking(directory) as wire:
                    wire.ping()
                    asyncio.run_coroutine_threadsafe(cancel(), asyncio_loop)
                    wire.expect(CLOSE).write(CLOSE_OK).expect_end()

            async def cancel() -> None:
                scope.cancel()

            asyncio_loop = asyncio.get_running_loop()
            observed = asyncio.Event()
            listening = aio.IPC(directory, observe=lambda event: observed.set() if isinstance(event, Listening) else None)

            async def talk() -> None:
                await observed.wait()
                await asyncio.to_thread(speak)

            talking = asyncio.create_task(talk())
            result = await listening.listen(NAME)(EMPTY, log)
        assert result == Success(("ping",))
        await talking
        assert await ipc.exists(NAME) == Success(False)

    run(main, loop)


@LOOPS
def test_while_a_handler_is_awaited_the_server_goes_on_with_all_others(directory: Path, loop: str) -> None:
    async def main() -> None:
        gate, events, changed = Gate(), list[Event](), asyncio.Event()

        def observe(event: Event) -> None:
            events.append(event)
            changed.set()

        ipc = aio.IPC(directory, heartbeat=0.02, observe=observe)
        async with serving(ipc, gate, EMPTY) as server:
            with await asyncio.to_thread(Wire.talking, directory) as wire:
                process = (await ipc.get(NAME)).unwrap()
                first = asyncio.create_task(process.ask(PING))
                asking = asyncio.create_task(process.ask(Message.text("wait")))
                behind = asyncio.create_task(process.ask(Message.text("behind")))
                await gate.entered.wait()
                assert await first == Success(PONG)  # an acknowledgement does not wait
                await asyncio.to_thread(wire.expect_heartbeats, 3)
                late = await asyncio.to_thread(Wire.talking, directory)  # it is greeted
                late.close()
                while not any(isinstance(event, Disconnected) and event.departure is Departure.LOST for event in events):
                    changed.clear()
                    await changed.wait()
                wire.write("ping")
                gate.released.set()
                assert await asking == await behind == Success(PONG)
                await asyncio.to_thread(wire.expect, RECEIVED, "pong")
                await process.close()
        assert sorted(server.result().unwrap()) == ["behind", "ping", "ping", "wait"]

    run(main, loop)


class Sleeping(selectors.DefaultSelector):
    """Notes when its loop has nothing to do, and how many turns the loop has taken until then."""

    def __init__(self) -> None:
        super().__init__()
        self._idle: asyncio.Event | None = None
        self._turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if self._idle is None:
            return found or super().select(timeout)
        self._turns += 1
        if self._turns == 1000 or not (found or timeout == 0):
            self._idle.set()
        return found

    async def idle(self) -> int:
        """Wait until the loop has nothing to do; the number of its turns, which are at most 1,000."""
        self._idle, self._turns = asyncio.Event(), 0
        await self._idle.wait()
        self._idle = None
        return self._turns


def test_a_loop_sleeps_while_a_handler_is_awaited_whatever_its_clients_have_sent(directory: Path) -> None:
    selector = Sleeping()

    async def main() -> int:
        gate, ipc, opened = Gate(), aio.IPC(directory, heartbeat=60.0), threading.Event()
        async with serving(ipc, gate, EMPTY):
            loop, written = asyncio.get_running_loop(), asyncio.Event()

            def speak() -> None:
                with Wire.talking(directory) as wire, Wire.talking(directory) as gone:
                    wire.write("ping", "wait").expect(RECEIVED, "pong")
                    gone.write("ping").stream.shutdown(2)
                    wire.write(*["ping"] * 1000)
                    loop.call_soon_threadsafe(written.set)
                    opened.wait(PATIENCE)
                    wire.expect(RECEIVED, "pong", *[RECEIVED, "pong"] * 1000)

            speaking = asyncio.create_task(asyncio.to_thread(speak))
            await gate.entered.wait()
            await written.wait()
            turns = await selector.idle()
            opened.set()
            gate.released.set()
            await speaking
        return turns

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        assert runner.run(main()) < 20


@LOOPS
def test_a_second_cancellation_interrupts_only_the_handler(directory: Path, loop: str) -> None:
    async def main() -> None:
        gate, ipc = Gate(), aio.IPC(directory)
        async with serving(ipc, gate, EMPTY) as server:
            process = (await ipc.get(NAME)).unwrap()
            await process.send(PING)
            sending = asyncio.create_task(process.send(Message.text("wait")))
            await gate.entered.wait()
            server.cancel()
            assert await sending == Failure(Unacknowledged(0, 1, ConnectionClosed(NAME)))
            assert await server == Success(("ping",))

    run(main, loop)


@LOOPS
def test_what_a_handler_does_wrong_ends_the_server_with_the_last_good_carry(directory: Path, loop: str) -> None:
    async def main() -> None:
        async def cancelled_by_itself(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
            if message == PING:
                return continuation.continue_((*carry, "ping"))
            other = asyncio.create_task(asyncio.sleep(PATIENCE))
            other.cancel()
            await other
            raise AssertionError

        async def timed_out(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
            if message == PING:
                return continuation.continue_((*carry, "ping"))
            async with asyncio.timeout(0.01):
                await asyncio.sleep(PATIENCE)
            raise AssertionError

        async def raises(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
            await asyncio.sleep(0)
            return log(message, continuation, carry)

        ipc = aio.IPC(directory)
        cases: list[tuple[aio.Handler[Log], str, type[BaseException]]] = [
            (cancelled_by_itself, "other", asyncio.CancelledError),
            (timed_out, "other", TimeoutError),
            (raises, "raise", KeyError),
            (raises, "exit", SystemExit),
            (raises, "nothing", TypeError),
            (log, "async", TypeError),
            (log, "exit", SystemExit),
        ]
        for handler, content, kind in cases:
            async with serving(ipc, handler, EMPTY) as server, (await ipc.get(NAME)).unwrap() as process:
                await process.send(PING)
                assert await process.send(Message.text(content)) == Failure(Unacknowledged(0, 1, ConnectionClosed(NAME)))
                failed = (await server).failure()
                assert isinstance(failed, HandlerFailed)
                assert (failed.carry, type(failed.error)) == (("ping",), kind)

    run(main, loop)


@LOOPS
@pytest.mark.parametrize("kind", ["plain", "async"])
def test_departures_and_alarms_are_folded_by_functions_of_both_kinds(directory: Path, loop: str, kind: str) -> None:
    async def main() -> None:
        rung = asyncio.Event()

        def handler(message: Message, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
            return continuation.wake((*carry, message.content.decode()), continuation.now)

        def left(_: Peer, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
            return continuation.continue_((*carry, "left"))

        def woken(continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
            rung.set()
            return continuation.continue_((*carry, "woken"))

        async def left_later(peer: Peer, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
            await asyncio.sleep(0)
            return left(peer, continuation, carry)

        async def woken_later(continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
            await asyncio.sleep(0)
            return woken(continuation, carry)

        ipc = aio.IPC(directory)
        functions: dict[str, Any] = {"plain": {"left": left, "woken": woken}, "async": {"left": left_later, "woken": woken_later}}[kind]
        async with serving(ipc, handler, EMPTY, **functions) as server, (await ipc.get(NAME)).unwrap() as process:
            await process.send(PING)
            await rung.wait()
            await process.send(Message.text("last"))
        assert [each for each in server.result().unwrap() if each != "woken"] == ["left", "ping", "last", "left"]

    run(main, loop)


@LOOPS
@pytest.mark.parametrize("kind", ["plain", "async", "async that waits"])
def test_clients_are_answered_while_the_alarm_asks_for_itself_at_once_for_ever(directory: Path, loop: str, kind: str) -> None:
    async def main() -> None:
        def handler(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
            return continuation.respond(carry, message).wake(carry, continuation.now)

        def again(continuation: Continuation[int], carry: int) -> Continuation[int]:
            return continuation.wake(carry + 1, continuation.now)

        async def later(continuation: Continuation[int], carry: int) -> Continuation[int]:
            if kind == "async that waits":
                await asyncio.sleep(0)
            return again(continuation, carry)

        ipc = aio.IPC(directory)
        async with serving(ipc, handler, 0, woken=again if kind == "plain" else later) as server:
            clients = [(await ipc.get(NAME)).unwrap() for _ in range(2)]
            for number in range(20):
                message = Message.text(f"{number}")
                assert [await process.ask(message) for process in clients] == [Success(message)] * 2
            for process in clients:
                await process.close()
        assert server.result().unwrap() > 0

    run(main, loop)


@LOOPS
@pytest.mark.parametrize("answers", ["respond", "close"])
def test_a_departure_has_nobody_to_respond_to(directory: Path, loop: str, answers: str) -> None:
    async def main() -> None:
        async def left(_: Peer, continuation: Continuation[Log], carry: Log) -> Continuation[Log]:
            if not carry:  # somebody looked whether there is a server
                return continuation
            return continuation.respond(carry, PONG) if answers == "respond" else continuation.close(carry)

        ipc = aio.IPC(directory)
        async with serving(ipc, log, EMPTY, left=left) as server:
            async with (await ipc.get(NAME)).unwrap() as process:
                await process.send(PING)
            failed = (await server).failure()
        assert isinstance(failed, HandlerFailed)
        assert (failed.carry, type(failed.message), type(failed.error)) == (("ping",), Left, TypeError)

    run(main, loop)


@LOOPS
def test_a_ticket_of_a_server_before_it_is_refused(directory: Path, loop: str) -> None:
    async def main() -> None:
        def handler(message: Message, continuation: Continuation[Ticket | None], carry: Ticket | None) -> Continuation[Ticket | None]:
            return continuation.defer(continuation.ticket) if carry is None else continuation.answer(carry, carry, message)

        ipc, kept = aio.IPC(directory), None
        for again in (False, True):
            async with serving(ipc, handler, kept) as server, (await ipc.get(NAME)).unwrap() as process:
                assert (await process.send(PING) == Success(process)) is not again
                if again:
                    await server
            if not again:
                kept = server.result().unwrap()
        failed = server.result().failure()
        assert isinstance(failed, HandlerFailed)
        assert f"{kept} is not open, because" in str(failed)

    run(main, loop)


@LOOPS
def test_a_client_that_tells_nobody_costs_the_others_nothing(directory: Path, loop: str) -> None:
    """What a client is told, and a late answer, come to the right task."""

    async def main() -> None:
        def handler(message: Message, continuation: Continuation[object], carry: object) -> Continuation[object]:
            match message.content:
                case b"later":
                    return continuation.defer(continuation.ticket)
                case b"now":
                    told = continuation.tell(carry, continuation.peer, Message.text("news"))
                    return told.answer(carry, carry, Message.text("late")).respond(None, PONG)  # type: ignore[arg-type]  # the ticket
                case _:
                    return continuation.respond(carry, PONG)

        ipc = aio.IPC(directory)
        async with serving(ipc, handler, None), (await ipc.get(NAME)).unwrap() as process:
            later = asyncio.create_task(process.ask(Message.text("later")))
            await asyncio.sleep(0)
            assert await process.ask(Message.text("now")) == Success(PONG)
            assert await later == Success(Message.text("late"))
            assert await process.wait() == Success(Message.text("news"))

    run(main, loop)


@LOOPS
def test_a_name_stays_with_its_live_owner(directory: Path, loop: str) -> None:
    async def main() -> None:
        ipc = aio.IPC(directory)
        async with serving(ipc, log, EMPTY):
            taken = Failure(NameTaken(NAME, directory / "server.sock", os.getpid()))
            assert await ipc.listen(NAME)(EMPTY, log) == taken
            assert await asyncio.to_thread(lambda: IPC(directory).listen(NAME)(EMPTY, log)) == taken
        async with serving(ipc, log, EMPTY, Name("other")):
            pass

    run(main, loop)


@LOOPS
def test_a_server_with_a_timeout_ends_by_itself(directory: Path, loop: str) -> None:
    async def main() -> None:
        assert await aio.IPC(directory).listen(NAME, 0.02)(EMPTY, log_later) == Success(EMPTY)

    run(main, loop)


@LOOPS
def test_a_server_leaves_signals_to_the_program_unless_it_is_asked_to_take_them(directory: Path, loop: str) -> None:
    async def main() -> None:
        came = asyncio.Event()
        ipc = aio.IPC(directory)
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, came.set)
        async with serving(ipc, log, EMPTY) as server:
            os.kill(os.getpid(), signal.SIGUSR1)
            await came.wait()
            assert not server.done()
        asyncio.get_running_loop().remove_signal_handler(signal.SIGUSR1)
        with handled(signal.SIGUSR1, lambda *_: None):
            listen = ipc.listen(NAME, signals=[signal.SIGUSR1])
            other = asyncio.create_task(listen(EMPTY, log))
            (await ipc.wait(NAME, PATIENCE)).unwrap()
            os.kill(os.getpid(), signal.SIGUSR1)
            assert await other == Success(EMPTY)

    run(main, loop)


def test_a_program_in_debug_mode_prints_nothing(directory: Path) -> None:
    program = f"""
import asyncio
from ipcfold import Message, Name, aio

async def handler(message, continuation, count):
    await asyncio.sleep(0)
    return continuation.respond(count + 1, message)

async def main():
    ipc = aio.IPC({str(directory)!r})
    server = asyncio.create_task(ipc.listen(Name("server"))(0, handler))
    async with (await ipc.wait(Name("server"))).unwrap() as process:
        asked = [asyncio.create_task(process.ask(Message.text(str(number)))) for number in range(100)]
        await asyncio.sleep(0)
        for task in asked[::3]:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    server.cancel()
    print(await server)

asyncio.run(main())
asyncio.run(aio.IPC({str(directory)!r}).get(Name("server")))
"""
    done = python("-X", "dev", "-W", "error", "-c", program, environment={**PLAIN, "PYTHONASYNCIODEBUG": "1"})
    assert (done.stdout, [line for line in done.stderr.splitlines() if not line.startswith("Executing ")]) == ("<Success: 100>\n", [])


def test_a_handler_that_cannot_be_called_is_refused(directory: Path) -> None:
    for wrong in (None, 3):
        with pytest.raises(TypeError, match="a handler is wanted"):
            asyncio.run(aio.IPC(directory).listen(NAME)(0, wrong))  # type: ignore[arg-type]  # what this test is about
    with pytest.raises(TypeError, match="a function is wanted as left"):
        asyncio.run(aio.IPC(directory).listen(NAME)(EMPTY, log, left=3))  # type: ignore[arg-type]  # as above
