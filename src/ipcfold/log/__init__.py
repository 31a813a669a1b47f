"""Logs: a server with one writes down what it folds before it acknowledges it, and the next one goes on with the same carry."""

from typing import TYPE_CHECKING

from ipcfold.log.entry import Adopted, Began, Ended, Entry, Snapshot, decode
from ipcfold.log.journal import Journal, Log, Reading
from ipcfold.log.memory import MemoryLog
from ipcfold.log.snapshots import Coder, History, Snapshots

if TYPE_CHECKING:
    from ipcfold.log.sqlite import SQLiteLog
else:

    def __getattr__(name: str) -> object:
        """Import SQLite when the program first uses it: a log may be elsewhere."""
        if name != "SQLiteLog":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from ipcfold.log import sqlite  # noqa: PLC0415 - see above

        globals()["SQLiteLog"] = sqlite.SQLiteLog
        return sqlite.SQLiteLog


__all__ = [
    "Adopted",
    "Began",
    "Coder",
    "Ended",
    "Entry",
    "History",
    "Journal",
    "Log",
    "MemoryLog",
    "Reading",
    "SQLiteLog",
    "Snapshot",
    "Snapshots",
    "decode",
]
