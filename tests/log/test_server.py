"""A server with a log acknowledges nothing that the log does not have, and goes on with what it has."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NoReturn, cast

import attrs
import pytest
from returns.result import Failure, Result, Success

from ipcfold import (
    IPC,
    ConnectionClosed,
    ConnectionDropped,
    ConnectionLost,
    Continuation,
    HandlerFailed,
    Limits,
    LogCorrupt,
    LogError,
    LogFailed,
    LogFull,
    LogTaken,
    LogUnusable,
    Message,
    Peer,
    ReplayDiverged,
    Ticket,
    Unacknowledged,
    UsedAfterFork,
    cases,
)
from ipcfold.codec import Codec
from ipcfold.events import Event, Folded
from ipcfold.log import Adopted, Began, Ended, History, Journal, Log, MemoryLog, Reading, Snapshots, SQLiteLog, decode
from tests.shells.children import Child
from tests.shells.support import NAME, PATIENCE

ONE, TWO = Message.text("one"), Message.text("two")
INTEGERS = Snapshots(Codec(int), every=3)


def count(message: Message, continuation: Continuation[int], counter: int) -> Continuation[int]:
    if message.content == b"stop":
        return continuation.stop(counter)
    if message.content == b"raise":
        raise KeyError(message.content)
    return continuation.respond(counter + 1, Message.text(str(counter + 1)))


def twice(message: Message, continuation: Continuation[int], counter: int) -> Continuation[int]:
    return count(message, continuation, counter + 1)


@attrs.define
class FailingLog:
    """A log in memory that fails at one commit, in this way."""

    error: LogError
    left: int
    """How many commits succeed."""
    inner: MemoryLog = attrs.field(factory=MemoryLog)
    place: str = "failing"
    adopts: bool = False

    def open(self) -> Result[Journal, LogError]:
        return self.inner.open().map(lambda journal: FailingJournal(self, journal))

    def read(self) -> Result[Reading, LogError]:
        return self.inner.read()

    def adopting(self) -> "FailingLog":
        return self


@attrs.define
class FailingJournal:
    log: FailingLog
    journal: Journal

    @property
    def first(self) -> int:
        return self.journal.first

    @property
    def count(self) -> int:
        return self.journal.count

    def replay(self, after: int) -> Iterator[Result[tuple[bytes, ...], LogError]]:
        return self.journal.replay(after)

    def snapshots(self) -> Result[tuple[tuple[int, bytes], ...], LogError]:
        return self.journal.snapshots()

    def append(self, record: bytes) -> None:
        self.journal.append(record)

    def extend(self, data: bytes, count: int) -> None:
        self.journal.extend(data, count)

    def commit(self) -> Result[None, LogError]:
        self.log.left -= 1
        return Failure(self.log.error) if self.log.left < 0 else self.journal.commit()

    def snapshot(self, at: int, record: bytes, keep: int) -> Result[None, LogError]:
        return Failure(self.log.error) if self.log.left <= 0 else self.journal.snapshot(at, record, keep)

    def close(self) -> None:
        self.journal.close()

    def abandon(self) -> None:
        self.journal.abandon()


def every_log(directory: Path) -> list[Log | Result[SQLiteLog, LogError]]:
    return [MemoryLog(), SQLiteLog.of(directory / "log")]


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("snapshots", [None, INTEGERS, attrs.evolve(INTEGERS, history=History.DROPPED)])
def test_the_next_server_goes_on_with_the_carry(kind: int, snapshots: Snapshots[int] | None, ipc: IPC, directory: Path) -> None:
    log = every_log(directory)[kind]
    for life in range(3):
        with ipc.listen(NAME, log=log).start(0, count, snapshots=snapshots) as server, ipc.get(NAME).unwrap() as process:
            answers = [process.ask(ONE, PATIENCE).unwrap().content for _ in range(5)]
        assert answers == [b"%d" % (5 * life + number) for number in range(1, 6)]
        assert server.result() == Success(5 * (life + 1))


def test_the_first_carry_counts_once_where_there_are_snapshots(ipc: IPC) -> None:
    log = MemoryLog()
    for first in (7, 100):
        with ipc.listen(NAME, log=log).start(first, count, snapshots=INTEGERS) as server, ipc.get(NAME).unwrap() as process:
            process.ask(ONE, PATIENCE).unwrap()
    assert server.result() == Success(9)


def test_the_log_says_when_servers_began_and_ended(ipc: IPC) -> None:
    log = MemoryLog()
    with ipc.listen(NAME, log=log).start(0, count), ipc.get(NAME).unwrap() as process:
        process.send(ONE, TWO)
    kinds = [type(decode(record).what).__name__ for record in log.records]
    assert kinds == ["Began", "Came", "Came", "Left", "Ended"]
    times = [decode(record).what.now for record in log.records]
    assert times == sorted(times)


def test_nothing_is_acknowledged_that_the_log_does_not_have(ipc: IPC, directory: Path) -> None:
    log = SQLiteLog.of(directory / "log").unwrap()
    with ipc.listen(NAME, log=log).start(0, count), ipc.get(NAME).unwrap() as process, closing(log.read().unwrap()) as reader:
        for number in range(20):
            process.send(*[ONE] * 10).unwrap()
            records = [record for batch in reader.replay(0) for record in batch.unwrap()]
            assert len(records) == 1 + 10 * (number + 1)


def test_an_acknowledgement_does_not_wait_for_a_slow_handler_and_the_log_has_its_message(ipc: IPC) -> None:
    log, entered, go = MemoryLog(), threading.Event(), threading.Event()

    def slow(message: Message, continuation: Continuation[int], counter: int) -> Continuation[int]:
        if message == TWO:
            entered.set()
            go.wait(PATIENCE)
        return continuation.continue_(counter + 1)

    with ipc.listen(NAME, log=log).start(0, slow) as server, ipc.get(NAME).unwrap() as ann, ipc.get(NAME).unwrap() as bob:
        sender = threading.Thread(target=lambda: bob.send(TWO))
        ann.send(ONE).unwrap()
        with ipc.get(NAME).unwrap() as eve:
            both = threading.Thread(target=lambda: eve.send(ONE, TWO))
            both.start()
            entered.wait(PATIENCE)
            while len(log.records) < 3:  # the first of eve's is committed while the handler has the second
                pass
            go.set()
            both.join()
        sender.start()
        sender.join()
    assert server.result() == Success(4)


SURELY: dict[str, LogError] = {"full": LogFull("it", "no space"), "taken": LogTaken("it", 7), "corrupt": LogCorrupt("it", 3, "a page")}


@pytest.mark.parametrize("why", SURELY)
def test_a_log_that_fails_ends_the_server_with_the_carry_that_it_has(why: str, ipc: IPC) -> None:
    """Each client knows exactly what was folded, because it is asked to close."""
    log = FailingLog(SURELY[why], 4)
    with ipc.listen(NAME, log=log).start(0, count) as server, ipc.get(NAME).unwrap() as ann, ipc.get(NAME).unwrap() as bob:
        acknowledged = 0
        ended: object = None
        while ended is None:
            match cases(ann.send(*[ONE] * 3)):
                case Success():
                    acknowledged += 3
                case Failure(error):
                    ended = error
        assert isinstance(ended, Unacknowledged)
        assert isinstance(ended.reason, ConnectionClosed)
        assert isinstance(bob.wait(PATIENCE).failure(), ConnectionClosed)
        failed = server.result(PATIENCE).failure()
    assert failed == LogFailed(acknowledged + ended.acknowledged, SURELY[why])
    assert str(failed).startswith("the log failed, and the server has ended: ")
    with ipc.listen(NAME, log=log.inner).start(0, count) as again:
        pass
    assert again.result() == Success(acknowledged + ended.acknowledged)


def test_a_log_of_which_nobody_knows_what_it_has_ends_every_connection_at_once(ipc: IPC, caplog: pytest.LogCaptureFixture) -> None:
    log = FailingLog(LogUnusable("it", "disk I/O error"), 2)
    with ipc.listen(NAME, log=log).start(0, count) as server, ipc.get(NAME).unwrap() as ann:
        ann.send(ONE).unwrap()
        ended = ann.send(TWO).failure()
        assert isinstance(ended, Unacknowledged)
        assert (ended.acknowledged, isinstance(ended.reason, ConnectionLost | ConnectionDropped)) == (0, True)
    assert server.result() == Failure(LogFailed(1, log.error))
    assert f"ends at once: {server.result().failure()}" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_log_that_fails_while_the_handler_runs_tells_nobody_of_the_messages_before(ipc: IPC) -> None:
    log, entered, go = FailingLog(LogFull("it", "no space"), 1), threading.Event(), threading.Event()

    def slow(message: Message, continuation: Continuation[int], counter: int) -> Continuation[int]:
        if message == TWO:
            go.wait(PATIENCE)
        return continuation.respond(counter + 1, ONE)

    with ipc.listen(NAME, log=log).start(0, slow) as server, ipc.get(NAME).unwrap() as ann:
        ended = list[object]()
        sender = threading.Thread(target=lambda: ended.append(ann.send(ONE, TWO).failure()))
        sender.start()
        while log.left >= 0:
            pass
        go.set()
        sender.join()
        (error,) = ended
        assert isinstance(error, Unacknowledged)
        assert (error.acknowledged, isinstance(error.reason, ConnectionClosed)) == (0, True)
    assert server.result() == Failure(LogFailed(0, log.error))
    entered.set()


def test_a_snapshot_that_fails_ends_the_server_with_its_carry(ipc: IPC) -> None:
    log = FailingLog(LogFull("it", "no space"), 2)
    snapshots = attrs.evolve(INTEGERS, every=1)
    log.left = 2
    with ipc.listen(NAME, log=log).start(0, count, snapshots=snapshots) as server, ipc.get(NAME).unwrap() as ann:
        ann.send(ONE)
        server.result(PATIENCE)
    failed = server.result().failure()
    assert isinstance(failed, LogFailed)
    assert failed.reason == log.error


def test_a_first_carry_that_cannot_be_kept_ends_the_server(ipc: IPC) -> None:
    log = FailingLog(LogFull("it", "no space"), 0)
    assert ipc.listen(NAME, PATIENCE, log=log)(3, count, snapshots=INTEGERS) == Failure(LogFailed(3, log.error))


def test_a_carry_that_does_not_encode_costs_its_snapshots_and_nothing_else(ipc: IPC) -> None:
    log = MemoryLog()
    broken = attrs.evolve(Snapshots.of(lambda carry: str(1 // 0 + carry).encode(), int), every=1)
    for _ in range(2):
        with ipc.listen(NAME, log=log).start(0, count, snapshots=broken) as server, ipc.get(NAME).unwrap() as ann:
            ann.send(ONE, ONE).unwrap()
    assert (server.result(), log.store.snapshots) == (Success(4), [])


def test_a_log_that_cannot_be_opened_lets_no_server_start(ipc: IPC, directory: Path) -> None:
    log = SQLiteLog.of(directory / "missing" / "log")
    assert isinstance(log, Failure)
    assert ipc.listen(NAME, log=log)(3, count) == Failure(LogFailed(3, log.failure()))
    mine = SQLiteLog.of(directory / "log")
    with ipc.listen(NAME, log=mine).start(0, count):
        other = directory / "other"
        other.mkdir(mode=0o700)
        assert IPC(other).listen(NAME, log=mine)(3, count) == Failure(LogFailed(3, LogTaken(str(directory / "log"), os.getpid())))
    assert ipc.listen(NAME, 0.0, log=FailingLog(LogFull("it", "no space"), 0))(3, count) == Failure(LogFailed(3, LogFull("it", "no space")))


def test_a_handler_that_fails_keeps_the_carry_in_the_log(ipc: IPC) -> None:
    log = MemoryLog()
    with ipc.listen(NAME, log=log).start(0, count, snapshots=INTEGERS) as server, ipc.get(NAME).unwrap() as ann:
        ann.send(ONE, Message.text("raise"))
    failed = server.result().failure()
    assert isinstance(failed, HandlerFailed)
    with ipc.listen(NAME, log=log).start(0, count, snapshots=INTEGERS) as server:
        pass
    assert server.result() == Success(failed.carry) == Success(1)


def test_a_changed_handler_does_not_start_unless_it_is_adopted(ipc: IPC, directory: Path) -> None:
    log = SQLiteLog.of(directory / "log")
    with ipc.listen(NAME, log=log).start(0, count), ipc.get(NAME).unwrap() as ann:
        ann.send(ONE, TWO).unwrap()
    diverged = ipc.listen(NAME, log=log)(0, twice).failure()
    match diverged:
        case ReplayDiverged(carry=0, at=2, message=message):
            assert (message, "log.adopting()" in str(diverged)) == (ONE, True)
        case other:
            pytest.fail(f"{other}")
    with ipc.listen(NAME, log=log.map(SQLiteLog.adopting)).start(0, twice) as server, ipc.get(NAME).unwrap() as ann:
        assert ann.ask(ONE, PATIENCE).unwrap().content == b"6"
    assert server.result() == Success(6)
    with ipc.listen(NAME, log=log).start(0, twice) as server:
        pass
    assert server.result() == Success(6)
    with closing(log.unwrap().read().unwrap()) as reader:
        entries = [decode(record).what for batch in reader.replay(0) for record in batch.unwrap()]
    assert sum(isinstance(entry, Adopted) for entry in entries) == 1
    assert sum(isinstance(entry, Began | Ended) for entry in entries) == 6


def test_connections_are_numbered_on_so_that_an_old_ticket_fits_nobody(ipc: IPC) -> None:
    log = MemoryLog()

    def later(message: Message, given: Continuation[tuple[Ticket, ...]], carry: tuple[Ticket, ...]) -> Continuation[tuple[Ticket, ...]]:
        if message == ONE:
            return given.defer((*carry, given.ticket))
        for ticket in carry:
            given = given.answer((), ticket, message)
        return given.respond((), Message.text(str(given.peer.connection)))

    nothing: tuple[Ticket, ...] = ()
    with ipc.listen(NAME, log=log).start(nothing, later), ipc.get(NAME).unwrap() as ann:
        ann.send(ONE).unwrap()
    with ipc.listen(NAME, log=log).start(nothing, later) as server, ipc.get(NAME).unwrap() as bob:
        assert bob.ask(TWO, PATIENCE).unwrap().content == b"2"
    assert server.result() == Success(())


def test_each_client_of_a_server_leaves_once_over_all_servers(ipc: IPC, directory: Path) -> None:
    log = SQLiteLog.of(directory / "log")

    def came(_: Message, given: Continuation[tuple[int, ...]], carry: tuple[int, ...]) -> Continuation[tuple[int, ...]]:
        return given.respond(carry, ONE)

    def left(peer: Peer, given: Continuation[tuple[int, ...]], carry: tuple[int, ...]) -> Continuation[tuple[int, ...]]:
        return given.continue_((*carry, peer.connection))

    nobody: tuple[int, ...] = ()

    def work(_: object) -> object:
        return ipc.listen(NAME, log=log)(nobody, came, left)

    with Child(work) as child:
        clients = [ipc.wait(NAME, PATIENCE).unwrap() for _ in range(3)]
        for client in clients:
            client.ask(ONE, PATIENCE).unwrap()
        os.kill(child.pid, 9)
        child.gone()
    with ipc.listen(NAME, log=log).start(nobody, came, left) as server, ipc.get(NAME).unwrap() as ann:
        ann.ask(ONE, PATIENCE).unwrap()
    assert server.result() == Success((1, 2, 3, 4))


def test_an_observer_is_told_of_what_the_log_has(directory: Path) -> None:
    log, told = MemoryLog(), list[int]()

    def observe(event: Event) -> None:
        if isinstance(event, Folded):
            told.append(len(log.records))

    ipc = IPC(directory, observe=observe)
    with ipc.listen(NAME, log=log).start(0, count), ipc.get(NAME).unwrap() as ann:
        for _ in range(3):
            ann.send(ONE, ONE).unwrap()
    assert told == [3, 3, 5, 5, 7, 7] or all(seen > number for number, seen in enumerate(told, 1))


def test_the_child_of_a_fork_writes_nothing_to_the_log(ipc: IPC, directory: Path) -> None:
    log = SQLiteLog.of(directory / "log")

    def fork(message: Message, given: Continuation[int], carry: int) -> Continuation[int]:
        if message == TWO and os.fork() == 0:
            return given.respond(carry + 100, TWO)
        return given.respond(carry + 1, message)

    def work(line: object) -> object:
        pid = os.getpid()
        result = ipc.listen(NAME, PATIENCE, log=log)(0, fork)
        if os.getpid() != pid:
            assert isinstance(result.failure(), UsedAfterFork)
            os._exit(0)
        os.wait()
        return result

    with Child(work) as child:
        with ipc.wait(NAME, PATIENCE).unwrap() as ann:
            assert [ann.ask(message, PATIENCE).unwrap() for message in (ONE, TWO, ONE)] == [ONE, TWO, ONE]
        assert child.stop() == str(Success(3))
    assert isinstance(ipc.listen(NAME, log=log)(0, lambda _, given, carry: given.respond(carry + 1, ONE)).failure(), ReplayDiverged)


def test_a_signal_ends_a_replay(ipc: IPC, directory: Path) -> None:
    log = SQLiteLog.of(directory / "log")
    with ipc.listen(NAME, log=log).start(0, count), ipc.get(NAME).unwrap() as ann:
        ann.send(*[ONE] * 100).unwrap()

    def signalled(message: Message, given: Continuation[int], carry: int) -> Continuation[int]:
        if carry == 50:
            os.kill(os.getpid(), 15)
        return count(message, given, carry)

    with Child(lambda _: ipc.listen(NAME, log=log)(0, signalled).failure()) as child:
        assert "by a signal or by the program" in child.result()

    def stuck(message: Message, given: Continuation[int], carry: int) -> Continuation[int]:
        while carry == 50:
            os.kill(os.getpid(), 15)
        return count(message, given, carry)

    with Child(lambda _: ipc.listen(NAME, log=log)(0, stuck).failure()) as child:
        assert "by a signal or by the program" in child.result()
    with ipc.listen(NAME, log=log).start(0, count) as server:
        pass
    assert server.result() == Success(100)


def test_large_messages_and_answers_are_in_the_log(ipc: IPC, directory: Path) -> None:
    log, large = SQLiteLog.of(directory / "log"), Message.octets(b"x" * 3_000_000)

    def echo(message: Message, given: Continuation[int], carry: int) -> Continuation[int]:
        return given.respond(carry + len(message.content), message)

    for expected in (3_000_000, 6_000_000):
        with ipc.listen(NAME, log=log).start(0, echo) as server, ipc.get(NAME).unwrap() as ann:
            assert ann.ask(large, PATIENCE).unwrap() == large
        assert server.result() == Success(expected)


def test_a_client_that_reads_nothing_while_the_log_fails_costs_nobody(directory: Path) -> None:
    ipc = IPC(directory, limits=Limits(drain=0.1))
    log = FailingLog(LogFull("it", "no space"), 3)

    def much(_: Message, given: Continuation[int], carry: int) -> Continuation[int]:
        return given.respond(carry + 1, Message.octets(b"x" * 200_000))

    with ipc.listen(NAME, log=log).start(0, much) as server, ipc.get(NAME).unwrap() as ann:
        sender = threading.Thread(target=lambda: ann.send(*[ONE] * 20))
        sender.start()
        failed = server.result(PATIENCE).failure()
        sender.join()
    assert isinstance(failed, LogFailed)
    assert failed.reason == log.error


def test_a_server_whose_log_is_taken_away_acknowledges_nothing_more(ipc: IPC, directory: Path) -> None:
    path = directory / "log"
    with ipc.listen(NAME, log=SQLiteLog.of(path)).start(0, count) as server:
        process = ipc.get(NAME).unwrap()
        process.ask(ONE).unwrap()
        path.unlink()
        assert isinstance(process.ask(TWO), Failure)
        match server.result():
            case Failure(LogFailed(carry=1, reason=LogUnusable(reason=why))):
                assert "removed, moved or replaced" in why
            case other:
                pytest.fail(f"{other}")


def raising(_: object, /) -> NoReturn:
    raise RuntimeError("broken coder")


class Broken:
    """A coder that raises, or returns something else."""

    def __init__(self, result: Callable[[object], object]) -> None:
        self.encode = self.decode = cast("Callable[[object], NoReturn]", result)  # as a program without a type checker may do


@pytest.mark.parametrize(
    ("snapshots", "why"),
    [
        (Snapshots.of(raising, int, every=2), "broken coder"),
        (Snapshots.of(cast("Callable[[int], bytes]", str), int, every=2), "returned a str, not bytes"),
        (Snapshots[int](Broken(raising), every=2), "broken coder"),
        (Snapshots[int](Broken(lambda _: None), every=2), "returned a NoneType, not a Result"),
        (Snapshots[int](Broken(lambda _: Success(b"")), every=2), "returned a bytes, not a Message"),
    ],
)
def test_a_coder_that_is_broken_costs_the_snapshots_and_nothing_else(
    snapshots: Snapshots[int], why: str, ipc: IPC, caplog: pytest.LogCaptureFixture
) -> None:
    log = MemoryLog()
    for expected in (2, 4):
        with ipc.listen(NAME, log=log).start(0, count, snapshots=snapshots) as server:
            for _ in range(2):
                ipc.get(NAME).unwrap().ask(ONE).unwrap()
        assert server.result() == Success(expected)
    assert why in caplog.text


def test_a_snapshot_that_raises_when_it_is_read_is_left_out(ipc: IPC, caplog: pytest.LogCaptureFixture) -> None:
    log = MemoryLog()
    for snapshots in (INTEGERS, Snapshots[int](Broken(raising)), Snapshots.of(str.encode, raising)):
        with ipc.listen(NAME, log=log).start(0, count, snapshots=cast("Snapshots[int]", snapshots)) as server:
            ipc.get(NAME).unwrap().ask(ONE).unwrap()
    assert server.result() == Success(3)
    assert "does not decode: RuntimeError" in caplog.text


def test_what_is_no_log_and_what_are_no_snapshots_is_told(ipc: IPC) -> None:
    no_log = ipc.listen(NAME, log=cast("Log", "path"))(0, count).failure()
    assert "'path' cannot be used: it is a str, and no log; give log=SQLiteLog.of(path)" in str(no_log)
    no_snapshots = ipc.listen(NAME, log=MemoryLog())(0, count, snapshots=cast("Snapshots[int]", Codec(int))).failure()
    assert "snapshots is a Codec; give snapshots=Snapshots(codec)" in str(no_snapshots)
