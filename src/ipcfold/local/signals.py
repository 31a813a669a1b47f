"""Signals as events: while a server runs, chosen signals call the server instead of their previous handlers.

A signal that is ignored stays ignored, whoever chose that: `nohup` or a shell that starts a background job, for example.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from types import FrameType, TracebackType
from typing import Final, TypeAlias, final

from ipcfold.local.stream import shut

_UNCATCHABLE: Final = frozenset(int(getattr(signal, name)) for name in ("SIGKILL", "SIGSTOP") if hasattr(signal, name))
_BYTES: Final = 64  # one is written for each signal, and few come at once; what is left makes the socket readable again
_CALLED: Final = 0  # the byte of `Wakeup.call`, which is the number of no signal

_handlers: Final[list[object]] = []
"""The handlers of the servers that run on the main thread, the outermost first."""

Previous: TypeAlias = Callable[[int, FrameType | None], object] | int | None
"""What `signal.getsignal` returns."""


def catchable(signals: Iterable[int]) -> tuple[int, ...]:
    """The numbers of these signals, realtime signals among them; raises `TypeError` or `ValueError` for what no handler can be set for."""
    numbers = tuple(signals)
    for number in numbers:
        if not isinstance(number, int) or isinstance(number, bool):
            raise TypeError(f"signals are numbers such as signal.SIGTERM, not {number!r:.80}")
        if number not in signal.valid_signals() or number in _UNCATCHABLE:
            raise ValueError(f"the system lets no process handle signal {int(number)}: leave it out of signals")
    return numbers


@final
class Wakeup:
    """A pair of sockets: its first end becomes readable when a signal comes, or when a thread calls.

    A process has one descriptor to which the interpreter writes the numbers of its signals. While a server has that
    descriptor, the server passes the signals that are not its own on to the previous one. An event loop, for example,
    learns of its signals from there.
    """

    def __init__(self) -> None:
        """Raises `OSError` if the system has no descriptors left."""
        self.stream, self._writer = socket.socketpair()
        self.stream.setblocking(False)
        self._writer.setblocking(False)
        # Reading must work without memory for a large buffer.
        self._buffer = bytearray(_BYTES)
        self.own: frozenset[int] = frozenset()
        """The signals that are the server's."""
        self.previous: int | None = None
        """The descriptor that gets the other ones, or -1; `None` while the interpreter does not write here."""

    @property
    def writer(self) -> int:
        """The descriptor for the interpreter to write to."""
        return self._writer.fileno()

    def call(self) -> None:
        """Make the first end readable; any thread may call this."""
        with suppress(OSError):  # it is readable already, or the server has ended
            self._writer.send(b"\0")

    def read(self) -> bool:
        """Read some of what was written, and pass the signals of others on; false if there was nothing."""
        try:
            count = self.stream.recv_into(self._buffer)
        except BlockingIOError:
            return False
        if self.previous is not None and self.previous >= 0:
            others = bytes(number for number in self._buffer[:count] if number != _CALLED and number not in self.own)
            if others:
                with suppress(OSError):  # the interpreter ignores it, too, if that descriptor is full or closed
                    os.write(self.previous, others)
        return count > 0

    def close(self) -> None:
        """Close both ends."""
        shut(self.stream)
        shut(self._writer)


