"""A clock that tests move: servers, alarms and timeouts follow it, and no test waits for them."""

import asyncio
import socket
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from returns.result import Failure, Success

from ipcfold import IPC, Continuation, Limits, Message, Peer, TimedOut, aio
from ipcfold.core.server_connection import ServerConnection, Shared
from ipcfold.core.transports import READ
from ipcfold.events import Connected, Disconnected, Folded, Stopping
from ipcfold.local.client_socket import ClientSocket
from ipcfold.local.clock import SYSTEM
from ipcfold.local.log import Log
from ipcfold.local.poller import Poller
from ipcfold.testing import Clock
from ipcfold.testing.aio import Serve
from ipcfold.testing.plugin import serving
from tests.aio.support import LOOPS, run, turns
from tests.shells.support import NAME, PATIENCE
from tests.shells.wire import Wire

Alarm = tuple[float, Peer | None]

HOUR = 3600.0
BEFORE: Alarm = (0.0, None)
NEVER = Message.text("never")


def remind(message: Message, continuation: Continuation[Alarm], carry: Alarm) -> Continuation[Alarm]:
    """Tell the client an hour later. There is never an answer to `never`."""
    now = continuation.now
    if message == NEVER:
        return continuation.defer(carry)
    return continuation.respond((now, continuation.peer), Message.text(f"at {now:.0f}")).wake((now, continuation.peer), now + HOUR)


def rung(continuation: Continuation[Alarm], carry: Alarm) -> Continuation[Alarm]:
    now, peer = continuation.now, carry[1]
    assert peer is not None
    return continuation.tell((now, peer), peer, Message.text(f"an hour later: {now:.0f}"))


def test_a_server_on_a_thread_follows_its_clock(directory: Path) -> None:
    clock = Clock(1000.0)
    with serving(IPC(directory)) as serve:
        server = serve(remind, BEFORE, woken=rung, clock=clock)
        process = server.connect()
        assert process.ask(Message.text("remind")) == Success(Message.text("at 1000"))
        clock.advance(HOUR / 2)
        assert process.ask(Message.text("remind")) == Success(Message.text("at 2800"))
        clock.advance(HOUR / 2)
        assert process.ask(Message.text("what time is it")) == Success(Message.text("at 4600"))
        assert process.wait(0.0).map(bool).value_or(False) is False
        clock.advance(HOUR)
        assert process.wait(PATIENCE) == Success(Message.text("an hour later: 8200"))
        assert server.stop().map(lambda carry: carry[0]) == Success(8200.0)


@LOOPS
def test_a_server_in_a_loop_and_its_clients_follow_their_clock(directory: Path, loop: str) -> None:
    async def main() -> None:
        clock = Clock(1000.0)
        async with Serve(aio.IPC(directory))(remind, BEFORE, woken=rung, clock=clock) as server:
            async with await server.connect() as process:
                assert await process.ask(Message.text("remind"), HOUR) == Success(Message.text("at 1000"))
                asked = asyncio.create_task(process.ask(NEVER, HOUR))
                waiting = asyncio.create_task(process.wait(2 * HOUR))
                await server.until(Folded, 2)
                clock.advance(HOUR - 1)
                await turns(20)
                assert not asked.done()
                clock.advance(1)
                assert await asked == Failure(TimedOut(NAME, HOUR, "the response of", 1))
                assert await waiting == Success(Message.text("an hour later: 4600"))
                waiting = asyncio.create_task(process.wait(HOUR))
                await turns(20)
                clock.advance(HOUR)
                assert isinstance((await waiting).failure(), TimedOut)
                assert (await process.ask(Message.text("still there"))) == Success(Message.text("at 8200"))
            assert (await server.stop()).map(lambda carry: carry[0]) == Success(8200.0)

    run(main, loop)


