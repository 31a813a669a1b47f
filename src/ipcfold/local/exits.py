"""Servers on other threads than the main one, which must not keep the process from ending.

Signals reach the main thread only. Ctrl-C raises `KeyboardInterrupt` there, and then Python waits for the other threads: an
executor joins them at the end of its `with` block, `asyncio.run` and the interpreter at their end. A server that waits for
messages meanwhile would hold them up for ever. So such a server looks from time to time whether the main thread is on its
way out and waits for it.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from collections.abc import Callable
from threading import get_ident
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from ipcfold.events import Reported  # a tenth of the time to import this library

_PERIOD: Final = 0.5  # seconds between two looks: few enough to cost nothing, and few seconds for who presses Ctrl-C
_AT_EXIT: Final = 1.0  # seconds in addition to the draining: a handler that is stuck must not keep the interpreter
_GLANCE: Final = 0.005  # seconds between two looks whether the thread of a server has ended


@final
class Exits:
    """The duty of a server that runs on another thread than the main one: to end when the process waits for it in order to end."""

    def __init__(self) -> None:
        self._thread = threading.current_thread()
        self.deadline = monotonic() + _PERIOD

    def tick(self, now: float) -> bool:
        """See `Duty`."""
        self.deadline = now + _PERIOD
        return _leaving() and (not threading.main_thread().is_alive() or _joined(self._thread))

    def see(self, event: Reported) -> None:
        """See `Duty`."""

    def close(self) -> None:
        """See `Duty`."""


def _leaving() -> bool:
    """Whether Ctrl-C, an exit or a cancellation ends what the main thread does, or Ctrl-C has ended the main thread."""
    main = threading.main_thread()
    raised = sys._current_exceptions().get(main.ident or 0)  # noqa: SLF001 - it is documented
    active = raised[1] if isinstance(raised, tuple) else raised  # a tuple before Python 3.12
    cancelled = getattr(sys.modules.get("asyncio"), "CancelledError", KeyboardInterrupt)
    if isinstance(active, (KeyboardInterrupt, SystemExit, cancelled)):
        return True
    last = getattr(sys, "last_type", None)  # of the exception that ended the main thread; at a prompt it may be an older one
    return isinstance(last, type) and issubclass(last, KeyboardInterrupt) and not hasattr(sys, "ps1")


def _joined(thread: threading.Thread) -> bool:
    """Whether another thread waits until this one has ended."""
    return any(_joins(frame, thread) for frame in sys._current_frames().values())  # noqa: SLF001 - it is documented


def _joins(frame: FrameType | None, thread: threading.Thread) -> bool:
    while frame is not None and frame.f_globals.get("__name__") == threading.__name__:
        if frame.f_locals.get("self") is thread:
            return True
        frame = frame.f_back
    return False


@final
class AtExit:
    """Ends a server in good order before the interpreter ends, which otherwise stops its thread at any step."""

    __slots__ = ("_end", "_over", "_owner", "_patience", "_thread")

    def __init__(self, drain: float) -> None:
        self._patience = drain + _AT_EXIT
        self._owner = os.getpid()
        self._over = threading.Event()
        self._end: Callable[[], object] | None = None
        self._thread = 0

    def begin(self, end: Callable[[], object]) -> None:
        """Note that the server serves on this thread, and how to end it."""
        self._thread, self._end = get_ident(), end
        atexit.register(self._exit)

    def over(self) -> None:
        """Note that the server has ended."""
        self._over.set()
        if self._end is not None and os.getpid() == self._owner:
            atexit.unregister(self._exit)

    def _exit(self) -> None:
        if self._end is not None and os.getpid() == self._owner and get_ident() != self._thread:
            self._end()
            self._over.wait(self._patience)
            until = monotonic() + _AT_EXIT
            # The program may save the carry there. `Thread.join` does not wait if Ctrl-C has interrupted it once before.
            while self._thread in sys._current_frames() and monotonic() < until:  # noqa: SLF001 - it is documented
                time.sleep(_GLANCE)
