"""Signals as events: while a server runs, chosen signals call the server instead of their previous handlers."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def handled(signals: Iterable[signal.Signals], react: Callable[[], None], interrupt: Callable[[], None], wake: int) -> Iterator[None]:
    """Call `react` on these signals, then restore the previous handlers. Outside the main thread it does nothing.

    Python's own handler of SIGINT raises at any point, which may be between two steps that belong together. If that
    handler is installed and SIGINT is not among the signals, `interrupt` is called instead of it.

    On any signal the interpreter's C code writes a byte to the descriptor `wake`. A handler in Python runs only between
    bytecode instructions, so it could not wake a system call that has just begun.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    owner = os.getpid()
    reactions = dict.fromkeys(signals, react)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        reactions.setdefault(signal.SIGINT, interrupt)
    # None means a handler that was not set from Python. It could not be restored, so it stays.
    previous = {number: before for number in reactions if (before := signal.getsignal(number)) is not None}
    if previous.get(signal.SIGHUP) is signal.SIG_IGN:  # set by nohup
        del previous[signal.SIGHUP]

    def handle(number: int, _: FrameType | None) -> None:
        if os.getpid() == owner:
            reactions[signal.Signals(number)]()
        else:  # in a child forked by the handler the signal has its previous meaning
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
