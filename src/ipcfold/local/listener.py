"""The listener of a server: it accepts clients, and checks that the socket is still in its place."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Final, final

from ipcfold.core.transports import READ
from ipcfold.local.claim import Claim
from ipcfold.local.log import Log
from ipcfold.local.poller import Poller

_ACCEPTED_AT_ONCE: Final = 64
_ACCEPT_AGAIN: Final = 0.1  # seconds; the pause after the system had no descriptor left for a client


@final
class Listener:
    """The published name of a server, and the socket that listens there."""

    def __init__(self, log: Log, claim: Claim, listener: socket.socket, poller: Poller[object], period: float, now: float) -> None:
        """`period`: seconds between two checks that the socket is still in its place. Raises `OSError` if it cannot be watched."""
        self._claim = claim
        self._listener = listener
        self._poller = poller
        self._period = period
        self._log = log
        self._look_at = now + period
        self.deadline = self._look_at
        """When `tick` is to be called."""
        self._damage = ""
        self._accept_at: float | None = None  # when to accept again, while accepting is suspended
        self._short = False  # whether the log already says that the system has no descriptor left
        poller.watch(listener, READ, self)

    @property
    def closed(self) -> bool:
        """Whether no client is accepted any more."""
        return self._listener.fileno() < 0

    def accepted(self, now: float) -> Iterator[socket.socket]:
        """The streams of the clients in the backlog."""
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                stream, _ = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                self._short = False
                return
            except OSError as error:
                # No descriptor or memory is left. The client stays in the backlog, so the socket stays ready.
                # Watching it on would be a busy loop.
                if not self._short:
                    self._log.short(error)
                self._short = True
                self._poller.forget(self._listener)
                self._accept_at = now + _ACCEPT_AGAIN
                self.deadline = min(self._look_at, self._accept_at)
                return
            yield stream

    def tick(self, now: float) -> None:
        """Accept again if that was suspended, and check the socket, if it is time."""
        if self._accept_at is not None and now >= self._accept_at:
            try:
                self._poller.watch(self._listener, READ, self)
            except OSError:  # the shortage goes on
                self._accept_at = now + _ACCEPT_AGAIN
            else:
                self._accept_at = None
        if now >= self._look_at:
            self._look_at = now + self._period
            self._log.tick(now)
            damage = self._claim.damage()
            if damage and damage != self._damage:
                self._log.damaged(damage)
            self._damage = damage
        self.deadline = self._look_at if self._accept_at is None else min(self._look_at, self._accept_at)

    def close(self) -> None:
        """Withdraw the name, and accept no more clients."""
        if self.closed:
            return
        self._claim.withdraw()
        if self._accept_at is None:
            self._poller.forget(self._listener)
        self._listener.close()

    def abandon(self) -> None:
        """Close this process's copy of the socket; other processes are not affected."""
        self._listener.close()
