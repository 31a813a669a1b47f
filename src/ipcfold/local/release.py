"""Releases what a server holds, also where memory or the system fails."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress


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
