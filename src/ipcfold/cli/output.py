"""Prints results and errors: for people in a terminal, for machines elsewhere. Only output to a terminal imports rich."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import TextIOWrapper, UnsupportedOperation
from typing import TYPE_CHECKING, Final, TextIO, TypeAlias, TypeVar

from returns.result import Failure, Result, Success

from ipcfold.cli.printable import escaped, printable
from ipcfold.cli.status import Complaint, Status, sentence, status_of
from ipcfold.result import cases

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")

LINE_BREAK: Final = "\n"
_READ_WITHIN: Final = 1.0  # seconds that somebody has to read a full pipe before the command gives up on a line for it

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | float | None"


def concluded(result: Result[T, Complaint], show: Callable[[T], object]) -> Status:
    """Show a success or print the error of a failure, and return the exit status."""
    match cases(result):
        case Success(value):
            show(value)
            return Status.DONE
        case Failure(error):
            return complained(error)


def complained(error: Complaint) -> Status:
    """Print an error on the standard error, and return its exit status."""
    complain(sentence(error))
    return status_of(error)


def complain(text: str) -> None:
    """Print exactly one line on the standard error, with the line breaks of the text escaped.

    If the standard error is a pipe that nobody reads, the line is lost: a command must end also then.
    """
    with suppress(OSError, ValueError):  # an error of the standard error cannot be reported
        if _takes(sys.stderr):
            sys.stderr.write(f"ipcfold: {printable(text).replace(LINE_BREAK, escaped(LINE_BREAK))}\n")


def note(text: str) -> None:
    """Print one line on the standard error, if it is a terminal."""
    if sys.stderr.isatty():
        with suppress(OSError):
            sys.stderr.write(f"{printable(text)}\n")


def say(text: str) -> None:
    """Print one line on the standard output, without control characters, and flush it."""
    sys.stdout.write(f"{printable(text)}\n")
    sys.stdout.flush()


def say_json(value: Json) -> None:
    """Print one line of JSON on the standard output. It is ASCII, so that every reader can decode it."""
    say(json.dumps(value))


def lossless() -> None:
    """Let the standard streams escape what their encoding does not have, so that no result is lost."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _takes(stream: TextIO) -> bool:
    """Whether the stream takes a line before long."""
    try:
        writable = select.poll()
        writable.register(stream, select.POLLOUT)
    except (AttributeError, UnsupportedOperation):  # macOS cannot poll some devices, and a stream of a test has no descriptor
        return True
    return bool(writable.poll(_READ_WITHIN * 1000))


def watched(stream: TextIO | None = None) -> bool:
    """Whether the stream is a terminal that can do more than print lines; by default the standard output."""
    return (stream or sys.stdout).isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def console() -> Console:
    """The console of the standard output. It does not interpret markup in a text."""
    from rich.console import Console  # noqa: PLC0415 - importing it takes a third of the time of importing this library

    return Console(highlight=False, markup=False, emoji=False)


@contextmanager
def in_order() -> Iterator[None]:
    """Let SIGTERM end this process by an exception, so that rich shows the cursor again."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(Status.TERMINATED))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
