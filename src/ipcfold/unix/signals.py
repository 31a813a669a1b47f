"""Signals as events: while a server runs, some of them call it instead of what they called before."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def handled(signals: Iterable[signal.Signals], react: Callable[[], None], wake: int) -> Iterator[None]:
    """React to these signals, then put back what was there; only the main thread can.

    With any signal a byte is written to the descriptor `wake`. The interpreter's own C code does that: a handler in
    Python runs only between its instructions, and would not wake a system call that has just begun.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    owner = os.getpid()
    # None: a handler that was not set from Python, which could not be put back, so it is left alone.
    previous = {number: before for number in signals if (before := signal.getsignal(number)) is not None}
    if previous.get(signal.SIGHUP) is signal.SIG_IGN:  # as nohup has it
        del previous[signal.SIGHUP]

    def handle(number: int, _: FrameType | None) -> None:
        if os.getpid() == owner:
            react()
        else:  # a child forked by the handler: the signal means what it meant before
            signal.signal(number, previous[signal.Signals(number)])
            os.kill(os.getpid(), number)

    waking = signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    try:
        for number in previous:
            signal.signal(number, handle)
        yield
    finally:
        signal.set_wakeup_fd(waking)
        for number, handler in previous.items():
            signal.signal(number, handler)
