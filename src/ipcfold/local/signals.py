"""Signals as events: while a server runs, some of them call it instead of what they called before."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def handled(signals: Iterable[signal.Signals], react: Callable[[], None], interrupt: Callable[[], None], wake: int) -> Iterator[None]:
    """React to these signals, then put back what was there; only the main thread can.

    Python's own handler of SIGINT raises wherever it strikes, which may be between two steps that belong together. Where
    that one is in place, and SIGINT is not among the signals, `interrupt` stands in for it.

    With any signal a byte is written to the descriptor `wake`. The interpreter's own C code does that: a handler in
    Python runs only between its instructions, and would not wake a system call that has just begun.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    owner = os.getpid()
    reactions = dict.fromkeys(signals, react)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        reactions.setdefault(signal.SIGINT, interrupt)
    # None: a handler that was not set from Python, which could not be put back, so it is left alone.
    previous = {number: before for number in reactions if (before := signal.getsignal(number)) is not None}
    if previous.get(signal.SIGHUP) is signal.SIG_IGN:  # as nohup has it
        del previous[signal.SIGHUP]

    def handle(number: int, _: FrameType | None) -> None:
        if os.getpid() == owner:
            reactions[signal.Signals(number)]()
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
