"""A server with a log in an event loop: the next one goes on with its carry, and those that stand by take over."""

import asyncio
import signal
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from returns.result import Failure, Success

from ipcfold import (
    IPC,
    Came,
    Continuation,
    LogFailed,
    LogFull,
    LogTaken,
    LogUnusable,
    Message,
    Peer,
    ReplayDiverged,
    ReplayInterrupted,
    aio,
)
from ipcfold.codec import Codec
from ipcfold.events import Event, Folded
from ipcfold.log import Log, MemoryLog, Snapshots, SQLiteLog, decode
from tests.aio.support import LOOPS, run, turns
from tests.log.test_server import FailingLog
from tests.log.test_standby import pid
from tests.log.test_standby import serving as served
from tests.shells.support import NAME, PATIENCE

ONE, TWO, FAIL = Message.text("one"), Message.text("two"), Message.text("fail")


def count(message: Message, given: Continuation[int], carry: int) -> Continuation[int]:
    if message == FAIL:
        raise ValueError("it fails")
    return given.respond(carry + 1, Message.text(str(carry + 1)))


async def count_at_once(message: Message, given: Continuation[int], carry: int) -> Continuation[int]:
    return count(message, given, carry)


async def count_later(message: Message, given: Continuation[int], carry: int) -> Continuation[int]:
    await asyncio.sleep(0)
    return count(message, given, carry)


HANDLERS = pytest.mark.parametrize("handler", [count, count_at_once, count_later])


async def asked(directory: Path, times: int = 1) -> list[int]:
    process = (await aio.IPC(directory).wait(NAME, PATIENCE)).unwrap()
    answers = [int((await process.ask(ONE, PATIENCE)).unwrap().content) for _ in range(times)]
    (await process.close()).unwrap()
    return answers


def logs(directory: Path) -> list[Log]:
    return [MemoryLog(), SQLiteLog.of(directory / "log").unwrap()]


@LOOPS
@HANDLERS
@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("snapshots", [None, Snapshots(Codec(int), every=3)])
def test_the_next_server_goes_on_with_the_carry(
    directory: Path, loop: str, handler: aio.Handler[int], kind: int, snapshots: Snapshots[int] | None
) -> None:
    log = logs(directory)[kind]

    async def main() -> None:
        for life in range(3):
            server = asyncio.create_task(aio.IPC(directory).listen(NAME, log=log)(0, handler, snapshots=snapshots))
            assert await asked(directory, 5) == list(range(5 * life + 1, 5 * life + 6))
            server.cancel()
            assert await server == Success(5 * (life + 1))

    run(main, loop)


def test_a_log_may_be_written_by_one_shell_and_replayed_by_the_other(directory: Path) -> None:
    log = MemoryLog()

    async def main() -> None:
        server = asyncio.create_task(aio.IPC(directory).listen(NAME, log=log)(0, count_later))
        await asked(directory, 3)
        server.cancel()
        assert await server == Success(3)

    run(main)
    with IPC(directory).listen(NAME, log=log).start(0, count) as blocking, IPC(directory).get(NAME).unwrap() as process:
        process.send(ONE).unwrap()
    assert blocking.result() == Success(4)


def test_departures_and_alarms_are_replayed(directory: Path) -> None:
    log, seen = MemoryLog(), list[object]()

    async def left(peer: Peer, given: Continuation[int], carry: int) -> Continuation[int]:
        seen.append(peer.connection)
        return given.wake(carry, given.now)

    async def woken(given: Continuation[int], carry: int) -> Continuation[int]:
        seen.append("woken")
        return given.stop(carry + 100) if carry < 100 else given.continue_(carry)

    async def main() -> None:
        server = asyncio.create_task(aio.IPC(directory).listen(NAME, log=log)(0, count, left, woken))
        await asked(directory)
        assert await server == Success(101)
        assert seen == [1, "woken"]
        server = asyncio.create_task(aio.IPC(directory).listen(NAME, log=log)(0, count, left, woken))
        assert await asked(directory) == [102]
        assert seen[2:4] == [1, "woken"]
        server.cancel()
        assert await server == Success(102)

    run(main)


def test_many_messages_share_a_commit(directory: Path) -> None:
    log = FailingLog(LogFull("it", "no space"), 2000)

    async def main() -> None:
        server = asyncio.create_task(aio.IPC(directory).listen(NAME, log=log)(0, count))
        process = (await aio.IPC(directory).wait(NAME, PATIENCE)).unwrap()
        (await process.send(*[ONE] * 1000)).unwrap()
        await process.close()
        server.cancel()
        assert await server == Success(1000)

    run(main)
    assert log.left > 1100  # with a commit for each message fewer are left


