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
class Courier:
    """A thread that has the sockets of a loop while the handler runs, and only then."""

    def __init__(self, deliver: Callable[[], None]) -> None:
        """`deliver` writes what is owed."""
        self._deliver = deliver
        self._sockets = Lock()  # held by whose they are
        self._sockets.acquire()
        self._lent = False
        self._bell = Event()
        self._asleep = False
        self._calls = 0
        self._thread: Thread | None = None
        self._ended = False

    def lend(self) -> bool:
        """The handler is called now, while something is owed; false if there is nobody to lend to."""
        if self._thread is None and not self._start():
            return False
        self._calls += 1
        if self._asleep:
            self._bell.set()
        self._lent = True
        self._sockets.release()
        return True

    def take_back(self) -> None:
        """The handler has returned, or was interrupted; again does nothing."""
        if self._lent:
            self._sockets.acquire()
            self._lent = False

    def end(self) -> None:
        """Nothing is lent any more."""
        self._ended = True
        if self._thread is not None:
            self._bell.set()
            self._thread.join()

    def _start(self) -> bool:
        thread = Thread(target=self._run, name="ipcfold-courier", daemon=True)
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
            sleep(_PERIOD)
            if seen != self._calls:
                seen, idle = self._calls, 0
                continue
            if self._sockets.acquire(blocking=False):
                try:
                    if seen == self._calls:
                        self._deliver()
                        idle = _IDLE  # the next call has to wake it: while one is long, it disturbs nobody
                finally:
                    self._sockets.release()
            if idle < _IDLE:
                idle += 1
            else:
                self._bell.clear()
                self._asleep = True
                if seen == self._calls and not self._ended:
                    self._bell.wait()
                self._asleep, idle = False, 0
