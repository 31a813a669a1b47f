"""A log in memory, for tests: it outlives a server, and not the process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from threading import Lock
from typing import final

from returns.result import Failure, Result, Success

from ipcfold.errors import LogError, LogTaken
from ipcfold.log.entry import split


@final
class Store:
    """What is in a log in memory."""

    def __init__(self) -> None:
        self.records = list[bytes]()
        """The committed records that are kept."""
        self.snapshots = list[tuple[int, bytes]]()
        """The oldest first, each with the number of records before it."""
        self.first = 0
        """How many records were dropped."""
        self.owned = Lock()
        """Held while a server owns it."""


@final
class MemoryLog:
    """A log in memory, for tests.

    >>> log = MemoryLog()
    >>> journal = log.open().unwrap()
    >>> journal.append(b"one")
    >>> journal.commit()
    <Success: None>
    >>> log.records
    [b'one']
    """

    def __init__(self) -> None:
        self.store = Store()
        """What is in it."""
        self.adopts = False
        """See `Log`."""

    @property
    def place(self) -> str:
        """See `Log`."""
        return "in memory"

    @property
    def records(self) -> list[bytes]:
        """The committed records that are kept."""
        return self.store.records

    def adopting(self) -> MemoryLog:
        """See `Log`."""
        log = MemoryLog()
        log.store, log.adopts = self.store, True
        return log

    def open(self) -> Result[MemoryJournal, LogError]:
        """See `Log`."""
        if not self.store.owned.acquire(blocking=False):
            return Failure(LogTaken(self.place, os.getpid()))
        return Success(MemoryJournal(self.store))

    def read(self) -> Result[MemoryReader, LogError]:
        """See `Log`."""
        return Success(MemoryReader(self.store))


class MemoryReader:
    """See `Reading`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def first(self) -> int:
        """See `Reading`."""
        return self._store.first

    def replay(self, after: int) -> Iterator[Result[tuple[bytes, ...], LogError]]:
        """See `Reading`."""
        yield Success(tuple(self._store.records[max(0, after - self._store.first) :]))

    def snapshots(self) -> Result[tuple[tuple[int, bytes], ...], LogError]:
        """See `Reading`."""
        return Success(tuple(reversed(self._store.snapshots)))

    def close(self) -> None:
        """See `Reading`."""


@final
class MemoryJournal(MemoryReader):
    """See `Journal`."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._appended = list[bytes]()
        self._closed = False

    @property
    def count(self) -> int:
        """See `Journal`."""
        return self._store.first + len(self._store.records)

    def append(self, record: bytes) -> None:
        """See `Journal`."""
        self._appended.append(record)

    def extend(self, data: bytes, count: int) -> None:
        """See `Journal`."""
        self._appended += split(data, count)

    def commit(self) -> Result[None, LogError]:
        """See `Journal`."""
        self._store.records += self._appended
        self._appended = []
        return Success(None)

    def snapshot(self, at: int, record: bytes, keep: int) -> Result[None, LogError]:
        """See `Journal`. It keeps the newest two, and that of the beginning."""
        store = self._store
        kept = [each for each in store.snapshots if each[0] != at]
        store.snapshots = [*(each for each in kept if (each[0] == 0 or each is kept[-1]) and each[0] >= keep), (at, record)]
        del store.records[: max(0, keep - store.first)]
        store.first = max(store.first, keep)
        return Success(None)

    def close(self) -> None:
        """See `Journal`."""
        if not self._closed:
            self._closed = True
            self._store.owned.release()

    def abandon(self) -> None:
        """See `Journal`."""
        self._closed = True