def test_an_acknowledgement_does_not_wait_for_a_slow_plain_function(directory: Path) -> None:
    log, go, entered = MemoryLog(), threading.Event(), threading.Event()

    def slow(message: Message, given: Continuation[int], carry: int) -> Continuation[int]:
        if message == TWO:
            entered.set()
            go.wait(PATIENCE)
        return given.continue_(carry + 1)

    def client() -> None:
        with IPC(directory).wait(NAME, PATIENCE).unwrap() as ann, IPC(directory).wait(NAME, PATIENCE).unwrap() as bob:
            sender = threading.Thread(target=lambda: ann.send(ONE, TWO))
            sender.start()
            entered.wait(PATIENCE)
            while len(log.records) < 2:  # the first of ann's is committed while the function has the second
                pass
            go.set()
            sender.join()
            bob.send(ONE).unwrap()

    async def main() -> None:
        server = asyncio.create_task(aio.IPC(directory).listen(NAME, log=log)(0, slow))
        await asyncio.to_thread(client)
        server.cancel()
        assert await server == Success(3)

    run(main)


@LOOPS
@HANDLERS
def test_a_log_that_fails_ends_the_server_with_the_carry_that_it_has(directory: Path, loop: str, handler: aio.Handler[int]) -> None:
    log = FailingLog(LogFull("it", "no space"), 3)

    async def main() -> None:
        server = asyncio.create_task(aio.IPC(directory).listen(NAME, log=log)(0, handler))
        process = (await aio.IPC(directory).wait(NAME, PATIENCE)).unwrap()
        assert (await process.send(ONE)).map(lambda _: None) == Success(None)
        assert (await process.send(ONE)).map(lambda _: None) == Success(None)
        assert (await process.send(ONE)).failure().acknowledged == 0  # type: ignore[union-attr]
        assert await server == Failure(LogFailed(2, LogFull("it", "no space")))

    run(main, loop)


def test_a_log_whose_state_nobody_knows_ends_the_server_at_once(directory: Path) -> None:
    log = FailingLog(LogUnusable("it", "an error of the disk"), 2)

    async def main() -> None:
        server = asyncio.create_task(aio.IPC(directory).listen(NAME, log=log)(0, count))
        process = (await aio.IPC(directory).wait(NAME, PATIENCE)).unwrap()
        (await process.send(ONE)).unwrap()
        assert (await process.send(ONE)).failure().acknowledged == 0  # type: ignore[union-attr]
        assert await server == Failure(LogFailed(1, log.error))

    run(main)


def test_a_log_that_is_refused_or_taken_is_an_error(directory: Path) -> None:
    refused = SQLiteLog.of(directory / "missing" / "log")
    taken = MemoryLog()

    async def main() -> None:
        listen = aio.IPC(directory).listen
        assert await listen(NAME, log=refused)(7, count) == Failure(LogFailed(7, refused.failure()))
        with closing(taken.open().unwrap()):
            ended = (await listen(NAME, log=taken)(7, count)).failure()
        assert isinstance(ended, LogFailed)
        assert isinstance(ended.reason, LogTaken)

    run(main)


@LOOPS
@HANDLERS
def test_another_answer_is_found(directory: Path, loop: str, handler: aio.Handler[int]) -> None:
    log = MemoryLog()

    async def other(message: Message, given: Continuation[int], carry: int) -> Continuation[int]:
        await asyncio.sleep(0)
        return given.respond(carry + 1, ONE)

    async def raising(message: Message, given: Continuation[int], carry: int) -> Continuation[int]:
        await asyncio.sleep(0)
        raise asyncio.CancelledError  # as something that a handler awaits may do

    async def main() -> None:
        server = asyncio.create_task(aio.IPC(directory).listen(NAME, log=log)(0, handler))
        await asked(directory, 3)
        server.cancel()
        assert await server == Success(3)
        listen = aio.IPC(directory).listen
        assert await listen(NAME, log=log)(0, other) == Failure(ReplayDiverged(0, "in memory", 2, ONE))
        raised = (await listen(NAME, log=log)(0, raising)).failure()
        assert isinstance(raised, ReplayDiverged)
        assert isinstance(raised.error, asyncio.CancelledError)
        adopting = asyncio.create_task(listen(NAME, log=log.adopting())(0, other))
        await (await aio.IPC(directory).wait(NAME, PATIENCE)).unwrap().send(ONE)
        adopting.cancel()
        assert await adopting == Success(4)

    run(main, loop)