@LOOPS
def test_the_timeout_of_a_server_and_of_a_wait_for_one_follow_the_clock(directory: Path, loop: str) -> None:
    async def main() -> None:
        clock = Clock()
        ipc = aio.IPC(directory, clock=clock)
        waiting = asyncio.create_task(ipc.wait(NAME, HOUR))
        await turns(20)
        assert not waiting.done()
        clock.advance(HOUR)
        assert (await waiting).failure() == TimedOut(NAME, HOUR, "the server")
        server = asyncio.create_task(ipc.listen(NAME, HOUR)(BEFORE, remind))
        async with (await ipc.wait(NAME)).unwrap() as process:
            await process.send(NEVER)
            clock.advance(HOUR)
            assert await server == Success(BEFORE)
        clock.go()

    run(main, loop)


@LOOPS
def test_a_client_that_is_silent_beyond_a_limit_is_dropped_when_the_clock_says_so(directory: Path, loop: str) -> None:
    async def main() -> None:
        clock = Clock()
        async with Serve(aio.IPC(directory, limits=Limits(handshake=HOUR)))(remind, BEFORE, clock=clock) as server:
            with Wire.to(directory):
                await server.until(Connected)
                clock.advance(HOUR)
                await server.until(Disconnected)

    run(main, loop)


def test_a_clock_that_goes_on_by_itself_rings_what_was_set_before(directory: Path) -> None:
    async def main() -> None:
        clock = Clock()
        loop, rang = asyncio.get_running_loop(), asyncio.Event()
        clock.call_at(loop, 0.01, rang.set)
        cancelled = clock.call_at(loop, 0.001, pytest.fail)
        cancelled.cancel()
        cancelled.cancel()
        await turns(3)
        assert not rang.is_set()
        clock.go()
        clock.go()
        await rang.wait()
        assert clock.now >= 0.01

    run(main)


def test_a_clock_is_moved_though_a_loop_that_went_by_it_is_closed() -> None:
    clock, loop = Clock(), asyncio.new_event_loop()
    clock.call_at(loop, 1.0, pytest.fail)
    loop.close()
    clock.advance(2.0)
    assert clock.now == 2.0
    with pytest.raises(ValueError, match="forward"):
        clock.advance(-1.0)


def test_a_server_that_stops_waits_for_its_clients_by_a_clock_that_goes_on(directory: Path) -> None:
    with serving(IPC(directory, limits=Limits(drain=0.05))) as serve:
        server = serve(remind, BEFORE, clock=Clock())
        process = server.connect()
        server.connect().send(NEVER).unwrap()
        assert server.stop() == Success(BEFORE)
        assert len(server.until(Stopping)) == 1
        assert not process.closed


def test_nobody_moves_the_clock_of_the_system() -> None:
    SYSTEM.watch(pytest.fail)()
    assert SYSTEM.pause(HOUR) == HOUR
    before = SYSTEM.monotonic()
    assert SYSTEM.late(before - HOUR) >= HOUR
    assert SYSTEM.late(before + HOUR) == 0.0


@pytest.mark.parametrize("use", [lambda client: client.send(b"x"), lambda client: client.watch(READ)], ids=["written", "watched"])
@pytest.mark.skipif(sys.platform != "linux", reason="its epoll refuses to watch a socket twice")
def test_a_socket_that_the_system_refuses_is_given_up_at_the_time_of_the_clock(use: Callable[[ClientSocket], object]) -> None:
    clock = Clock()
    with socket.socket(socket.AF_UNIX) as unconnected, closing(Poller[object]()) as poller:
        poller.watch(unconnected, READ, None)
        end = ServerConnection(Peer(1), heartbeat=1.0, limits=Limits(), now=clock.monotonic(), shared=Shared())
        clock.advance(HOUR)
        use(ClientSocket(unconnected, end, poller, Log(NAME), clock.monotonic))
    assert end.over
    assert end._since == HOUR  # noqa: SLF001 - the connection is over, so nothing else shows when that was
