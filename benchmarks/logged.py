"""What a log costs: `python -m benchmarks.logged [DIRECTORY]`, in a directory on the disk to measure.

Ratios of one run, because disks differ by a factor of a hundred: the same work with a log, without one, and as rows of SQLite with one
transaction each; a round trip beside one commit. Then how long a start takes, and how long a server that stands by needs to take over.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from mmap import mmap
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, sleep

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


def batch(process: Process) -> None:
    process.send(*[SMALL] * BATCH).unwrap()
    for _ in range(BATCH):
        process.wait().unwrap()


def trip(process: Process) -> None:
    process.ask(SMALL).unwrap()


@contextmanager
def row(directory: Path) -> Iterator[Callable[[], object]]:
    """Writes a row of SQLite in a transaction of its own."""
    with closing(sqlite3.connect(directory / "rows", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("CREATE TABLE IF NOT EXISTS entry (at INTEGER PRIMARY KEY, data BLOB)")
        yield lambda: database.execute("INSERT INTO entry (data) VALUES (?)", (SMALL.content,))


def took(count: int, *works: Callable[[], object]) -> tuple[float, ...]:
    """The seconds that each of these takes. They take turns, because other programs use the machine and the disk, too."""
    times = tuple(list[float]() for _ in works)
    for _ in range(count):
        for work, seconds in zip(works, times, strict=True):
            since = perf_counter()
            work()
            seconds.append(perf_counter() - since)
    return tuple(map(median, times))


def costs(directory: Path, few: int) -> None:
    """What a log costs a server that runs."""
    other = directory / "other"
    other.mkdir(mode=0o700)
    with (
        serving(directory),
        serving(other, log=False),
        IPC(directory).wait(NAME).unwrap() as logged,
        IPC(other).wait(NAME).unwrap() as plain,
        row(directory) as insert,
    ):
        took(1, partial(batch, logged), partial(batch, plain))
        with_log, without = took(few, partial(batch, logged), partial(batch, plain))
        one, trip_with, trip_without = took(10 * few, insert, partial(trip, logged), partial(trip, plain))
    write(f"pipelined, {BATCH} at once: {BATCH / with_log:,.0f} a second, {without / with_log:.2f} of without a log")
    write(f"the same as rows, one a transaction: {1 / one:,.0f} a second; the log takes {BATCH * one / with_log:.0f} times as many")
    write(f"a round trip: {trip_with * 1e6:.0f} us, without a log {trip_without * 1e6:.0f} us; a row takes {one * 1e6:.0f} us")


def starts(directory: Path) -> None:
    """How long a start takes."""
    with serving(directory, snapshots=True), IPC(directory).wait(NAME).unwrap():
        pass
    with serving(directory), IPC(directory).wait(NAME).unwrap() as process:
        took(10, partial(batch, process))
    since = perf_counter()
    with serving(directory, snapshots=True), IPC(directory).wait(NAME).unwrap():
        write(f"a start from a snapshot and {10 * BATCH} entries behind it: {perf_counter() - since:.2f} s")


@contextmanager
def standing_by(directory: Path) -> Iterator[tuple[int, Callable[[], int]]]:
    """A server process that stands by, and how many messages it has folded."""
    shared = mmap(-1, 8)

    def counted(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        shared[:] = (carry + 1).to_bytes(8)
        return echo(message, continuation, carry)

    pid = os.fork()
    if pid == 0:
        try:
            IPC(directory).listen(NAME, log=SQLiteLog.of(directory / "log"), standby=True)(0, counted)
        finally:
            os._exit(0)
    try:
        yield pid, lambda: int.from_bytes(shared[:])
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def take_overs(directory: Path, messages: int, times: int) -> None:
    """How long it takes until a server that stood by answers, after the one that served was killed."""
    batches = messages // BATCH
    pauses, followed = list[float](), list[float]()
    with ExitStack() as stack:
        owner, _ = stack.enter_context(standing_by(directory))
        with IPC(directory).wait(NAME).unwrap() as process:
            took(batches, partial(batch, process))
        for _ in range(times):
            since = perf_counter()
            standby, folded = stack.enter_context(standing_by(directory))
            while folded() < batches * BATCH:
                sleep(0.001)
            followed.append(perf_counter() - since)
            sleep(0.1)  # it has the whole log, and waits
            since = perf_counter()
            os.kill(owner, signal.SIGKILL)
            os.waitid(os.P_PID, owner, os.WEXITED | os.WNOWAIT)
            with IPC(directory).wait(NAME).unwrap() as process:
                process.ask(SMALL).unwrap()
                pauses.append(perf_counter() - since)
                if process.peer.pid != standby:
                    raise SystemExit("another server answers")
            owner = standby
    write(f"to fold {batches * BATCH:,} messages of a log: {median(followed):.1f} s")
    write(f"from the death of a server to the first answer of the one that stood by: {median(pauses) * 1e3:.1f} ms")


def main(place: str | None, quick: bool) -> None:  # noqa: FBT001 - of a command
    for measure in (
        partial(costs, few=3 if quick else 50),
        starts,
        partial(take_overs, messages=10_000 if quick else 1_000_000, times=3 if quick else 5),
    ):
        with TemporaryDirectory(dir=place) as made:
            measure(Path(made))


if __name__ == "__main__":
    main(next((word for word in sys.argv[1:] if word != "--quick"), None), "--quick" in sys.argv)