@LOOPS
def test_a_cancellation_ends_a_replay_and_nothing_else(directory: Path, loop: str) -> None:
    log = MemoryLog()

    async def main() -> None:
        entered, never = asyncio.Event(), asyncio.Event()

        async def stuck(message: Message, given: Continuation[int], carry: int) -> Continuation[int]:
            if carry == 1:
                entered.set()
                await never.wait()
            return count(message, given, carry)

        server = asyncio.create_task(aio.IPC(directory).listen(NAME, log=log)(0, count))
        await asked(directory, 3)
        server.cancel()
        await server
        before = list(log.records)
        replaying = asyncio.create_task(aio.IPC(directory).listen(NAME, log=log)(0, stuck))
        await entered.wait()
        replaying.cancel()
        assert await replaying == Failure(ReplayInterrupted("in memory", 3))
        assert not replaying.cancelling()
        assert log.records == before

    run(main, loop)


@LOOPS
def test_the_loop_goes_on_while_a_log_is_replayed(directory: Path, loop: str) -> None:
    log = MemoryLog()

    async def main() -> None:
        server = asyncio.create_task(aio.IPC(directory).listen(NAME, log=log)(0, count))
        process = (await aio.IPC(directory).wait(NAME, PATIENCE)).unwrap()
        (await process.send(*[ONE] * 2000)).unwrap()
        await process.close()
        server.cancel()
        await server
        replaying = asyncio.create_task(aio.IPC(directory).listen(NAME, log=log)(0, count))
        await turns(3)
        assert not replaying.done()
        replaying.cancel()
        assert isinstance((await replaying).failure(), ReplayInterrupted)

    run(main, loop)


@LOOPS
def test_a_standby_takes_over_in_a_loop(directory: Path, loop: str) -> None:
    log = SQLiteLog.of(directory / "log")

    async def main() -> None:
        ipc = aio.IPC(directory)
        owner = asyncio.create_task(ipc.listen(NAME, log=log)(0, count_later))
        said = 0
        for _ in range(3):
            assert await asked(directory, 3) == [said + 1, said + 2, said + 3]
            said += 3
            standby = asyncio.create_task(ipc.listen(NAME, log=log, standby=True)(0, count_later))
            await turns(20)
            assert not standby.done()
            owner.cancel()
            assert await owner == Success(said)
            owner = standby
        owner.cancel()
        ended = await owner
        assert ended == Success(said) or isinstance(ended.failure(), ReplayInterrupted)  # it may not have noticed yet that the name is free

    run(main, loop)


@LOOPS
def test_a_standby_in_a_loop_takes_over_from_a_process_that_is_killed(directory: Path, loop: str) -> None:
    log = SQLiteLog.of(directory / "log")
    with served(directory) as owner:

        async def main() -> None:
            assert await asked(directory, 3) == [1, 2, 3]
            standby = asyncio.create_task(aio.IPC(directory).listen(NAME, log=log, standby=True)(0, count))
            await turns(20)
            assert await asyncio.to_thread(pid, directory) == owner.pid
            owner.signal(signal.SIGKILL)
            owner.gone()
            assert await asked(directory, 2) == [4, 5]
            standby.cancel()
            assert await standby == Success(5)

        run(main, loop)


@LOOPS
@pytest.mark.parametrize("end", ["cancel", "signal"])
@pytest.mark.parametrize("kind", [0, 1, None])
def test_a_standby_that_is_ended_has_not_served(directory: Path, loop: str, end: str, kind: int | None) -> None:
    log = None if kind is None else logs(directory)[kind]

    async def main() -> None:
        ipc = aio.IPC(directory)
        owner = asyncio.create_task(ipc.listen(NAME, log=log)(0, count))
        await asked(directory)
        standby = asyncio.create_task(ipc.listen(NAME, log=log, standby=True, signals=[signal.SIGUSR1])(0, count))
        await turns(20)
        ends: dict[str, Callable[[], object]] = {"cancel": standby.cancel, "signal": lambda: signal.raise_signal(signal.SIGUSR1)}
        ends[end]()
        ended = (await standby).failure()
        assert isinstance(ended, ReplayInterrupted)
        assert ended.place == ("" if log is None else log.place)
        assert not standby.cancelling()
        owner.cancel()
        assert await owner == Success(1)

    run(main, loop)


@LOOPS
@HANDLERS
def test_an_observer_is_told_what_the_log_has(directory: Path, loop: str, handler: aio.Handler[int]) -> None:
    log, told = MemoryLog(), list[int]()

    def observe(event: Event) -> None:
        if isinstance(event, Folded):
            told.append(sum(isinstance(decode(record).what, Came) for record in log.records))

    async def main() -> None:
        server = asyncio.create_task(aio.IPC(directory, observe=observe).listen(NAME, log=log)(0, handler))
        process = (await aio.IPC(directory).wait(NAME, PATIENCE)).unwrap()
        (await process.send(*[ONE] * 20)).unwrap()
        await process.close()
        server.cancel()
        assert await server == Success(20)

    run(main, loop)
    assert len(told) == 20
    assert all(had >= number for number, had in enumerate(told, 1))
