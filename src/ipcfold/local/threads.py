"""Starts the threads of the library. None of them may ever receive a signal, which then would not interrupt the handler."""

from __future__ import annotations

import _thread
import signal
from collections.abc import Callable
from threading import Thread


def started(thread: Thread) -> bool:
    """Start the thread with all signals blocked; false if the system has no thread left."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # a thread inherits the mask of the one that starts it
    try:
        thread.start()
    except RuntimeError:
        return False
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return True


def begun(run: Callable[[], object]) -> bool:
    """Run this on a thread with all signals blocked; false if the system has no thread left.

    The caller does not wait for the thread to begin, as with `Thread`, which takes milliseconds on a busy machine.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        _thread.start_new_thread(run, ())
    except RuntimeError:
        return False
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return True
