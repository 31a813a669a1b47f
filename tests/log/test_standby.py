"""A server that stands by follows the log, and takes the name when it is free, with the same carry."""

import os
import signal
import threading
from collections.abc import Callable
from itertools import count as count_up
from pathlib import Path
from time import monotonic

import pytest
from returns.result import Failure, Result, Success

from ipcfold import IPC, Continuation, LogError, LogTaken, Message, NameTaken, ReplayDiverged, ReplayInterrupted
from ipcfold.blocking.running import Running
from ipcfold.log import Journal, MemoryLog, Snapshots, SQLiteLog
from tests.shells.children import Child, Fault
from tests.shells.support import NAME, PATIENCE

ONE = Message.text("one")


def count(_: Message, given: Continuation[int], carry: int) -> Continuation[int]:
    return given.respond(carry + 1, Message.text(str(carry + 1)))


def serving(directory: Path, *, standby: bool = False) -> Child:
    log = SQLiteLog.of(directory / "log")
    return Child(lambda _: IPC(directory).listen(NAME, log=log, standby=standby)(0, count))


def asked(directory: Path, times: int = 1) -> list[int]:
    with IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
        return [int(process.ask(ONE, PATIENCE).unwrap().content) for _ in range(times)]


def pid(directory: Path) -> int:
    with IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
        return process.peer.pid


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_standby_takes_over_with_the_carry_again_and_again(end: signal.Signals, directory: Path) -> None:
    owner = serving(directory)
    said = 0
    for _ in range(5):
        with owner:
            assert asked(directory, 10) == list(range(said + 1, said + 11))
            said += 10
            standby = serving(directory, standby=True)
            assert pid(directory) == owner.pid
            owner.signal(end)
            owner.gone()
        owner = standby
        assert asked(directory) == [said + 1]
        assert pid(directory) == owner.pid
        said += 1
    with owner:
        assert owner.stop() == str(Success(said))


def test_no_standby_takes_over_while_the_owner_is_stopped(directory: Path) -> None:
    with serving(directory) as owner:
        asked(directory)
        owner.signal(signal.SIGSTOP)
        assert owner.paused()
        with serving(directory, standby=True) as standby:
            os.kill(standby.pid, 0)
            log = SQLiteLog.of(directory / "log")
            taken = IPC(directory).listen(NAME, log=log)(0, count).failure()
            assert isinstance(taken, NameTaken)
            assert taken.pid == owner.pid
            owner.resume()
            assert asked(directory) == [2]
            assert pid(directory) == owner.pid
            owner.signal(signal.SIGSTOP)
            assert owner.paused()
            owner.signal(signal.SIGKILL)
            owner.gone()
            assert asked(directory) == [3]
            assert standby.stop() == str(Success(3))


def test_one_of_several_that_stand_by_takes_over(directory: Path) -> None:
    with serving(directory) as owner:
        asked(directory)
        waiting = {child.pid: child for child in (serving(directory, standby=True) for _ in range(3))}
        owner.signal(signal.SIGKILL)
        owner.gone()
        said = 1
        while waiting:
            said += 1
            assert asked(directory) == [said]
            new = waiting.pop(pid(directory))
            with new:
                assert new.stop() == str(Success(said))
                new.gone()


def test_what_stands_by_is_ended_by_a_signal(directory: Path) -> None:
    with serving(directory) as owner:
        asked(directory)
        with serving(directory, standby=True) as standby:
            log = SQLiteLog.of(directory / "log")
            with IPC(directory).listen(NAME, log=log, standby=True).start(0, count) as started:
                pass
            assert isinstance(started.result().failure(), ReplayInterrupted)
            standby.signal(signal.SIGTERM)
            code, said = standby.ended()
            assert code == -signal.SIGTERM or "was ended before it served, by a signal" in said
        assert asked(directory) == [2]
        assert pid(directory) == owner.pid


def test_what_stands_by_and_is_ended_says_what_it_has_folded(ipc: IPC, directory: Path) -> None:
    log, folded = MemoryLog(), list[int]()

    def seen(message: Message, given: Continuation[int], carry: int) -> Continuation[int]:
        folded.append(carry)
        return count(message, given, carry)

    with ipc.listen(NAME, log=log).start(0, count):
        asked(directory, 3)
        with ipc.listen(NAME, log=log, standby=True).start(0, seen) as standby:
            until(lambda: len(folded) == 3)
        with ipc.listen(NAME, standby=True).start(0, count) as unlogged:
            pass
    ended = standby.result().failure()
    assert isinstance(ended, ReplayInterrupted)
    assert (ended.place, ended.at >= 4) == ("in memory", True)
    assert str(unlogged.result().failure()) == (
        "the server was ended before it served, by a signal or by the program: nothing is lost, start it again to serve"
    )


