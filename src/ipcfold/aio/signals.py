"""Signals of a server, as the loop gives them."""

from __future__ import annotations

import os
import signal
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from ipcfold.local.signals import Previous


@contextmanager
def handled(loop: AbstractEventLoop, signals: Iterable[int], react: Callable[[], None]) -> Iterator[None]:
    """Let the loop call `react` on these signals, then restore the previous handlers. Outside the main thread it does nothing."""
    previous = dict[int, Previous]()
    owner = os.getpid()
    try:
        for number in signals:
            before = signal.getsignal(number)
            if before is not None and before is not signal.SIG_IGN:
                try:
                    loop.add_signal_handler(number, react)
                except (ValueError, RuntimeError, NotImplementedError):  # this is not the main thread
                    continue
                previous[number] = before
        yield
    finally:
        if os.getpid() == owner:
            for number, handler in previous.items():
                with suppress(RuntimeError, ValueError):
                    loop.remove_signal_handler(number)
                    signal.signal(number, handler)
