"""Whoever writes while the handler runs.

What a burst of messages is owed (acknowledgements, responses) is written at its end, all together: that saves a system
call and a wake-up of the client for each message. But nothing owed may wait for a handler that takes its time, and nobody
knows beforehand which one will. So for each such call the loop lends out its sockets, to a thread that looks up every
millisecond and writes if the same call still runs. Between the calls they are the loop's alone.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from threading import Event, Lock, Thread
from time import sleep
from typing import Final, final

_PERIOD: Final = 0.001  # seconds
_IDLE: Final = 100  # periods without a call, after which it sleeps until there is one


@final
class Flusher:
    """A thread that has the sockets of a loop while the handler runs, and only then."""

    def __init__(self, deliver: Callable[[], None]) -> None:
        """`deliver` writes what is owed."""
        self._deliver = deliver
        self._calls = 0  # odd while the sockets are lent
        # The thread says that it is busy before it looks whether they still are; the loop takes them back before it looks
        # whether the thread is. One of them sees the other, and then the loop waits for the lock.
        self._busy = False
        self._sockets = Lock()
        self._bell = Event()
        self._asleep = True
        self._thread: Thread | None = None
        self._ended = False

    def lend(self) -> bool:
        """The handler is called now, while something is owed; false if there is nobody to lend to."""
        self._calls += 1
        return not self._asleep or self._woken()

    def take_back(self) -> None:
        """The handler has returned, or was interrupted; again does nothing."""
        if self._calls & 1:
            self._calls += 1
        if self._busy:
            with self._sockets:
                pass

    def end(self) -> None:
        """Nothing is lent any more."""
        self._ended = True
        if self._thread is not None:
            self._bell.set()
            self._thread.join()

    def forked(self) -> None:
        """This is a child, which has no such thread."""
        self._busy = False

    def _woken(self) -> bool:
        if self._thread is not None or self._start():
            self._bell.set()
            return True
        self._calls += 1
        return False

    def _start(self) -> bool:
        thread = Thread(target=self._run, name="ipcfold-flusher", daemon=True)
        # It must never be the one that gets a signal, which then would not interrupt what the handler waits for; a thread
        # has the mask of the one that starts it.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            thread.start()
        except RuntimeError:  # the system has no thread left
            return False
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self._thread = thread
        return True

    def _run(self) -> None:
        seen = idle = 0
        while not self._ended:
            self._asleep = False
            sleep(_PERIOD)
            if seen != self._calls:
                seen, idle = self._calls, 0
                continue
            if seen & 1:
                with self._sockets:
                    self._busy = True
                    try:
                        if seen == self._calls:
                            self._deliver()
                    finally:
                        self._busy = False
                idle = _IDLE  # the next call has to wake it: while one is long, it disturbs nobody
            if idle < _IDLE:
                idle += 1
                continue
            self._bell.clear()
            self._asleep = True
            if seen == self._calls and not self._ended:
                self._bell.wait()
            idle = 0
