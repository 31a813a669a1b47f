"""What a log costs: `python -m benchmarks.logged [DIRECTORY]`, in a directory on the disk to measure.

Ratios of one run, because disks differ by a factor of a hundred: the same work with a log, without one, and as rows of SQLite with one
transaction each; a round trip beside one commit, and how long a start takes.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import attrs

from ipcfold import IPC, Continuation, Message, Name, Process
from ipcfold.log import Snapshots, SQLiteLog

NAME = Name("logged")
SMALL = Message.octets(b"x" * 64)
BATCH = 1000
INTEGERS = attrs.evolve(Snapshots.of(lambda carry: str(carry).encode(), int), every=10**9)


def echo(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
    return continuation.respond(carry + 1, message)


@contextmanager
def serving(directory: Path, *, log: bool = True, snapshots: bool = False) -> Iterator[int]:
    """A server process, which is ended in good order."""
    pid = os.fork()
    if pid == 0:
        try:
            place = SQLiteLog.of(directory / "log") if log else None
            IPC(directory).listen(NAME, log=place)(0, echo, snapshots=INTEGERS if snapshots else None)
        finally:
            os._exit(0)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)


def write(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def batches(process: Process, count: int) -> float:
    """The seconds that a batch takes, and its responses."""
    took = list[float]()
    for _ in range(count):
        since = perf_counter()
        process.send(*[SMALL] * BATCH).unwrap()
        for _ in range(BATCH):
            process.wait().unwrap()
        took.append(perf_counter() - since)
    return median(took)


def trips(process: Process, count: int) -> float:
    """The seconds that a round trip takes."""
    took = list[float]()
    for _ in range(count):
        since = perf_counter()
        process.ask(SMALL).unwrap()
        took.append(perf_counter() - since)
    return median(took)


def rows(directory: Path, count: int) -> float:
    """The seconds that a row of SQLite takes, in a transaction of its own."""
    took = list[float]()
    with closing(sqlite3.connect(directory / "rows", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("CREATE TABLE IF NOT EXISTS entry (at INTEGER PRIMARY KEY, data BLOB)")
        for _ in range(count):
            since = perf_counter()
            database.execute("INSERT INTO entry (data) VALUES (?)", (SMALL.content,))
            took.append(perf_counter() - since)
    return median(took)


def main(place: str | None, quick: bool) -> None:  # noqa: FBT001 - of a command
    few = 3 if quick else 50
    with TemporaryDirectory(dir=place) as made:
        directory = Path(made)
        with serving(directory, log=False), IPC(directory).wait(NAME).unwrap() as process:
            batch_without, trip_without = batches(process, few), trips(process, 10 * few)
        with serving(directory), IPC(directory).wait(NAME).unwrap() as process:
            batch_with, trip_with = batches(process, few), trips(process, 10 * few)
        row = rows(directory, 10 * few)
        write(f"pipelined, {BATCH} at once: {BATCH / batch_with:,.0f} a second, {batch_without / batch_with:.2f} of without a log")
        write(f"the same as rows, one a transaction: {1 / row:,.0f} a second; the log takes {BATCH * row / batch_with:.0f} times as many")
        write(f"a round trip: {trip_with * 1e6:.0f} us, without a log {trip_without * 1e6:.0f} us; a row takes {row * 1e6:.0f} us")
        with serving(directory, snapshots=True), IPC(directory).wait(NAME).unwrap():
            pass
        with serving(directory), IPC(directory).wait(NAME).unwrap() as process:
            batches(process, 10)
        since = perf_counter()
        with serving(directory, snapshots=True), IPC(directory).wait(NAME).unwrap():
            write(f"a start from a snapshot and {10 * BATCH} entries behind it: {perf_counter() - since:.2f} s")


if __name__ == "__main__":
    main(next((word for word in sys.argv[1:] if word != "--quick"), None), "--quick" in sys.argv)
