"""Ctrl-C: while a command runs, it raises `KeyboardInterrupt`. Before and after that it ends the process without a word.

An exception in the middle of an import, or at the interpreter's exit, could not be caught in one place.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


def quiet() -> None:
    """Let SIGINT end this process, unless the process ignores it or a program handles it."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `KeyboardInterrupt` on SIGINT, if `quiet` has made it end the process."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_DFL:
        yield
        return
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
