"""Servers of one log have one carry, or say so: what one accepts, and that it does not use a first carry."""

import pickle
from pathlib import Path
from threading import Event

import pytest
from returns.result import Success

from ipcfold import IPC, Continuation, Message, ReplayDiverged
from ipcfold.codec import Codec
from ipcfold.log import Adopted, MemoryLog, Snapshots, SQLiteLog, decode
from tests.shells.support import NAME, PATIENCE

ONE = Message.text("one")
INTEGERS = Snapshots(Codec(int))


def count(message: Message, given: Continuation[int], carry: int) -> Continuation[int]:
    return given.respond(carry + 1, message)


def collect(message: Message, given: Continuation[frozenset[str]], carry: frozenset[str]) -> Continuation[frozenset[str]]:
    return given.respond(carry | {message.content.decode()}, message)


def loud(message: Message, given: Continuation[int], carry: int) -> Continuation[int]:
    return given.respond(carry + 1, message, message)


def test_a_first_carry_that_is_not_that_of_the_log_is_told(ipc: IPC, caplog: pytest.LogCaptureFixture) -> None:
    log = MemoryLog()
    for first, said in ((7, False), (7, False), (100, True)):
        caplog.clear()
        with ipc.listen(NAME, log=log).start(first, count, snapshots=INTEGERS) as server, ipc.get(NAME).unwrap() as ann:
            ann.send(ONE).unwrap()
        assert ("the log began with another first carry than the server was given: that of the log counts" in caplog.text) is said
    assert server.result() == Success(10)
    log.store.snapshots[0] = 0, b"?"
    assert ipc.listen(NAME, 0.0, log=log)(5, count, snapshots=INTEGERS) == Success(10)


@pytest.mark.parametrize("snapshots", [None, INTEGERS])
def test_a_server_that_adopts_says_what_it_accepts(snapshots: Snapshots[int] | None, ipc: IPC, caplog: pytest.LogCaptureFixture) -> None:
    log = MemoryLog()
    with ipc.listen(NAME, log=log.adopting()).start(0, count) as server, ipc.get(NAME).unwrap() as ann:
        ann.send(ONE).unwrap()
    assert "adopting" not in caplog.text
    for said, kept in (
        ("accepts that the handler differs from entry 2 on, and the log says so", [6]),
        ("had nothing to accept: start without it", [6, 9]),
    ):
        caplog.clear()
        with ipc.listen(NAME, log=log.adopting()).start(0, loud, snapshots=snapshots) as server, ipc.get(NAME).unwrap() as ann:
            ann.send(ONE).unwrap()
            assert [at for at, _ in log.store.snapshots] == (kept if snapshots else [])
        assert f"log.adopting() {said}" in caplog.text
    assert server.result() == Success(3)
    assert [at for at, record in enumerate(log.records, 1) if isinstance(decode(record).what, Adopted)] == [5]


@pytest.mark.parametrize("adopts", [False, True])
def test_a_standby_with_another_carry_does_not_take_over_unless_it_adopts(
    adopts: bool,  # noqa: FBT001 - a parameter
    ipc: IPC,
    caplog: pytest.LogCaptureFixture,
) -> None:
    log, folded = MemoryLog(), Event()

    def double(message: Message, given: Continuation[int], carry: int) -> Continuation[int]:
        folded.set()
        return given.respond(carry + 2, message)

    with ipc.listen(NAME, log=log).start(0, count, snapshots=INTEGERS), ipc.get(NAME).unwrap() as ann:
        ann.send(ONE).unwrap()
        standby = ipc.listen(NAME, log=log.adopting() if adopts else log, standby=True).start(0, double, snapshots=INTEGERS)
        assert folded.wait(PATIENCE)
    if not adopts:
        diverged = standby.result(PATIENCE).failure()
        assert isinstance(diverged, ReplayDiverged)
        assert (diverged.part, diverged.carry, diverged.at) == ("carry", 1, 4)
        return
    ipc.wait(NAME, PATIENCE).unwrap().send(ONE).unwrap()
    standby.stop()
    assert standby.result(PATIENCE) == Success(4)
    assert "log.adopting() accepts that the carry differs from entry 4 on" in caplog.text


def test_servers_that_take_over_from_one_another_have_the_same_carry(ipc: IPC, directory: Path) -> None:
    log, snapshots = SQLiteLog.of(directory / "log"), Snapshots[frozenset[str]].of(pickle.dumps, pickle.loads, every=3)
    start = frozenset[str]()
    servers = [ipc.listen(NAME, log=log).start(start, collect, snapshots=snapshots)]
    for life in range(4):
        with ipc.wait(NAME, PATIENCE).unwrap() as ann:  # the last one serves before the next one stands by
            servers.append(ipc.listen(NAME, log=log, standby=True).start(start, collect, snapshots=snapshots))
            for number in range(7):
                ann.ask(Message.text(f"{life}.{number}"), PATIENCE).unwrap()
        servers[-2].stop()
        assert len(servers[-2].result(PATIENCE).unwrap()) == 7 * (life + 1)
    ipc.wait(NAME, PATIENCE).unwrap().close()
    servers[-1].stop()
    assert len(servers[-1].result(PATIENCE).unwrap()) == 28
