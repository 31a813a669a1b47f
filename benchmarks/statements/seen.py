"""A statement, its outcome, and the processes that it needs."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Final, TypeAlias, final

import attrs

from benchmarks.processes import end

SPAWN: Final = get_context("spawn")
PATIENCE: Final = 20.0
"""Seconds after which another process has failed."""
BRIEF: Final = 0.5
"""Seconds after which what has not happened is said not to happen."""

_LONGEST: Final = 60.0
"""The same for all of a statement."""

Say: TypeAlias = Callable[[object], None]


@final
@attrs.frozen
class Seen:
    """The outcome of one statement."""

    holds: bool
    what: str


@final
@attrs.frozen
class Statement:
    """A statement of a page, and the function that checks it."""

    text: str
    look: Callable[[Path], Seen]


@final
class Other:
    """Another process. It ends with this one at the latest."""

    def __init__(self, body: Callable[[Say, Path], None], path: Path) -> None:
        self._said, theirs = SPAWN.Pipe()
        self._process = SPAWN.Process(target=_run, args=(body, path, theirs))
        self._process.start()
        theirs.close()

    def said(self, patience: float = PATIENCE) -> object:
        """The next line that it says."""
        if not self._said.poll(patience):
            raise TimeoutError("the other process says nothing")
        said: object = self._said.recv()
        return said

    def says(self, patience: float = BRIEF) -> bool:
        """Whether it says something in that time."""
        return self._said.poll(patience)

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return not self._process.is_alive()

    def kill(self) -> None:
        """End it in a way that it does not notice."""
        self._process.kill()
        self._process.join()


def _run(body: Callable[[Say, Path], None], path: Path, said: Connection) -> None:
    Thread(target=_end_with, args=(said,), daemon=True).start()
    body(said.send, path)


def _end_with(said: Connection) -> None:
    """The other end of the pipe is closed when the process that started this one is gone."""
    try:
        said.recv()
    except (EOFError, OSError):
        os._exit(0)


def attempt(start: Callable[[], object]) -> tuple[object, str]:
    """The process that was started, or the error that it ended in."""
    try:
        return start(), ""
    except Exception as error:  # noqa: BLE001 - each library raises its own
        return None, f"{type(error).__name__}: {error}"[:90]


def statements(name: str) -> tuple[Statement, ...]:
    """Those of one module."""
    found: tuple[Statement, ...] = import_module(f"benchmarks.statements.{name}").STATEMENTS
    return found


def looked(name: str, index: int) -> Seen:
    """The outcome of the statement, in a process and a directory of its own."""
    ours, theirs = SPAWN.Pipe()
    with TemporaryDirectory(prefix="seen") as directory:
        process = SPAWN.Process(target=_look, args=(name, index, Path(directory), theirs))
        process.start()
        theirs.close()
        try:
            seen = ours.recv() if ours.poll(_LONGEST) else Seen(holds=False, what=f"nothing in {_LONGEST:.0f} seconds")
        except EOFError:
            seen = Seen(holds=False, what="its process ended")
        end(process, 5.0)
    return seen if isinstance(seen, Seen) else Seen(holds=False, what=repr(seen))


def _look(name: str, index: int, directory: Path, answer: Connection) -> None:
    try:
        answer.send(statements(name)[index].look(directory))
    except Exception as error:  # noqa: BLE001 - a statement that cannot be looked at does not hold
        answer.send(Seen(holds=False, what=f"{type(error).__name__}: {error}"))
