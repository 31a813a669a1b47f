"""Prints results and errors: for people in a terminal, for machines elsewhere. Only output to a terminal imports rich."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO, TypeAlias, TypeVar

from returns.result import Failure, Result, Success

from ipcfold.cli.status import Complaint, Status, sentence, status_of
from ipcfold.result import cases

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")

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
    """Print exactly one line on the standard error, also for a text with line breaks."""
    with suppress(OSError):  # an error of the standard error cannot be reported
        sys.stderr.write(f"ipcfold: {printable(' '.join(text.split()))}\n")


def note(text: str) -> None:
    """Print one line on the standard error, if it is a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"{printable(text)}\n")


def say(text: str) -> None:
    """Print one line on the standard output, and flush it."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def say_json(value: Json) -> None:
    """Print one line of JSON on the standard output. It is ASCII, so that every reader can decode it."""
    say(json.dumps(value))


def watched(stream: TextIO | None = None) -> bool:
    """Whether the stream is a terminal that can do more than print lines; by default the standard output."""
    return (stream or sys.stdout).isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def printable(text: str) -> str:
    r"""The text with its control characters escaped, so that it cannot control the terminal.

    >>> printable("a\tb\x1b[31m")
    'a\tb\\x1b[31m'
    """
    return "".join(character if character.isprintable() or character in "\n\t" else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


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