@pytest.mark.parametrize(("function", "standby", "step"), [("claim", True, 5), ("_install", False, 1)])
def test_a_signal_that_comes_while_a_server_begins_is_not_lost(function: str, standby: bool, step: int, directory: Path) -> None:  # noqa: FBT001
    for line in count_up(1, step):
        fault = Fault(signal.SIGTERM, line, after=function, until="listen")
        with Child(lambda _: IPC(directory, heartbeat=1000).listen(NAME, standby=standby)(0, count), fault) as server:
            place = server.hear()
            code, said = server.ended()
        assert code == -signal.SIGTERM or said == str(Success(0)) or "before it served" in said, (place, code, said)
        if (place.startswith("claim.py") and not standby) or place.startswith("listener.py"):
            assert said == str(Success(0))
            return


def test_a_standby_that_is_stopped_when_it_begins_its_log_ends(ipc: IPC, directory: Path) -> None:
    standbys = list[Running[int]]()

    def stops(carry: int) -> bytes:
        until(lambda: bool(standbys))
        standbys[0].stop()
        return b"%d" % carry

    with ipc.listen(NAME).start(0, count) as owner:
        standby = ipc.listen(NAME, log=MemoryLog(), standby=True).start(0, count, snapshots=Snapshots.of(stops, int))
        standbys.append(standby)
    assert owner.result() == Success(0)
    assert standby.result(PATIENCE) == Success(0)


def test_a_standby_that_is_stopped_when_it_opens_its_log_ends(ipc: IPC) -> None:
    standbys, inner = list[Running[int]](), MemoryLog()

    class Stopping:
        """A log that another server writes to, until the one that opens it is stopped."""

        adopts, place, read = False, inner.place, inner.read

        def adopting(self) -> "Stopping":
            return self

        def open(self) -> Result[Journal, LogError]:
            until(lambda: bool(standbys))
            standbys[0].stop()
            return Failure(LogTaken(self.place))

    with ipc.listen(NAME).start(0, count):
        standbys.append(ipc.listen(NAME, log=Stopping(), standby=True).start(0, count))
    assert standbys[0].result(PATIENCE) == Failure(ReplayInterrupted(inner.place, 0))


def test_a_standby_whose_handler_differs_says_so_beside_the_owner(directory: Path) -> None:
    def other(_: Message, given: Continuation[int], carry: int) -> Continuation[int]:
        return given.respond(carry + 1, ONE)

    log = SQLiteLog.of(directory / "log")
    with serving(directory) as owner:
        asked(directory)
        differs = IPC(directory).listen(NAME, log=log, standby=True)(0, other).failure()
        assert isinstance(differs, ReplayDiverged)
        with IPC(directory).listen(NAME, log=log.map(SQLiteLog.adopting), standby=True).start(0, other) as standby:
            asked(directory, 3)
            owner.signal(signal.SIGKILL)
            owner.gone()
            with IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
                assert process.ask(ONE, PATIENCE) == Success(ONE)
        assert standby.result() == Success(5)


def test_a_standby_follows_a_log_in_memory_and_one_without_a_log_only_waits(ipc: IPC, directory: Path) -> None:
    for log in (MemoryLog(), None):
        with ipc.listen(NAME, log=log).start(0, count) as owner:
            asked(directory, 3)
            standby = ipc.listen(NAME, log=log, standby=True).start(0, count)
        assert owner.result() == Success(3)
        assert asked(directory) == [4 if log else 1]
        standby.stop()
        assert standby.result() == Success(4 if log else 1)


def until(what: Callable[[], bool]) -> None:
    deadline = monotonic() + PATIENCE
    while not what():
        assert monotonic() < deadline


def test_a_standby_folds_while_it_waits(ipc: IPC, directory: Path) -> None:
    log, folded = MemoryLog(), list[int]()

    def seen(message: Message, given: Continuation[int], carry: int) -> Continuation[int]:
        folded.append(threading.get_ident())
        return count(message, given, carry)

    with ipc.listen(NAME, log=log).start(0, count), ipc.listen(NAME, log=log, standby=True).start(0, seen) as standby:
        asked(directory, 3)
        until(lambda: len(folded) == 3)
        asked(directory, 2)
        until(lambda: len(folded) == 5)
        assert set(folded) == {standby.thread.ident}
    assert isinstance(standby.result(), Failure | Success)
    assert len(folded) == 5
