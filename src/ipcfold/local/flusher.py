"""Writes acknowledgements and responses while the handler runs.

The server writes the acknowledgements and responses of a burst of messages together, at the end of the burst. That saves
a system call and a wake-up of the client for each message. But they must not wait for a slow handler, and no one knows in
advance which call is slow. So the server lends its sockets to a thread for the time of each call. The thread checks every
millisecond whether the same call still runs, and then writes. Between the calls only the server uses the sockets.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from time import sleep
from typing import Final, final

from ipcfold.local.threads import Worker

_PERIOD: Final = 0.001  # seconds
_IDLE: Final = 100  # periods without a call, after which the thread sleeps until the next one


@final
class Flusher:
    """A thread that may use the sockets of a server while the handler runs, and only then."""

    __slots__ = ("_asleep", "_bell", "_busy", "_calls", "_deliver", "_ended", "_owner", "_sockets", "_threaded", "_worker", "failure")

    def __init__(self, deliver: Callable[[], None], *, threaded: bool = True) -> None:
        """`deliver` writes the acknowledgements and responses that wait. If it is not `threaded`, there is never a thread to lend to."""
        self._threaded = threaded
        self._deliver = deliver
        self._calls = 0  # odd while the sockets are lent
        # The thread sets `_busy` before it checks that the sockets are still lent. The server takes the sockets back before
        # it checks `_busy`. So at least one of them notices the other, and then the server waits for the lock.
        self._busy = False
        self._sockets = Lock()
        # The thread sleeps until it gets this lock. An `Event` would not do: its end of a `with` takes memory, and leaves its
        # own lock locked where there is none.
        self._bell = Lock()
        self._bell.acquire()
        self._asleep = True
        self._worker = Worker(self._run)
        self._ended = False
        self._owner = os.getpid()
        self.failure: BaseException | None = None
        """What `deliver` raised. Then nobody knows what is written, so the server must write no more."""

    def lend(self) -> bool:
        """Lend the sockets, because the handler is called now; false as long as no thread runs."""
        self._calls += 1
        return not self._asleep or self._woken()

    def take_back(self) -> None:
        """Take the sockets back, because the handler has returned or was interrupted. A second call does nothing."""
        if self._calls & 1:
            self._calls += 1
        if self._busy and os.getpid() == self._owner:  # a forked child does not have the thread
            self._sockets.acquire()  # not `with`, whose end takes memory, and leaves the lock locked where there is none
            self._sockets.release()

    def end(self) -> None:
        """End the thread."""
        self._ended = True
        self._ring()
        self._worker.join()

    def _ring(self) -> None:
        if self._bell.locked():  # only the serving thread releases it
            self._bell.release()

    def _woken(self) -> bool:
        if self._threaded and (self._worker.runs or (self._worker.start() and self._worker.runs)):
            self._ring()
            return True
        self._calls += 1
        return False

    def _run(self) -> None:
        try:
            with suppress(MemoryError):  # the next call starts another thread
                self._watch()
        finally:
            self._asleep = True

    def _watch(self) -> None:
        seen = idle = 0
        while not self._ended:
            self._asleep = False
            sleep(_PERIOD)
            if seen != self._calls:
                seen, idle = self._calls, 0
                continue
            if seen & 1:
                self._sockets.acquire()  # as above
                try:
                    self._busy = True
                    if seen == self._calls and self.failure is None:
                        self._deliver()
                except BaseException as error:  # noqa: BLE001 - the server raises it on its own thread
                    self.failure = error
                finally:
                    self._busy = False
                    self._sockets.release()
                idle = _IDLE  # sleep until the next call, so as not to disturb a long one
            if idle < _IDLE:
                idle += 1
                continue
            self._bell.acquire(blocking=False)
            self._asleep = True
            if seen == self._calls and not self._ended:
                self._bell.acquire()
            idle = 0
