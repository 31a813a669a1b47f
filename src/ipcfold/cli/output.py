"""What a command prints: for people in a terminal, for machines elsewhere. rich is imported for a terminal only."""

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
    """Show a success or complain of a failure; the exit status."""
    match cases(result):
        case Success(value):
            show(value)
            return Status.DONE
        case Failure(error):
            return complained(error)


def complained(error: Complaint) -> Status:
    """Say on the standard error what is wrong; the exit status."""
    complain(sentence(error))
    return status_of(error)


def complain(text: str) -> None:
    """One line on the standard error, whatever is in the text."""
    with suppress(OSError):  # there is nobody left to tell
        sys.stderr.write(f"ipcfold: {printable(' '.join(text.split()))}\n")


def note(text: str) -> None:
    """One line on the standard error for who watches; nothing if nobody does."""
    if sys.stderr.isatty():
        sys.stderr.write(f"{printable(text)}\n")


def say(text: str) -> None:
    """One line on the standard output, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def say_json(value: Json) -> None:
    """One line of JSON on the standard output, in ASCII, which every reader understands."""
    say(json.dumps(value))


def watched(stream: TextIO | None = None) -> bool:
    """Whether a person sees the stream (the standard output), in a terminal that can more than print lines."""
    return (stream or sys.stdout).isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def printable(text: str) -> str:
    r"""The text without what would command a terminal.

    >>> printable("a\tb\x1b[31m")
    'a\tb\\x1b[31m'
    """
    return "".join(character if character.isprintable() or character in "\n\t" else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def console() -> Console:
    """The terminal of the standard output, in which text means nothing but itself."""
    from rich.console import Console  # noqa: PLC0415 - as long to import as a third of this library

    return Console(highlight=False, markup=False, emoji=False)


@contextmanager
def in_order() -> Iterator[None]:
    """SIGTERM meanwhile ends this process as an exception does, so that the terminal gets its cursor back."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(Status.TERMINATED))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
