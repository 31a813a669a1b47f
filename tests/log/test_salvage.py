"""Of a damaged log a copy has all that a server can fold, and the original stays as it is."""

import os
import shutil
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Failure, Success

from ipcfold import LogTaken, LogUnusable, Message
from ipcfold.core.fold import FoldState
from ipcfold.log import Snapshot
from ipcfold.log.entry import encode_snapshot
from ipcfold.log.sqlite import PAGE
from ipcfold.log.sqlite_pages import Pages
from ipcfold.log.sqlite_salvage import Salvaged, salvage
from tests.log.test_sqlite import opened, written

BURSTS = [[bytes([number]) * (20_000 if number % 9 == 4 else 3000)] * (1 + number % 2) for number in range(30)]
RECORDS = [record for burst in BURSTS for record in burst]


def kept(at: int) -> bytes:
    return encode_snapshot(Snapshot(at, Message.text("x" * 100), FoldState()))


def copied(tmp_path: Path, path: Path) -> tuple[Salvaged, list[bytes], tuple[int, ...]]:
    """What was salvaged, the records that a server finds in the copy, and where it finds snapshots."""
    before = {file: file.read_bytes() for file in path.parent.glob(f"{path.name}*")}
    copy = tmp_path / "copy"
    for file in tmp_path.glob("copy*"):
        file.unlink()
    found = salvage(path, copy).unwrap()
    assert {file: file.read_bytes() for file in path.parent.glob(f"{path.name}*")} == before
    with closing(opened(copy)) as journal:
        snapshots = tuple(sorted(at for at, _ in journal.snapshots().unwrap()))
        return found, [record for batch in journal.replay(journal.first) for record in batch.unwrap()], snapshots


def numbers(found: Salvaged) -> list[int]:
    """The entries that it tells of, in order."""
    ranges = sorted((*found.copied, *found.missing, *found.left_out))
    return [number for first, last in ranges for number in range(first, last + 1)]


@pytest.mark.parametrize("damage", [b"\xff" * PAGE, bytes(PAGE), os.urandom(PAGE)], ids=["overwritten", "zeroed", "random"])
def test_what_stands_before_a_damaged_page_is_copied(tmp_path: Path, damage: bytes) -> None:
    """Each page of the database in turn: the schema, a root, a leaf, or the rest of a large burst."""
    path = tmp_path / "log"
    written(path, *BURSTS)
    whole = path.read_bytes()
    ends = list[int]()
    for at in range(0, len(whole), PAGE):
        path.write_bytes(whole[:at] + damage + whole[at + PAGE :])
        if at == 4 * PAGE:  # the first burst
            assert isinstance(salvage(path, tmp_path / "none").failure(), LogUnusable)
            continue
        found, records, _ = copied(tmp_path, path)
        ((first, end),) = found.copied
        assert first == 1
        assert records == RECORDS[:end]
        assert numbers(found) == list(range(1, len(numbers(found)) + 1))
        assert len(RECORDS) - len(numbers(found)) < 3
        assert sum(last - first + 1 for first, last in found.missing) < 4
        ends.append(end)
    assert ends[:4] == [len(RECORDS)] * 4
    assert sorted(ends[4:]) == ends[4:]


def test_of_a_database_that_is_cut_at_any_page_the_whole_bursts_are_copied(tmp_path: Path) -> None:
    path = tmp_path / "log"
    written(path, *BURSTS)
    whole = path.read_bytes()
    ends = [0]
    for size in [*range(0, len(whole), PAGE), *range(8 * PAGE, len(whole), 7919)]:
        path.write_bytes(whole[:size])
        result = salvage(path, tmp_path / "none") if size <= 4 * PAGE else None
        if result is not None:
            assert isinstance(result.failure(), LogUnusable)
            continue
        found, records, _ = copied(tmp_path, path)
        ((_, end),) = found.copied
        assert records == RECORDS[:end]
        ends.append(end)
    assert max(ends) > len(RECORDS) - 3


