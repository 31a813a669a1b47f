"""A log in a file: it has one owner, keeps what is committed, and says what is wrong with it."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Failure, Result, Success

from ipcfold import LogCorrupt, LogError, LogForeign, LogFull, LogReadOnly, LogTaken, LogUnusable
from ipcfold.log import Journal, Log, MemoryLog, SQLiteLog
from ipcfold.log.sqlite import PAGE, _is_mounted
from ipcfold.log.sqlite_rows import SQLiteJournal
from tests.environment import ROOT

RECORDS = st.lists(st.lists(st.binary(max_size=300), min_size=1, max_size=20), max_size=10)
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system")


def opened(path: Path) -> SQLiteJournal:
    return SQLiteLog.of(path).unwrap().open().unwrap()


def refused(result: Result[SQLiteJournal, LogError]) -> LogError:
    assert isinstance(result, Failure), result
    error: LogError = result.failure()
    return error


def written(path: Path, *bursts: list[bytes]) -> None:
    with closing(opened(path)) as journal:
        for burst in bursts:
            for record in burst:
                journal.append(record)
            journal.commit().unwrap()


def replayed(journal: Journal, after: int = 0) -> list[bytes]:
    return [record for batch in journal.replay(after) for record in batch.unwrap()]


def found(path: Path) -> list[bytes]:
    with closing(opened(path)) as journal:
        return replayed(journal)


def logs(tmp: Path) -> Iterator[Log]:
    yield MemoryLog()
    yield SQLiteLog.of(tmp / "log").unwrap()


@given(RECORDS, st.integers(0, 200), st.data())
def test_every_log_gives_back_what_was_committed(
    tmp_path_factory: pytest.TempPathFactory, bursts: list[list[bytes]], after: int, data: st.DataObject
) -> None:
    for log in logs(tmp_path_factory.mktemp("log")):
        expected = list[bytes]()
        for burst in bursts:
            with closing(log.open().unwrap()) as journal:
                assert (journal.count, journal.first) == (len(expected), 0)
                for record in burst:
                    journal.append(record)
                assert replayed(journal) == expected
                if data.draw(st.booleans()):
                    journal.commit().unwrap()
                    expected += burst
                assert replayed(journal, after) == expected[after:]
                journal.close()


@given(st.integers(1, 30), st.integers(0, 30))
def test_every_log_drops_what_no_snapshot_needs(tmp_path_factory: pytest.TempPathFactory, count: int, keep: int) -> None:
    keep = min(keep, count)
    for log in logs(tmp_path_factory.mktemp("log")):
        journal = log.open().unwrap()
        journal.snapshot(0, b"begin", 0).unwrap()
        for number in range(count):
            journal.append(b"%d" % number)
            journal.commit().unwrap()
        for at in (count, count):
            journal.snapshot(at, b"one", 0).unwrap()
        journal.append(b"behind")
        journal.commit().unwrap()
        assert journal.snapshots().unwrap() == ((count, b"one"), (0, b"begin"))
        journal.snapshot(count + 1, b"two", keep).unwrap()
        journal.close()
        with closing(log.open().unwrap()) as again:
            assert (again.first, again.count) == (keep, count + 1)
            assert replayed(again, keep) == [*(b"%d" % number for number in range(keep, count)), b"behind"]
            assert again.snapshots().unwrap() == ((count + 1, b"two"), (count, b"one"), *(((0, b"begin"),) if not keep else ()))


def test_a_log_whose_entries_were_all_dropped_goes_on_behind_them(tmp_path: Path) -> None:
    written(tmp_path / "log", [b"1", b"2"])
    with closing(opened(tmp_path / "log")) as journal:
        journal.snapshot(2, b"s", 2).unwrap()
    with closing(opened(tmp_path / "log")) as journal:
        assert (journal.first, journal.count) == (2, 2)
        journal.append(b"3")
        journal.commit().unwrap()
        assert replayed(journal, 2) == [b"3"]


def test_a_log_that_adopts_is_the_same_log_and_a_child_of_its_owner_leaves_it_alone(tmp_path: Path) -> None:
    for log in logs(tmp_path):
        adopting = log.adopting()
        assert (log.adopts, adopting.adopts, adopting.place) == (False, True, log.place)
        journal = adopting.open().unwrap()
        assert isinstance(log.open().failure(), LogTaken)
        journal.append(b"1")
        journal.abandon()
        journal.close()


def test_a_log_has_one_owner_in_a_process(tmp_path: Path) -> None:
    for log in logs(tmp_path):
        journal = log.open().unwrap()
        assert log.open().failure() == LogTaken(log.place, os.getpid())
        journal.close()
        log.open().unwrap().close()


ASK = "import sys; from ipcfold.log import SQLiteLog; print(SQLiteLog.of(sys.argv[1]).bind(SQLiteLog.open))"


def other_process(path: Path, *before: str) -> str:
    """What another process gets that opens this log."""
    command = [*before, sys.executable, "-c", ASK, str(path)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300).stdout


def test_a_log_has_one_owner_in_all_processes_also_through_links(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "linked").symlink_to("real")
    (tmp_path / "name").symlink_to("real/log")
    with closing(opened(tmp_path / "real" / "log")):
        for path in ("real/log", "linked/log", "name"):
            assert f"process {os.getpid()} writes to the log" in other_process(tmp_path / path)
            assert isinstance(refused(SQLiteLog.of(tmp_path / path).unwrap().open()), LogTaken)
    assert "Success" in other_process(tmp_path / "name")


@ROOT_ONLY
@pytest.mark.skipif(sys.platform != "linux", reason="it has bind mounts")
def test_a_log_has_one_owner_through_a_bind_mount(tmp_path: Path) -> None:
    for name in ("real", "mounted"):
        (tmp_path / name).mkdir()
    mount = f'mount --bind {tmp_path / "real"} {tmp_path / "mounted"} && exec "$@"'
    unshared = ("unshare", "--mount", "sh", "-c", mount, "sh")
    if subprocess.run([*unshared, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system permits no mounts")
    with closing(opened(tmp_path / "real" / "log")):
        assert f"process {os.getpid()} writes to the log" in other_process(tmp_path / "mounted" / "log", *unshared)


def test_a_file_with_another_hard_link_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "log", [b"1"])
    os.link(tmp_path / "log", tmp_path / "other")
    for name in ("log", "other"):
        assert "hard link" in str(SQLiteLog.of(tmp_path / name).failure())


def test_an_owner_whose_lock_file_was_removed_writes_nothing_beside_the_next_one(tmp_path: Path) -> None:
    with closing(opened(tmp_path / "log")) as first:
        first.append(b"1")
        first.commit().unwrap()
        (tmp_path / "log.lock").unlink()
        with closing(opened(tmp_path / "log")) as second:
            first.append(b"of the first")
            assert isinstance(first.commit().failure(), LogTaken)
            assert isinstance(first.snapshot(1, b"s", 0).failure(), LogTaken)
            second.append(b"2")
            second.commit().unwrap()
            assert replayed(second) == [b"1", b"2"]


def test_a_reader_sees_what_is_committed_beside_the_owner(tmp_path: Path) -> None:
    log = SQLiteLog.of(tmp_path / "log").unwrap()
    assert isinstance(log.read().failure(), LogUnusable)
    with closing(opened(tmp_path / "log")) as journal, closing(log.read().unwrap()) as reader:
        for number in range(3):
            journal.append(b"%d" % number)
            assert len([record for batch in reader.replay(0) for record in batch.unwrap()]) == number
            journal.commit().unwrap()
        assert reader.identity()[1] == 1
    with closing(opened(tmp_path / "log")), closing(log.read().unwrap()) as reader:
        assert reader.identity()[1] == 2


BAD: dict[str, tuple[Callable[[Path], object], type[LogError]]] = {
    "a directory": (Path.mkdir, LogForeign),
    "no database": (lambda path: path.write_bytes(b"no database" * 1000), LogForeign),
    "another program's database": (lambda path: executed(path, "CREATE TABLE mine (x)"), LogForeign),
    "another version's log": (lambda path: executed(path, "PRAGMA user_version = 2", log=True), LogForeign),
}


def executed(path: Path, *statements: str, log: bool = False) -> None:
    if log:
        written(path, [b"1"])
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement)


@pytest.mark.parametrize("bad", BAD)
def test_what_is_no_log_of_this_version_is_refused_and_unchanged(bad: str, tmp_path: Path) -> None:
    make, expected = BAD[bad]
    path = tmp_path / "log"
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    error = refused(SQLiteLog.of(path).bind(SQLiteLog.open))
    assert isinstance(error, expected)
    assert str(path) in str(error)
    assert not path.is_file() or path.read_bytes() == before
    if path.is_file():
        assert isinstance(SQLiteLog.of(path).bind(SQLiteLog.read).failure(), LogForeign)


@pytest.mark.parametrize("path", ["missing/log", "file/log", "nul\0"])
def test_a_path_that_cannot_be_is_refused(path: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    error = SQLiteLog.of(tmp_path / path).failure()
    assert isinstance(error, LogUnusable)
    assert "name a file in a directory that exists" in str(error)


def test_what_is_missing_in_the_middle_or_changed_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "log"
    bursts = [[b"%d" % number] * 2 for number in range(5)]
    for statement, at in (
        ("DELETE FROM burst WHERE first = 4", 4),
        ("UPDATE burst SET records = x'00' WHERE first = 6", 6),
        ("UPDATE burst SET count = 3 WHERE first = 2", 2),
        ("UPDATE burst SET records = 'text' WHERE first = 2", 2),
        ("UPDATE burst SET sum = 1 WHERE first = 0", 0),
    ):
        path.unlink(missing_ok=True)
        written(path, *bursts)
        executed(path, statement)
        with closing(opened(path)) as journal:
            *before, last = journal.replay(0)
            assert [record for batch in before for record in batch.unwrap()] == [record for burst in bursts for record in burst][:at]
            match last:
                case Failure(LogCorrupt(at=place)):
                    assert place == at
                case other:
                    pytest.fail(f"{other}")


def test_a_damaged_snapshot_is_there_without_its_content(tmp_path: Path) -> None:
    with closing(opened(tmp_path / "log")) as journal:
        journal.snapshot(0, b"good", 0).unwrap()
        executed(tmp_path / "log", "UPDATE snapshot SET record = x'00'")
        assert journal.snapshots() == Success(((0, b""),))


def test_a_damaged_page_is_damage(tmp_path: Path) -> None:
    """Each page of the file in turn: the log opens to what can be read, or says that it is damaged, and raises nothing."""
    path = tmp_path / "log"
    bursts = [[bytes([number]) * 3000] for number in range(20)]
    written(path, *bursts)
    whole = path.read_bytes()
    for page in range(0, len(whole), PAGE):
        path.write_bytes(whole[:page] + b"\xff" * PAGE + whole[page + PAGE :])
        result = SQLiteLog.of(path).bind(SQLiteLog.open)
        if isinstance(result, Failure):
            assert isinstance(refused(result), LogCorrupt | LogForeign), result
            continue
        with closing(result.unwrap()) as journal:
            *before, last = journal.replay(0)
            assert [batch.unwrap() for batch in before] == [tuple(burst) for burst in bursts[: len(before)]]
            assert isinstance(last, Failure), page
            assert isinstance(last.failure(), LogCorrupt)


def test_a_copy_that_is_cut_anywhere_in_the_last_transaction_opens_to_the_commit_before(tmp_path: Path) -> None:
    path, copy = tmp_path / "log", tmp_path / "copy"
    with closing(opened(path)) as journal:
        wal = Path(f"{path}-wal")
        for number in range(3):
            journal.append(b"%d" % number)
            journal.commit().unwrap()
        before = wal.stat().st_size
        journal.append(b"x" * 20_000)
        journal.commit().unwrap()
        data = wal.read_bytes()
        assert len(data) > before + 2 * PAGE
        for size in sorted({*range(before, len(data), PAGE + 24), *range(before, len(data), 997), len(data) - 1, len(data)}):
            for file in tmp_path.glob("copy*"):
                file.unlink()
            shutil.copy(path, copy)
            Path(f"{copy}-wal").write_bytes(data[:size])
            assert found(copy) == [b"0", b"1", b"2", *([b"x" * 20_000] if size == len(data) else [])]
        for at in range(before, len(data), 1009):  # the same with bytes that a torn write leaves
            for file in tmp_path.glob("copy*"):
                file.unlink()
            shutil.copy(path, copy)
            Path(f"{copy}-wal").write_bytes(data[:at] + bytes(byte ^ 0xFF for byte in data[at : at + 512]) + data[at + 512 :])
            assert found(copy) == [b"0", b"1", b"2"]


def in_mount(options: str, script: str, tmp_path: Path) -> str:
    """What a program prints that runs beside a new file system of these options at `mounted`."""
    (tmp_path / "mounted").mkdir()
    mount = f'mount -t tmpfs -o {options} none {tmp_path / "mounted"} && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", mount, "sh"]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system permits no mounts")
    program = [sys.executable, "-c", script, str(tmp_path / "mounted" / "log")]
    return subprocess.run([*command, *program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300).stdout


FILL = """
import pathlib
import sys
from returns.result import Success
from ipcfold.log import SQLiteLog
log = SQLiteLog.of(sys.argv[1]).unwrap()
other = pathlib.Path(sys.argv[1] + " other")
other.write_bytes(b"x" * 100_000)
journal, committed, result = log.open().unwrap(), 0, Success(None)
while isinstance(result, Success):
    for _ in range(10):
        journal.append(b"x" * 1000)
    result = journal.commit()
    committed += 10 * isinstance(result, Success)
