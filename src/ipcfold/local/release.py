"""Ends servers, and releases what they hold, also where memory or the system fails."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol


class Ending(Protocol):
    """What can be ended from any thread: a server that serves, or that stands by."""

    @property
    def accepting(self) -> bool:
        """Whether clients can connect."""

    def end(self) -> None:
        """End it in good order."""


def surely(*steps: Callable[[], object]) -> None:
    """Take each step, whatever the others raise. A step without memory is taken once more, because the others free some."""
    for step in steps:
        try:
            step()
        except MemoryError:
            with suppress(Exception):
                step()
        except Exception:  # noqa: BLE001, S110 - whoever releases something can do no more about it
            pass
