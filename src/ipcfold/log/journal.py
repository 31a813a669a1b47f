"""The protocol of logs. A log keeps records, in order, and snapshots. It does not interpret them, so that a broker can be one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, Self

from returns.result import Result

from ipcfold.errors import LogError


class Reading(Protocol):
    """What can be read of a log."""

    @property
    def first(self) -> int:
        """How many of its first records were dropped."""

    def replay(self, after: int) -> Iterator[Result[tuple[bytes, ...], LogError]]:
        """The committed records after the first so many, some at a time. After a failure there are no more."""

    def snapshots(self) -> Result[tuple[tuple[int, bytes], ...], LogError]:
        """The snapshots, the newest first, each with the number of records before it."""

    def close(self) -> None:
        """Give the log up. What is not committed is lost."""


class Journal(Reading, Protocol):
    """A log that one server owns, until `close`. Its methods may be called on any thread, but not at the same time."""

    @property
    def count(self) -> int:
        """The number of committed records, with those that were dropped."""

    def append(self, record: bytes) -> None:
        """Add a record. It counts once it is committed."""

    def extend(self, data: bytes, count: int) -> None:
        """Add so many records, each after its size as `entry.split` wants them. A log may keep these bytes as they are."""

    def commit(self) -> Result[None, LogError]:
        """Make all that was appended durable, and all of it or nothing. After a failure nothing may be appended any more."""

    def snapshot(self, at: int, record: bytes, keep: int) -> Result[None, LogError]:
        """Keep this snapshot, of the time after `at` committed records. The first `keep` records are not needed any more."""

    def abandon(self) -> None:
        """Note that this process is a forked child, which must not use the log. The parent is not affected."""


class Log(Protocol):
    """A place where a log is, or will be. Creating it does no I/O that lasts."""

    @property
    def place(self) -> str:
        """The path or the address, for people."""

    @property
    def adopts(self) -> bool:
        """Whether to accept that the handler answers what is in the log in another way than it did."""

    def open(self) -> Result[Journal, LogError]:
        """Become its only owner."""

    def read(self) -> Result[Reading, LogError]:
        """Read it, also while a server writes to it."""

    def adopting(self) -> Self:
        """The same log, for a server whose handler may answer what is in the log in another way than it did, from now on.

        The new handler folds what is behind the last snapshot. If something differs, the log says that it was adopted. Use it for one
        start: a later one would accept further differences.
        """
