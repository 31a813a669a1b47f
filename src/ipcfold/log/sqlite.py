"""A log in a file: SQLite, with one transaction and one row a burst.

A commit returns once the system says that the disk has it (`synchronous=FULL`). Readers may follow the file meanwhile. SQLite
checks its write-ahead log by checksums, so that a torn write ends the log at the last whole transaction. Nothing checks the pages
of the database itself, so each row has a checksum. Its rows follow one another without a gap.

A lock makes this server the only owner. The epoch of the owner is in the file, too, and each transaction checks it: whoever
removes the lock file cannot make two servers write.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
from binascii import crc32
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, final
from urllib.parse import quote

import attrs
from returns.result import Failure, Result, Success

from ipcfold.errors import LogCorrupt, LogError, LogForeign, LogFull, LogReadOnly, LogTaken, LogUnusable
from ipcfold.local.exclusive import Exclusive
from ipcfold.log.entry import VERSION, sized, split

_APPLICATION: Final = 0x69706366  # "ipcf", by which tools recognise the file
_PATIENCE: Final = 5.0  # seconds to wait for another program that has the file locked
_ROWS: Final = 16  # read at once
PAGE: Final = 8192
"""Bytes of a page. Larger ones take fewer calls for a burst, and longer for a message that comes alone."""
_SCHEMA: Final = (
    "CREATE TABLE owner (id BLOB NOT NULL, epoch INTEGER NOT NULL)",
    "CREATE TABLE burst (first INTEGER PRIMARY KEY, count INTEGER NOT NULL, sum INTEGER NOT NULL, records BLOB NOT NULL)",
    "CREATE TABLE snapshot (at INTEGER PRIMARY KEY, sum INTEGER NOT NULL, record BLOB NOT NULL)",
    "INSERT INTO owner VALUES (randomblob(16), 0)",
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {VERSION}",
)
_INSERT: Final = "INSERT INTO burst SELECT ?, ?, ?, ? FROM owner WHERE epoch = ?"
_SNAPSHOT: Final = "INSERT OR REPLACE INTO snapshot SELECT ?, ?, ? FROM owner WHERE epoch = ?"


@final
@attrs.frozen
class SQLiteLog:
    """A log in a file of SQLite. `of` makes one."""

    path: Path
    adopts: bool = False

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Result[SQLiteLog, LogError]:
        """The log in this file, which a server creates if it is missing. Its directory must exist.

        A server also makes files beside it, whose names begin with the same: those of SQLite, and a lock.
        """
        try:
            real = Path(os.path.realpath(path))
            parent = os.stat(real.parent)
            if not stat.S_ISDIR(parent.st_mode):
                return Failure(LogUnusable(str(path), f"{real.parent} is not a directory", "name a file in a directory that exists"))
            if os.path.lexists(real):
                status = os.stat(real)
                if not stat.S_ISREG(status.st_mode):
                    return Failure(LogForeign(str(path), "no regular file"))
                if status.st_nlink > 1:
                    why, advice = "the file has another hard link, by which another server could use it", "remove that link"
                    return Failure(LogUnusable(str(path), why, advice))
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            reason = getattr(error, "strerror", None) or str(error)
            return Failure(LogUnusable(str(path), reason, "name a file in a directory that exists"))
        return Success(cls(real))

    @property
    def place(self) -> str:
        """See `Log`."""
        return str(self.path)

    def adopting(self) -> SQLiteLog:
        """See `Log`."""
        return attrs.evolve(self, adopts=True)

    def open(self) -> Result[SQLiteJournal, LogError]:
        """See `Log`."""
        return Exclusive.of(self.path).bind(self._owned)

    def _owned(self, lock: Exclusive) -> Result[SQLiteJournal, LogError]:
        opened = _opened(self.path).bind(lambda database: SQLiteJournal.of(self.place, database, lock))
        if isinstance(opened, Failure):
            lock.release()
        return opened

    def read(self) -> Result[SQLiteReader, LogError]:
        """See `Log`."""
        if not self.path.exists():
            return Failure(LogUnusable(self.place, "there is no such file", "name the file of a log"))
        return _opened(self.path, readonly=True).map(lambda database: SQLiteReader(self.place, database))


def _opened(path: Path, *, readonly: bool = False) -> Result[sqlite3.Connection, LogError]:
    """The database, which is one of ours, and is created if it is missing."""
    new = not readonly and not path.exists()
    database: sqlite3.Connection | None = None
    try:
        mode = "rw" if readonly else "rwc"  # a reader needs the shared memory of the write-ahead log
        uri = f"file:{quote(os.fsencode(path))}?mode={mode}"
        database = sqlite3.connect(uri, uri=True, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        foreign = _prepared(database, path, readonly=readonly)
        if foreign is not None:
            database.close()
            return Failure(foreign)
        if new:
            _sync(path.parent)  # otherwise a power cut could take the whole file
        return Success(database)
    except sqlite3.Error as error:
        if database is not None:
            _close(database)
        return Failure(_error(str(path), error))
    except OSError as error:
        if database is not None:
            _close(database)
        return Failure(LogUnusable(str(path), error.strerror or str(error)))


def _prepared(database: sqlite3.Connection, path: Path, *, readonly: bool) -> LogError | None:
    """Check whose database it is, and prepare it for reading or for writing."""
    place = str(path)
    application = database.execute("PRAGMA application_id").fetchone()[0]
    version = database.execute("PRAGMA user_version").fetchone()[0]
    tables = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if application != _APPLICATION and (tables or version or readonly):
        return LogForeign(place, "another program's database")
    if tables and version != VERSION:
        return LogForeign(place, f"a log of version {version}, and this is version {VERSION}")
    if readonly:
        database.execute("PRAGMA query_only = ON")
        return None
    if not tables:
        database.execute(f"PRAGMA page_size = {PAGE}")
    if database.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
        return LogUnusable(place, "SQLite cannot keep a write-ahead log there", "use a file on a local disk")
    # Fewer checkpoints: each writes what it moves a second time, and waits for the disk twice.
    for pragma in (
        "synchronous = FULL",
        "wal_autocheckpoint = 2000",
        *(("fullfsync = ON", "checkpoint_fullfsync = ON") if sys.platform == "darwin" else ()),
    ):
        database.execute(f"PRAGMA {pragma}")
    if not tables:
        database.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA:
            database.execute(statement)
        database.execute("COMMIT")
    return None


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _close(database: sqlite3.Connection) -> None:
    with suppress(sqlite3.Error):  # the system closes its files
        database.close()


def _error(place: str, error: sqlite3.Error, at: int = 0) -> LogError:
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
        """See `Journal`. Raises an error of SQLite."""
        (first,) = self._database.execute("SELECT min(first) FROM burst").fetchone()
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
            yield Failure(_error(self._place, error, after))
        except (ValueError, TypeError) as error:  # a value of another type, too
            yield Failure(LogCorrupt(self._place, at, str(error)))

    def snapshots(self) -> Result[tuple[tuple[int, bytes], ...], LogError]:
        """See `Journal`. Of a damaged one there is nothing but its place."""
        try:
            rows = self._database.execute("SELECT at, sum, record FROM snapshot ORDER BY at DESC").fetchall()
            return Success(tuple((int(at), record if crc32(record) == checksum else b"") for at, checksum, record in rows))
        except sqlite3.Error as error:
            return Failure(_error(self._place, error))
        except (ValueError, TypeError) as error:
            return Failure(LogCorrupt(self._place, 0, str(error)))

    def close(self) -> None:
        """Close the file."""
        _close(self._database)


_inherited: Final[list[sqlite3.Connection]] = []
"""The connections of a parent process. To close one in its child would be a use."""


@final
class SQLiteJournal:
    """See `Journal`."""

    def __init__(self, place: str, database: sqlite3.Connection, lock: Exclusive, epoch: int, count: int, first: int) -> None:
        self._place = place
        self._database: sqlite3.Connection | None = database
        self._reader = SQLiteReader(place, database)
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
            _close(database)
            return Failure(_error(place, error))
        count = kept or 0 if entries is None else entries
        return Success(cls(place, database, lock, int(epoch), int(count), int(count if first is None else first)))

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
        """See `Journal`."""
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
            return Failure(_error(self._place, error, self.count))
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
            return Failure(_error(self._place, error, self.count))
        self.first = max(self.first, keep)
        return Success(None)

    def close(self) -> None:
        """See `Journal`."""
        if self._database is not None:
            _close(self._database)
            self._database = None
            self._lock.release()

    def abandon(self) -> None:
        """See `Journal`."""
        if self._database is not None:
            _inherited.append(self._database)
            self._database = None