def test_a_write_ahead_log_that_is_cut_anywhere_counts_up_to_its_last_whole_transaction(tmp_path: Path) -> None:
    path, torn = tmp_path / "log", tmp_path / "torn"
    with closing(opened(path)) as journal:
        journal.append(b"0")
        journal.commit().unwrap()
        before = Path(f"{path}-wal").stat().st_size
        for number in range(1, 5):
            journal.append(b"%d" % number * 9000)
            journal.commit().unwrap()
        data = Path(f"{path}-wal").read_bytes()
        shutil.copy(path, torn)
        expected = [b"0", *(b"%d" % number * 9000 for number in range(1, 5))]
        for size in sorted(
            {*range(before + PAGE + 24, len(data), PAGE + 24), *range(before + 1, len(data), 9973), len(data) - 1, len(data)}
        ):
            whole = data[:size]
            swapped = data[: size - 1] + bytes([data[size - 1] ^ 1]) + data[size:]
            for content in (whole, swapped):
                Path(f"{torn}-wal").write_bytes(content)
                found, records, _ = copied(tmp_path, torn)
                assert records == expected[: len(records)]
                assert found.copied == ((1, len(records)),)
                shutil.copy(torn, tmp_path / "sqlite")
                shutil.copy(f"{torn}-wal", tmp_path / "sqlite-wal")
                with closing(opened(tmp_path / "sqlite")) as known:  # the same as SQLite makes of it
                    assert [record for batch in known.replay(0) for record in batch.unwrap()] == records
                (tmp_path / "sqlite").unlink()


def test_what_a_snapshot_leads_to_is_copied_if_it_reaches_further(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with closing(opened(path)) as journal:
        journal.snapshot(0, kept(0), 0).unwrap()
        for number, burst in enumerate(BURSTS):
            for record in burst:
                journal.append(record)
            journal.commit().unwrap()
            if number % 10 == 5:
                journal.snapshot(journal.count, kept(journal.count), 0).unwrap()
        snapshots = tuple(sorted(at for at, _ in journal.snapshots().unwrap()))
        assert len(snapshots) == 3
    whole = path.read_bytes()
    began = set[int]()
    for at in range(0, len(whole), PAGE):
        path.write_bytes(whole[:at] + b"\xff" * PAGE + whole[at + PAGE :])
        found, records, there = copied(tmp_path, path)
        end = max(number for number in (*there, *(last for _, last in found.copied)))
        begin = found.copied[0][0] - 1 if found.copied else end
        assert records == RECORDS[begin:end]
        assert end >= snapshots[-1]
        assert there == found.snapshots == tuple(each for each in (snapshots if at != 3 * PAGE else ()) if begin <= each <= end)
        began.add(begin)
    assert len(began) > 10


@given(st.lists(st.lists(st.binary(max_size=40), min_size=1, max_size=5), max_size=30), st.data())
def test_nothing_that_is_no_entry_is_copied_whatever_is_overwritten(
    tmp_path_factory: pytest.TempPathFactory, bursts: list[list[bytes]], data: st.DataObject
) -> None:
    directory = tmp_path_factory.mktemp("salvage")
    written(directory / "log", *bursts)
    content = bytearray((directory / "log").read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        piece = data.draw(st.binary(min_size=1, max_size=50))[: len(content) - at]
        content[at : at + len(piece)] = piece
    (directory / "log").write_bytes(content)
    match salvage(directory / "log", directory / "copy"):
        case Success(Salvaged(copied=((1, end),))):
            with closing(opened(directory / "copy")) as journal:
                records = [record for batch in journal.replay(0) for record in batch.unwrap()]
            assert records == [record for burst in bursts for record in burst][:end]
        case Failure(error):
            assert isinstance(error, LogUnusable)
        case other:
            pytest.fail(f"{other}")


@given(st.binary(max_size=3 * 512), st.binary(max_size=3 * 536))
def test_no_bytes_make_the_reader_of_pages_raise(tmp_path_factory: pytest.TempPathFactory, database: bytes, ahead: bytes) -> None:
    path = tmp_path_factory.mktemp("pages") / "log"
    path.write_bytes(database)
    with path.open("rb") as file:
        for usual in (512, PAGE):
            pages = Pages(file.fileno(), ahead, usual)
            assert all(len(row) == 2 for row in map(pages.row, pages.places()) if row is not None)


def test_what_cannot_be_salvaged_is_told(tmp_path: Path) -> None:
    path, copy = tmp_path / "log", tmp_path / "copy"
    assert isinstance(salvage(path, copy).failure(), LogUnusable)
    with closing(opened(path)):
        assert salvage(path, copy).failure() == LogTaken(str(path), os.getpid())
    assert isinstance(salvage(path, copy).failure(), LogUnusable)  # no entry is in it
    assert isinstance(salvage(tmp_path, copy).failure(), LogUnusable)
    written(path, [b"1"])
    assert isinstance(salvage(path, path).failure(), LogUnusable)
    assert "there is a file of that name: name a new" in str(salvage(path, path).failure()).replace("; ", ": ")
    assert isinstance(salvage(path, tmp_path / "nowhere" / "copy").failure(), LogUnusable)
    assert not copy.exists()
