"""The log of `ipcfold listen`: a thread writes it to the standard error, so that a reader that does not read stops no server.

The thread writes to the descriptor itself. It may still be stuck there when the process ends, and then it must not hold a
lock of `sys.stderr`.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging.handlers import QueueHandler
from queue import SimpleQueue
from threading import Thread
from typing import Final, TypeAlias, final

from ipcfold.cli.printable import printable

Records: TypeAlias = "SimpleQueue[logging.LogRecord | None]"

_MOST: Final = 1000  # records that wait for a reader; further ones are counted only
_PATIENCE: Final = 2.0  # seconds without a written record, at the end, after which nobody seems to read


@contextmanager
def logged() -> Iterator[None]:
    """Write the log of all libraries to the standard error, until the block ends."""
    records: Records = SimpleQueue()
    handler = _Bounded(records)
    handler.setFormatter(logging.Formatter("ipcfold: %(message)s"))
    logging.basicConfig(handlers=[handler])
    writer = _Writer(handler, records, sys.stderr.fileno())
    writer.start()
    try:
        yield
    finally:
        records.put(None)
        written = -1
        while writer.is_alive() and written != writer.written:
            written = writer.written
            writer.join(_PATIENCE)


@final
class _Bounded(QueueHandler):
    """Puts records into the queue, and counts those that it has no place for."""

    def __init__(self, records: Records) -> None:
        super().__init__(records)
        self._records = records
        self.dropped = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        if self._records.qsize() < _MOST:
            self._records.put(record)
        else:
            self.dropped += 1


@final
class _Writer(Thread):
    """Writes the records of the queue until `None` comes."""

    def __init__(self, handler: _Bounded, records: Records, descriptor: int) -> None:
        super().__init__(name="ipcfold log", daemon=True)
        self._handler = handler
        self._records = records
        self._descriptor = descriptor
        self.written = 0

    def run(self) -> None:
        told = 0
        while (record := self._records.get()) is not None:
            self._write(record.getMessage())
            if (dropped := self._handler.dropped) > told:
                self._write(f"ipcfold: {dropped - told} lines of the log were dropped, because nobody read them in time")
                told = dropped

    def _write(self, text: str) -> None:
        left = f"{printable(text)}\n".encode("ascii", "backslashreplace")
        with suppress(OSError):  # nobody reads it any more
            while left:
                left = left[os.write(self._descriptor, left) :]
        self.written += 1
