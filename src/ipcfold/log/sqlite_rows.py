"""What stands in the file of a log of SQLite: bursts, one a row, and snapshots."""

from __future__ import annotations

import os
import sqlite3
from binascii import crc32
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, TypeAlias, final

from returns.result import Failure, Result, Success

from ipcfold.errors import LogCorrupt, LogError, LogForeign, LogFull, LogReadOnly, LogTaken, LogUnusable
from ipcfold.local.exclusive import Exclusive
from ipcfold.log.entry import sized, split

_ROWS: Final = 16  # read at once
_INSERT: Final = "INSERT INTO burst SELECT ?, ?, ?, ? FROM owner WHERE epoch = ?"
_SNAPSHOT: Final = "INSERT OR REPLACE INTO snapshot SELECT ?, ?, ? FROM owner WHERE epoch = ?"


Files: TypeAlias = tuple[tuple[int, int], tuple[int, int]] | None
"""The database and its write-ahead log, each as (device, inode), if both are there."""


def _files(place: str) -> Files:
    """The files that stand there."""
    try:
        database, ahead = os.lstat(place), os.lstat(f"{place}-wal")
    except OSError:
        return None
    return (database.st_dev, database.st_ino), (ahead.st_dev, ahead.st_ino)


def closed(database: sqlite3.Connection) -> None:
    with suppress(sqlite3.Error):  # the system closes its files
        database.close()


def error_of(place: str, error: sqlite3.Error, at: int = 0) -> LogError:
    """What an error of SQLite means for a log whose first `at` entries can be read."""
    code = getattr(error, "sqlite_errorcode", None)
    name, text = getattr(error, "sqlite_errorname", "") or "", str(error)
    reason = f"{text}, {name}" if name else text
    match None if code is None else code & 0xFF:
        case sqlite3.SQLITE_FULL:
            return LogFull(place, reason)
        case sqlite3.SQLITE_READONLY:
            return LogReadOnly(place, reason)
        case sqlite3.SQLITE_CORRUPT:
            return LogCorrupt(place, at, reason)
        case sqlite3.SQLITE_NOTADB:
            return LogForeign(place, "no database of SQLite, or a damaged one")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return LogUnusable(place, f"another program has locked it ({reason})", "end that program")
        case _:
            return LogUnusable(place, reason)


@final
class SQLiteReader:
    """Reads a log."""

    def __init__(self, place: str, database: sqlite3.Connection) -> None:
        self._place = place
        self._database = database

    @property
    def first(self) -> int:
        """See `Journal`. It is 0 if it cannot be read, and `replay` says why."""
        try:
            (first,) = self._database.execute("SELECT min(first) FROM burst").fetchone()
        except sqlite3.Error:
            return 0
        return 0 if first is None else int(first)

    def identity(self) -> tuple[bytes, int]:
        """The identity of the log, and how many times it was opened to write. Raises an error of SQLite."""
        identity, epoch = self._database.execute("SELECT id, epoch FROM owner").fetchone()
        return bytes(identity), int(epoch)

    def replay(self, after: int) -> Iterator[Result[tuple[bytes, ...], LogError]]:
        """See `Journal`. It ends with what is committed."""
        try:
            (start,) = self._database.execute("SELECT max(first) FROM burst WHERE first <= ?", (after,)).fetchone()
            at = self.first if start is None else int(start)
            while True:
                rows = self._database.execute(
                    "SELECT first, count, sum, records FROM burst WHERE first >= ? ORDER BY first LIMIT ?", (at, _ROWS)
                ).fetchall()
                for first, count, checksum, data in rows:
                    if first != at or crc32(data) != checksum:
                        why = "entries are missing" if first != at else "its checksum is wrong"
                        yield Failure(LogCorrupt(self._place, at, why))
                        return
                    records = split(data, count)
                    at += count
                    if at > after:
                        yield Success(records[max(0, after - first) :])
                if not rows:
                    return
        except sqlite3.Error as error:
            yield Failure(error_of(self._place, error, after))
        except (ValueError, TypeError) as error:  # a value of another type, too
            yield Failure(LogCorrupt(self._place, at, str(error)))

    def snapshots(self) -> Result[tuple[tuple[int, bytes], ...], LogError]:
        """See `Journal`. Of a damaged one there is nothing but its place."""
        try:
            rows = self._database.execute("SELECT at, sum, record FROM snapshot ORDER BY at DESC").fetchall()
            return Success(tuple((int(at), record if crc32(record) == checksum else b"") for at, checksum, record in rows))
        except sqlite3.Error as error:
            return Failure(error_of(self._place, error))
        except (ValueError, TypeError) as error:
            return Failure(LogCorrupt(self._place, 0, str(error)))

    def close(self) -> None:
        """Close the file."""
        closed(self._database)


_inherited: Final[list[sqlite3.Connection]] = []
"""The connections of a parent process. To close one in its child would be a use."""


def _moved(place: str) -> LogUnusable:
    why = "its file or its write-ahead log (-wal) was removed, moved or replaced"
    return LogUnusable(place, why, "put both files back, and start the server again; copy a log that is in use with .backup of sqlite3")


def _left_open(database: sqlite3.Connection) -> None:
    """Never close this database. SQLite would remove the write-ahead log by its path, where that of another log may stand now.

    The interpreter closes what it finds at its end, so one reference to it is never given back.
    """
    import ctypes  # noqa: PLC0415 - hardly any server needs it

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(database))


