"""Ends servers, and releases what they hold, also where memory or the system fails."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol


class Ending(Protocol):
    """What can be ended from any thread: a server that serves, or that stands by."""

    @property
    def accepting(self) -> bool | None:
        """Whether clients can connect; `None` while the server stands by."""

    def end(self) -> None:
        """End it in good order."""


def surely(*steps: Callable[[], object]) -> None:
    """Take each step, whatever the others raise. A step that fails is taken once more, because memory may be there again.

    It is once more after any error, because not every lack of memory is a `MemoryError`: a system call that finds no memory to
    convert its path raises a `TypeError`.
    """
    for step in steps:
        try:
            step()
        except Exception:  # noqa: BLE001 - whoever releases something can do no more about it
            with suppress(Exception):
                step()
