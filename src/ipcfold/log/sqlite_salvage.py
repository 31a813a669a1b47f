"""Copies what can be read of a damaged log. The original is only read, and SQLite never opens it.

Each burst and each snapshot has a checksum, so a row is right wherever it is found. A fold leaves no entry out. So the copy has
one run of entries without a gap: from the beginning, or with a snapshot in it. It is the run that reaches furthest.
"""

from __future__ import annotations

import os
import sqlite3
from binascii import crc32
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeAlias, final

import attrs
from returns.result import Failure, Result, Success

from ipcfold.errors import LogError, LogTaken, LogUnusable
from ipcfold.local.claim import holder_of
from ipcfold.log.entry import DamagedError, decode_snapshot, split
from ipcfold.log.sqlite import PAGE, SQLiteLog
from ipcfold.log.sqlite_pages import Pages, Place, Row
from ipcfold.log.sqlite_rows import error_of

Range: TypeAlias = tuple[int, int]
"""The numbers of the first and of the last of some entries."""


@final
@attrs.frozen
class Salvaged:
    """What was copied of a log."""

    copied: tuple[Range, ...]
    """The entries in the copy: one range, or none if there is only a snapshot."""
    snapshots: tuple[int, ...]
    """Behind which entries the copy has a snapshot."""
    missing: tuple[Range, ...]
    """The entries that cannot be read. A server may have dropped the first of them itself."""
    left_out: tuple[Range, ...]
    """The entries that can be read, and that no server could fold because others are missing."""


def salvage(path: Path, copy: Path) -> Result[Salvaged, LogError]:
    """Copy what can be read of the log at `path` to a new log."""
    holder = holder_of(Path(f"{path}.sock")).value_or(None)  # beside it there would be the same lock as beside the log
    if holder is not None:
        return Failure(LogTaken(str(path), holder))
    if os.path.lexists(copy):
        return Failure(LogUnusable(str(copy), "there is a file of that name", "name a new file"))
    try:
        database = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        return Failure(LogUnusable(str(path), getattr(error, "strerror", None) or str(error)))
    try:
        pages = Pages(database, _ahead(path), PAGE)
        return _salvaged(str(path), pages, copy)
    except OSError as error:  # for example a directory
        return Failure(LogUnusable(str(path), error.strerror or str(error)))
    finally:
        os.close(database)


def _ahead(path: Path) -> bytes:
    try:
        return Path(f"{path}-wal").read_bytes()
    except OSError:
        return b""


def _salvaged(place: str, pages: Pages, copy: Path) -> Result[Salvaged, LogError]:
    bursts, snapshots = _found(pages)
    runs = _runs(bursts)
    chosen = _chosen(runs, snapshots)
    if chosen is None:
        return Failure(LogUnusable(place, "nothing can be read of it that a server could begin with", "restore it from a backup"))
    begin, end = chosen
    kept = {at: where for at, where in snapshots.items() if begin <= at <= end}
    wanted = {first: where for first, (count, where) in bursts.items() if begin <= first and first + count <= end}
    written = _written(pages, copy, wanted, kept)
    if isinstance(written, Failure):
        return written
    known = max(end, *snapshots, *(run[1] for run in runs))
    gaps = tuple(zip((0, *(run[1] for run in runs)), (*(run[0] for run in runs), known), strict=True))
    return Success(
        Salvaged(
            _ranges((chosen,)),
            tuple(sorted(kept)),
            _ranges(gaps),
            _ranges(tuple(run for run in runs if not begin <= run[0] < end)),
        )
    )


def _ranges(halves: tuple[Range, ...]) -> tuple[Range, ...]:
    """The ranges of entries that lie between these numbers of entries."""
    return tuple((begin + 1, end) for begin, end in halves if begin < end)


def _found(pages: Pages) -> tuple[dict[int, tuple[int, Place]], dict[int, Place]]:
    """The bursts and snapshots that are right: how many entries are before each, how many it has, and where it stands."""
    bursts, snapshots = dict[int, tuple[int, Place]](), dict[int, Place]()
    for place in pages.places():
        match pages.row(place):
            case (int(first), [None, int(count), int(checksum), bytes(data)]) if crc32(data) == checksum:
                with suppress(DamagedError):
                    split(data, count)
                    bursts[first] = count, place
            case (int(at), [None, int(checksum), bytes(record)]) if crc32(record) == checksum:
                with suppress(DamagedError):
                    if decode_snapshot(record).at == at:
                        snapshots[at] = place
            case _:
                pass
    return bursts, snapshots


def _runs(bursts: dict[int, tuple[int, Place]]) -> list[Range]:
    """Runs of bursts without a gap, each as the numbers of entries before its begin and its end."""
    runs = list[Range]()
    for first in sorted(bursts):
        end = first + bursts[first][0]
        if runs and runs[-1][1] == first:
            runs[-1] = runs[-1][0], end
        else:
            runs.append((first, end))
    return runs


def _chosen(runs: list[Range], snapshots: dict[int, Place]) -> Range | None:
    """The run that reaches furthest, of those that a server can begin with."""
    usable = [(begin, end) for begin, end in runs if begin == 0 or any(begin <= at <= end for at in snapshots)]
    return max([*usable, *((at, at) for at in snapshots)], key=lambda run: (run[1], -run[0]), default=None)


def _written(pages: Pages, copy: Path, bursts: dict[int, Place], snapshots: dict[int, Place]) -> Result[None, LogError]:
    """Write these rows to a new log."""
    made = SQLiteLog.of(copy).bind(SQLiteLog.open).map(lambda journal: journal.close())
    if isinstance(made, Failure):
        return made
    try:
        with closing(sqlite3.connect(copy, isolation_level=None)) as database:
            database.execute("PRAGMA synchronous = FULL")
            database.execute("BEGIN")
            database.executemany("INSERT INTO burst VALUES (?, ?, ?, ?)", _rows(pages, bursts))
            database.executemany("INSERT INTO snapshot VALUES (?, ?, ?)", _rows(pages, snapshots))
            database.execute("COMMIT")
    except sqlite3.Error as error:
        for file in (copy, *(Path(f"{copy}{end}") for end in ("-wal", "-shm", ".lock"))):
            file.unlink(missing_ok=True)
        return Failure(error_of(str(copy), error))
    return Success(None)


def _rows(pages: Pages, places: dict[int, Place]) -> Iterator[list[object]]:
    for first in sorted(places):
        row: Row | None = pages.row(places[first])
        if row is not None:  # it was right before
            yield [first, *row[1][1:]]
