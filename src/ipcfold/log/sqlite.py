"""A log in a file: SQLite, with one transaction and one row a burst.

A commit returns once the system says that the disk has it (`synchronous=FULL`). Readers may follow the file meanwhile. SQLite
checks its write-ahead log by checksums, so that a torn write ends the log at the last whole transaction. Nothing checks the pages
of the database itself, so each row has a checksum. Its rows follow one another without a gap.

A lock makes this server the only owner. The epoch of the owner is in the file, too, and each transaction checks it: whoever
removes the lock file cannot make two servers write.
"""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import sys
from pathlib import Path
from typing import Final, final
from urllib.parse import quote

import attrs
from returns.result import Failure, Result, Success

from ipcfold.errors import LogError, LogForeign, LogUnusable
from ipcfold.local.exclusive import Exclusive
from ipcfold.log.entry import VERSION
from ipcfold.log.sqlite_rows import SQLiteJournal, SQLiteReader, closed, error_of

_APPLICATION: Final = 0x69706366  # "ipcf", by which tools recognise the file
_PATIENCE: Final = 5.0  # seconds to wait for another program that has the file locked
PAGE: Final = 8192
"""Bytes of a page. Larger ones take fewer calls for a burst, and longer for a message that comes alone."""
_EFFECTIVE: Final = os.access in os.supports_effective_ids
_SCHEMA: Final = (
    "CREATE TABLE owner (id BLOB NOT NULL, epoch INTEGER NOT NULL)",
    "CREATE TABLE burst (first INTEGER PRIMARY KEY, count INTEGER NOT NULL, sum INTEGER NOT NULL, records BLOB NOT NULL)",
    "CREATE TABLE snapshot (at INTEGER PRIMARY KEY, sum INTEGER NOT NULL, record BLOB NOT NULL)",
    "INSERT INTO owner VALUES (randomblob(16), 0)",
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {VERSION}",
)


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
                if _is_mounted(real):
                    why = "the file itself is mounted there, and not the files beside it that belong to it"
                    return Failure(LogUnusable(str(path), why, "mount its directory instead"))
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
        if not os.path.exists(self.path):  # the method of a path raises for a long name, or a directory that this user may not search
            return Failure(LogUnusable(self.place, "there is no such file, or this user cannot reach it", "name the file of a log"))
        opened = _opened(self.path, readonly=True)
        if isinstance(opened, Failure) and not writable(self.path.parent):
            opened = _unaccompanied(self.path, opened)
        return opened.map(lambda database: SQLiteReader(self.place, database))


def writable(directory: Path) -> bool:
    """Whether this user may make files there."""
    return os.access(directory, os.W_OK, effective_ids=_EFFECTIVE)


def _unaccompanied(path: Path, refused: Result[sqlite3.Connection, LogError]) -> Result[sqlite3.Connection, LogError]:
    """The database in a directory where this user can make no files beside it, which SQLite refused to open with them."""
    if not os.access(path, os.R_OK, effective_ids=_EFFECTIVE):
        return Failure(LogUnusable(str(path), "this user may not read it", "read it as the user of its server"))
    try:
        ahead = os.stat(f"{path}-wal").st_size
    except OSError:  # its last server ended in good order, and has left all in the database
        ahead = 0
    if not ahead:
        opened = _opened(path, readonly=True, alone=True)
        return refused if isinstance(opened, Failure) else opened
    why = "this user cannot write to its directory, and its write-ahead log (-wal) cannot be read without a file beside it"
    advice = f"copy {path} and {path}-wal to a directory of your own, and read the copy"
    return Failure(LogUnusable(str(path), why, advice))


def _opened(path: Path, *, readonly: bool = False, alone: bool = False) -> Result[sqlite3.Connection, LogError]:
    """The database, which is one of ours, and is created if it is missing. `alone`: nobody writes to it, and no file is beside it."""
    new = not readonly and not path.exists()
    database: sqlite3.Connection | None = None
    try:
        mode = "ro&immutable=1" if alone else "rw" if readonly else "rwc"  # a reader needs the shared memory of the write-ahead log
        uri = f"file:{quote(os.fsencode(path))}?mode={mode}"
        if new:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # SQLite gives its other files the same mode
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
            closed(database)
        return Failure(error_of(str(path), error))
    except OSError as error:
        if database is not None:
            closed(database)
        return Failure(LogUnusable(str(path), error.strerror or str(error)))


def _prepared(database: sqlite3.Connection, path: Path, *, readonly: bool) -> LogError | None:
    """Check whose database it is, and prepare it for reading or for writing."""
    place = str(path)
    application = database.execute("PRAGMA application_id").fetchone()[0]
    version = database.execute("PRAGMA user_version").fetchone()[0]
    tables = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if application != _APPLICATION and (tables or version or readonly):
        return LogForeign(place, "another program's database" if tables or version else "empty, and no server has begun a log there")
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


def _is_mounted(path: Path, table: str = "/proc/self/mountinfo") -> bool:
    """Whether this file is the root of a mount, where the system tells."""
    try:
        with open(table, "rb") as mounts:
            places = {line.split(b" ")[4] for line in mounts}
    except OSError:  # no Linux, or no /proc
        return False
    return re.sub(rb"[\\ \t\n]", lambda found: b"\\%03o" % found[0][0], os.fsencode(path)) in places


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