print(type(result.failure()).__name__)
journal.close()
other.unlink()  # somebody frees some space, as the error says
again = log.open().unwrap()
print(sum(len(batch.unwrap()) for batch in again.replay(0)) == committed > 0)
"""


@ROOT_ONLY
def test_a_full_disk_is_told_and_what_was_committed_stays(tmp_path: Path) -> None:
    assert in_mount("size=500k", FILL, tmp_path).split() == [LogFull.__name__, "True"]


@ROOT_ONLY
def test_a_disk_that_is_read_only_is_told(tmp_path: Path) -> None:
    script = "import sys; from ipcfold.log import SQLiteLog; print(SQLiteLog.of(sys.argv[1]).bind(SQLiteLog.open))"
    assert "cannot be written" in in_mount("ro", script, tmp_path)


def test_a_file_that_nobody_may_write_to_is_told(tmp_path: Path) -> None:
    written(tmp_path / "log", [b"1"])
    error = refused(as_nobody(tmp_path / "log"))
    assert isinstance(error, LogReadOnly), error


def as_nobody(path: Path) -> Result[SQLiteJournal, LogError]:
    path.chmod(0o444)
    path.parent.chmod(0o777)
    Path(f"{path}.lock").unlink()
    if os.geteuid():
        return SQLiteLog.of(path).bind(SQLiteLog.open)
    for parent in path.parents:
        if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o005:
            parent.chmod(parent.stat().st_mode | 0o055)
    os.seteuid(65534)
    try:
        return SQLiteLog.of(path).bind(SQLiteLog.open)
    finally:
        os.seteuid(0)


def removed(path: Path) -> None:
    path.unlink()


def moved(path: Path) -> None:
    path.rename(f"{path}.moved")


def replaced(path: Path) -> None:
    shutil.copy(path, f"{path}.copy")
    os.replace(f"{path}.copy", path)


@pytest.mark.parametrize("take_away", [removed, moved, replaced])
@pytest.mark.parametrize("file", ["log", "log-wal"])
@pytest.mark.parametrize("write", [SQLiteJournal.commit, lambda journal: journal.snapshot(1, b"s", 0)])
def test_nothing_is_durable_in_files_that_no_server_finds(
    take_away: Callable[[Path], None], file: str, write: Callable[[SQLiteJournal], Result[None, LogError]], tmp_path: Path
) -> None:
    with closing(opened(tmp_path / "log")) as journal:
        journal.append(b"1")
        journal.commit().unwrap()
        take_away(tmp_path / file)
        journal.append(b"2")
        error = write(journal).failure()
        assert isinstance(error, LogUnusable)
        assert "removed, moved or replaced" in str(error)


def test_an_owner_whose_files_were_moved_leaves_those_of_the_next_log_alone(tmp_path: Path) -> None:
    with closing(opened(tmp_path / "log")) as journal:
        journal.append(b"1")
        journal.commit().unwrap()
        for name in ("log", "log-wal", "log-shm", "log.lock"):
            moved(tmp_path / name)
        with closing(opened(tmp_path / "log")) as other:
            other.append(b"2")
            other.commit().unwrap()
            journal.close()
            other.append(b"3")
            other.commit().unwrap()
    assert found(tmp_path / "log") == [b"2", b"3"]


def test_nobody_else_may_read_a_new_log(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with closing(opened(tmp_path / "log")):
            assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == dict.fromkeys(
                ("log", "log-wal", "log-shm", "log.lock"), 0o600
            )
    finally:
        os.umask(before)


@ROOT_ONLY
@pytest.mark.skipif(sys.platform != "linux", reason="it has bind mounts")
def test_a_file_that_is_itself_mounted_is_refused(tmp_path: Path) -> None:
    written(tmp_path / "log", [b"1"])
    mounted = tmp_path / "a mounted log"
    mounted.touch()
    unshared = ("unshare", "--mount", "sh", "-c", f"mount --bind '{tmp_path / 'log'}' '{mounted}' && exec \"$@\"", "sh")
    if subprocess.run([*unshared, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system permits no mounts")
    assert "mount its directory" in other_process(mounted, *unshared)


def test_a_system_that_tells_no_mounts_has_none(tmp_path: Path) -> None:
    assert not _is_mounted(tmp_path / "log", str(tmp_path / "missing"))


def test_a_reader_of_a_file_that_is_empty_or_that_cannot_be_says_so(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    assert "empty" in str(SQLiteLog.of(tmp_path / "log").bind(SQLiteLog.read).failure())
    assert "there is no such file" in str(SQLiteLog.of(tmp_path / ("x" * 300)).bind(SQLiteLog.read).failure())