@final
class Handled:
    """Calls `react` on these signals inside of a `with`, and then restores the previous handlers.

    Without the right to set handlers it does nothing. Only the main thread of the main interpreter has that right. Where a
    program in another language embeds Python, the interpreter may take another thread for the main one, so the attempt decides.

    Python's own handler of SIGINT raises at any point, which may be between two steps that belong together. If that
    handler is installed and SIGINT is not among the signals, `interrupt` is called instead of it.

    On any signal the interpreter's C code writes a byte to the `wakeup`. A handler in Python runs only between bytecode
    instructions, so it could not wake a system call that has just begun.

    This is no generator and has no `ExitStack`. Where memory runs out in one of them, it skips what is still to be restored.
    """

    __slots__ = ("_handle", "_previous", "_steps", "_wakeup")

    def __init__(self, signals: Iterable[int], react: Callable[[], None], interrupt: Callable[[], None], wakeup: Wakeup) -> None:
        owner = os.getpid()
        reactions = {int(number): react for number in signals}
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            reactions.setdefault(int(signal.SIGINT), interrupt)
        # None means a handler that was not set from Python. It could not be restored, so it stays.
        previous = {
            number: before for number in reactions if (before := signal.getsignal(number)) is not None and before is not signal.SIG_IGN
        }

        def handle(number: int, frame: FrameType | None) -> None:
            if os.getpid() == owner:
                outer = previous[number]
                try:
                    reactions[number]()
                finally:
                    if outer in _handlers and callable(outer):  # the handler of a server runs this one, and all of them end
                        outer(number, frame)
            else:  # in a child forked by the handler the signal has its previous meaning
                signal.signal(number, previous[number])
                os.kill(os.getpid(), number)

        self._handle = handle
        self._previous = previous
        self._wakeup = wakeup
        self._steps = list[Callable[[], object]]()  # each undoes something, the last one first; to take it again is harmless

    def __enter__(self) -> None:
        try:
            self._install()
        except BaseException:
            self._restore()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._restore()

    def _install(self) -> None:
        steps, wakeup, handle = self._steps, self._wakeup, self._handle
        steps.append(partial(_give_back, wakeup))
        if not _take(wakeup):
            return
        # A restored handler in Python may raise at once. So they come last, and each is restored whatever another raises.
        for number, handler in sorted(self._previous.items(), key=lambda item: callable(item[1]), reverse=True):
            steps.append(partial(signal.signal, number, handler))
        steps.append(partial(_disown, wakeup))
        steps.append(partial(_leave, handle))
        _handlers.append(handle)
        for number in self._previous:
            signal.signal(number, handle)
        while wakeup.read():  # what came before these handlers was meant for the previous ones
            pass
        wakeup.own = frozenset(self._previous)
        wakeup.call()  # one that came while they were set has been noted, and its byte is read: whoever waits looks once

    def _restore(self) -> None:
        raised: BaseException | None = None
        left = len(self._steps)
        while left:  # by numbers, because an iterator takes memory, and so does a list that gets shorter
            left -= 1
            try:
                try:
                    self._steps[left]()
                except MemoryError:
                    self._steps[left]()
            except BaseException as error:  # noqa: BLE001 - it is raised when all is restored
                raised = error
        if raised is not None:
            try:
                raise raised
            finally:
                del raised  # its traceback holds this frame


def _take(wakeup: Wakeup) -> bool:
    """Make the interpreter write to the wakeup; false if this thread may not have signals."""
    if threading.current_thread() is not threading.main_thread():
        return False
    try:
        wakeup.previous = signal.set_wakeup_fd(wakeup.writer, warn_on_full_buffer=False)
    except ValueError:
        return False
    return True


def _disown(wakeup: Wakeup) -> None:
    """Forget the signals that were the server's. Those that come from now on are for the previous handlers."""
    with suppress(OSError):  # the child of a fork has closed it
        while wakeup.read():
            pass
    wakeup.own = frozenset()


def _leave(handle: object) -> None:
    """Note that this handler is no longer that of a server."""
    with suppress(ValueError):  # it was not, or is not any more
        _handlers.remove(handle)


def _give_back(wakeup: Wakeup) -> None:
    """Make the interpreter write to the previous descriptor again, and then pass on what is still unread."""
    if wakeup.previous is None:
        return
    try:
        # The interpreter does not say whether the previous owner wants a warning when its buffer is full. Event loops do not.
        signal.set_wakeup_fd(wakeup.previous, warn_on_full_buffer=False)
    except (OSError, ValueError):  # its owner has closed it
        signal.set_wakeup_fd(-1)
    with suppress(OSError):  # the child of a fork has closed it
        while wakeup.read():
            pass
    wakeup.previous = None