@final
class SQLiteJournal:
    """See `Journal`."""

    def __init__(self, place: str, database: sqlite3.Connection, files: Files, lock: Exclusive, epoch: int, count: int, first: int) -> None:
        self._place = place
        self._database: sqlite3.Connection | None = database
        self._reader = SQLiteReader(place, database)
        self._files = files
        self._gone = False  # whether other files stand in their place
        self._lock = lock
        self._epoch = epoch
        # How many records are committed, and the others: some bytes, and how many records they are. It is one value, because an
        # exception of the program, from a signal handler, may come between any two steps.
        self._state: tuple[int, list[tuple[bytes, int]]] = count, []
        self._tried = 0  # how many of those the last commit was to write, if it was interrupted
        self.first = first
        """See `Journal`."""

    @classmethod
    def of(cls, place: str, database: sqlite3.Connection, lock: Exclusive) -> Result[SQLiteJournal, LogError]:
        """Begin an epoch. Earlier owners can write no more."""
        try:
            database.execute("UPDATE owner SET epoch = epoch + 1")
            epoch, entries, first = database.execute(
                "SELECT epoch, (SELECT max(first + count) FROM burst), (SELECT min(first) FROM burst) FROM owner"
            ).fetchone()
            (kept,) = database.execute("SELECT max(at) FROM snapshot").fetchone()
        except sqlite3.Error as error:
            closed(database)
            return Failure(error_of(place, error))
        count = kept or 0 if entries is None else entries
        return Success(cls(place, database, _files(place), lock, int(epoch), int(count), int(count if first is None else first)))

    def replay(self, after: int) -> Iterator[Result[tuple[bytes, ...], LogError]]:
        """See `Journal`."""
        return self._reader.replay(after)

    def snapshots(self) -> Result[tuple[tuple[int, bytes], ...], LogError]:
        """See `Journal`."""
        return self._reader.snapshots()

    @property
    def count(self) -> int:
        """See `Journal`."""
        return self._state[0]

    def append(self, record: bytes) -> None:
        """See `Journal`."""
        self._state[1].append((sized(record), 1))

    def extend(self, data: bytes, count: int) -> None:
        """See `Journal`."""
        self._state[1].append((data, count))

    def commit(self) -> Result[None, LogError]:
        """See `Journal`. What is written to files that no other server finds is not durable."""
        written = self._written()
        return written if isinstance(written, Failure) else self._found()

    def _found(self) -> Result[None, LogError]:
        """Check that the next server finds the files that this one writes to. A file that is removed or moved stays open."""
        files = _files(self._place)
        self._gone = files is None or files != self._files
        return Failure(_moved(self._place)) if self._gone else Success(None)

    def _written(self) -> Result[None, LogError]:
        database = self._database
        if database is None:
            return Failure(LogUnusable(self._place, "it is closed"))
        try:
            if self._tried:
                self._settle(database)
            before, pieces = self._state
            count = sum(number for _, number in pieces)
            if not count:
                return Success(None)
            data = pieces[0][0] if len(pieces) == 1 else b"".join([piece for piece, _ in pieces])  # to copy a burst takes long
            self._tried = len(pieces)
            written = database.execute(_INSERT, (before, count, crc32(data), data, self._epoch)).rowcount
        except sqlite3.Error as error:
            return Failure(error_of(self._place, error, self.count))
        if written != 1:
            return Failure(LogTaken(self._place))
        self._state = before + count, []
        self._tried = 0
        return Success(None)

    def _settle(self, database: sqlite3.Connection) -> None:
        """Find out whether a commit that was interrupted has been made."""
        before, pieces = self._state
        count = sum(number for _, number in pieces[: self._tried])
        (end,) = database.execute("SELECT max(first + count) FROM burst").fetchone()
        if end == before + count:
            self._state = before + count, pieces[self._tried :]
        self._tried = 0

    def snapshot(self, at: int, record: bytes, keep: int) -> Result[None, LogError]:
        """See `Journal`. Of the snapshots it keeps the newest two and that of the beginning."""
        database = self._database
        if database is None:
            return Failure(LogUnusable(self._place, "it is closed"))
        try:
            database.execute("BEGIN IMMEDIATE")
            try:
                if database.execute(_SNAPSHOT, (at, crc32(record), record, self._epoch)).rowcount != 1:
                    database.execute("ROLLBACK")
                    return Failure(LogTaken(self._place))
                newest = "SELECT at FROM snapshot ORDER BY at DESC LIMIT 2"
                database.execute(f"DELETE FROM snapshot WHERE at < ? OR (at > 0 AND at NOT IN ({newest}))", (keep,))  # noqa: S608 - constants
                database.execute("DELETE FROM burst WHERE first + count <= ?", (keep,))
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            return Failure(error_of(self._place, error, self.count))
        self.first = max(self.first, keep)
        return self._found()

    def close(self) -> None:
        """See `Journal`."""
        if self._database is not None:
            self._found()
            (_left_open if self._gone else closed)(self._database)
            self._database = None
            self._lock.release()

    def abandon(self) -> None:
        """See `Journal`."""
        if self._database is not None:
            _inherited.append(self._database)
            self._database = None
