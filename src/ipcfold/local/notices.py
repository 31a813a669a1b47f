"""Tells the service manager, such as systemd, how the process is: it is ready, it lives, it stops.

The protocol is that of sd_notify(3): a datagram with a line such as `READY=1` to the socket that `NOTIFY_SOCKET` names.
With `WATCHDOG_USEC` the manager kills the process if it does not hear `WATCHDOG=1` as often. The rules:

- The first server on the main thread speaks for the process. A server on another thread does not: the program does other things, too.
- The thread that serves sends `WATCHDOG=1`, between two messages. So the manager notices a handler that is stuck.
- The variables are taken out of the environment, so that a child of the process does not speak for it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import Final, final

import attrs

from ipcfold.events import Ending, Reported, Stopping
from ipcfold.local.stream import shut

_VARIABLES: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
_ENDS_PROCESS: Final = frozenset((Ending.SIGNALLED, Ending.INTERRUPTED, Ending.STOPPED))
"""After the others a program may well listen again, and a manager kills a process that stops for too long."""
_PATIENCE: Final = 1.0  # seconds for a manager that does not read
_AGAIN: Final = 1 / 8  # of the interval, after an attempt that failed


@final
@attrs.frozen
class Manager:
    """Where the service manager listens, and how often it wants to hear something."""

    address: str
    """As the kernel takes it. An abstract address begins with a zero byte."""
    interval: float
    """Seconds; infinite without a watchdog."""


_known: Manager | None = None  # from the variables that this process has taken out of its environment
_speaking = 0  # servers on the main thread, each in the handler of the one before


def manager() -> Manager | None:
    """The service manager of this process, if there is one. Takes its variables out of the environment."""
    global _known  # noqa: PLW0603 - the environment is the process's, too
    if "NOTIFY_SOCKET" in os.environ:
        address, interval, process = (os.environ.pop(variable, "") for variable in _VARIABLES)
        known = address.startswith(("/", "@"))  # others are for virtual machines
        address = f"\0{address[1:]}" if address.startswith("@") else address
        _known = Manager(address, _seconds(interval, process)) if known else None
    return _known


def _seconds(interval: str, process: str) -> float:
    """The interval of the watchdog, unless it is that of another process."""
    mine = not process or process == str(os.getpid())
    return int(interval) / 1_000_000 if mine and interval.isascii() and interval.isdigit() and int(interval) else inf


def _forget() -> None:
    global _known, _speaking
    _known, _speaking = None, 0


os.register_at_fork(after_in_child=_forget)


@final
class Notices:
    """The duty of a server that speaks for its process. Another server in its handler only shows that the process lives."""

    def __init__(self, manager: Manager, missed: Callable[[str, OSError], object]) -> None:
        """`missed` is called with what the manager did not take. Raises `OSError` if the system has no descriptor left."""
        global _speaking  # noqa: PLW0603 - as above
        self._manager = manager
        self._missed = missed
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)  # kept, because later there may be no descriptor left
        self._owner = os.getpid()
        self._speaks = not _speaking
        _speaking += 1
        self.deadline = monotonic() + manager.interval / 2
        if self._speaks:
            self._tell(b"READY=1", _PATIENCE)

    def tick(self, now: float) -> bool:
        """See `Duty`."""
        told = self._tell(b"WATCHDOG=1", 0.0)
        self.deadline = now + self._manager.interval * (1 / 2 if told else _AGAIN)
        return False

    def see(self, event: Reported) -> None:
        """See `Duty`."""
        if self._speaks and isinstance(event, Stopping) and event.ending in _ENDS_PROCESS:
            self._tell(b"STOPPING=1", _PATIENCE)

    def close(self) -> None:
        """See `Duty`."""
        global _speaking  # noqa: PLW0603 - as above
        if self._socket.fileno() >= 0 and os.getpid() == self._owner:
            _speaking -= 1
        shut(self._socket)

    def _tell(self, line: bytes, patience: float) -> bool:
        try:
            self._socket.settimeout(patience)
            self._socket.sendto(line, self._manager.address)
        except OSError as error:
            self._missed(line.decode(), error)
            return False
        return True
