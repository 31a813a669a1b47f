"""A client that connects again can tell whether the server goes on with the fold that it knew, or began anew."""

import os
import signal
from pathlib import Path

import attrs
import pytest
from returns.maybe import Maybe, Nothing, Some
from returns.result import Success

from ipcfold import IPC, Continuation, Message
from ipcfold.codec import Codec
from ipcfold.local.claim import Claim, epoch_of
from ipcfold.local.discovery import listeners
from ipcfold.log import History, MemoryLog, Snapshots, SQLiteLog
from tests.shells.children import Child
from tests.shells.support import NAME, PATIENCE

ONE = Message.text("one")
INTEGERS = attrs.evolve(Snapshots(Codec(int)), every=2, history=History.DROPPED)


def count(_: Message, given: Continuation[int], carry: int) -> Continuation[int]:
    return given.respond(carry + 1, Message.text(str(carry + 1)))


def epoch(ipc: IPC) -> Maybe[int]:
    with ipc.wait(NAME, PATIENCE).unwrap() as process:
        process.ask(ONE, PATIENCE).unwrap()
        known = process.epoch
        assert known == process.epoch
        assert [server.epoch for server in listeners(ipc).unwrap()] == [known]
    return known


def test_a_server_without_a_log_begins_anew(ipc: IPC) -> None:
    known = set[int]()
    for _ in range(3):
        with ipc.listen(NAME).start(0, count):
            known |= {epoch(ipc).unwrap(), epoch(ipc).unwrap()}
    assert len(known) == 3


@pytest.mark.parametrize("snapshots", [None, INTEGERS])
def test_a_server_with_a_log_goes_on_with_the_fold_of_the_one_before(snapshots: Snapshots[int] | None, ipc: IPC) -> None:
    log = MemoryLog()
    known = set[int]()
    for _ in range(4):
        with ipc.listen(NAME, log=log).start(0, count, snapshots=snapshots):
            known.add(epoch(ipc).unwrap())
    with ipc.listen(NAME, log=MemoryLog()).start(0, count):
        assert epoch(ipc).unwrap() not in known
    assert len(known) == 1


def test_a_standby_goes_on_with_the_fold_of_a_server_that_was_killed(ipc: IPC, directory: Path) -> None:
    log = SQLiteLog.of(directory / "log")

    def serving(*, standby: bool) -> Child:
        return Child(lambda _: ipc.listen(NAME, log=log, standby=standby)(0, count))

    with ipc.steady(NAME, PATIENCE) as steady:
        assert steady.epoch is Nothing
        with serving(standby=False) as owner:
            assert steady.ask(ONE, PATIENCE).unwrap().content == b"1"
            known = steady.epoch
            with serving(standby=True) as standby:
                owner.signal(signal.SIGKILL)
                owner.gone()
                assert steady.ask(ONE, PATIENCE).unwrap().content == b"2"
                assert steady.epoch == known
                assert standby.stop() == str(Success(2))
    assert isinstance(known, Some)


def test_a_server_that_is_gone_or_of_another_kind_has_no_epoch(ipc: IPC, directory: Path) -> None:
    with ipc.listen(NAME).start(0, count):
        process = ipc.get(NAME).unwrap()
        assert process.epoch is not Nothing
    assert process.epoch is Nothing
    (directory / "other.lock").touch()
    assert epoch_of(os.getpid(), directory / "other.sock") is Nothing


def test_a_lock_file_that_is_put_back_shows_the_same_epoch(directory: Path) -> None:
    path = directory / f"{NAME}.sock"
    claim = Claim.of(NAME, path).unwrap()
    try:
        with claim.publish(0o600, 7.25).unwrap():
            assert epoch_of(os.getpid(), path) == Some(7_250_000_000)
            path.with_suffix(".lock").unlink()
            assert epoch_of(os.getpid(), path) is Nothing
            assert claim.mend().lock
            assert epoch_of(os.getpid(), path) == Some(7_250_000_000)
    finally:
        claim.release()
