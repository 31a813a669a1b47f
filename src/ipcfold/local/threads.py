"""Starts the threads of the library. None of them may ever receive a signal, which then would not interrupt the handler.

Nobody waits for a thread to begin, as `Thread.start` does: where memory runs out, a new thread ends before it begins.
"""

from __future__ import annotations

import _thread
import signal
from collections.abc import Callable, Iterable
from functools import cache
from threading import Lock
from time import monotonic
from typing import Final, final

_BEGINS: Final = 1.0  # seconds; a thread that has not begun by then is taken for dead


def begun(run: Callable[[], object]) -> bool:
    """Run this on a thread with all signals blocked; false if the system has no thread or memory left."""
    try:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ())  # asked first, because to block may succeed and then lack memory to return
    except MemoryError:
        return False
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, _every_signal())  # a thread inherits the mask of the one that starts it
        _thread.start_new_thread(run, ())
    except (RuntimeError, MemoryError):
        return False
    finally:
        _restore(before)
    return True


@cache
def _every_signal() -> set[signal.Signals]:
    return signal.valid_signals()


def _restore(mask: Iterable[int]) -> None:
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    except MemoryError:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@final
class Worker:
    """Runs this function on a thread, and on one only."""

    __slots__ = ("_again", "_run", "_running")

    def __init__(self, run: Callable[[], object]) -> None:
        self._run = run
        self._running = Lock()
        self._again = 0.0  # when to start another thread, because the last one has not begun

    @property
    def runs(self) -> bool:
        """Whether the thread has begun and not ended."""
        return self._running.locked()

    def start(self) -> bool:
        """Start the thread, unless it runs or is about to; false if the system has no thread left."""
        if self.runs or (now := monotonic()) < self._again:
            return True
        if not begun(self._work):
            return False
        self._again = now + _BEGINS
        return True

    def join(self) -> None:
        """Wait until the thread has ended. A thread that has not begun may still run afterwards."""
        self._running.acquire()  # not `with`, whose end takes memory, and leaves the lock locked where there is none
        self._running.release()

    def _work(self) -> None:
        try:
            if self._running.acquire(blocking=False):
                try:
                    self._run()
                finally:
                    self._running.release()
        except MemoryError:  # the interpreter would print it on the program's standard error; the next `start` starts another thread
            pass
