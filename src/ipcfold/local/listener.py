"""The listener of a server: it accepts clients, and checks that the socket is still in its place."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from typing import Final, final

from ipcfold.core.transports import READ
from ipcfold.local.claim import Claim
from ipcfold.local.log import Log
from ipcfold.local.poller import Poller
from ipcfold.local.stream import shut

_ACCEPTED_AT_ONCE: Final = 64
_ACCEPT_AGAIN: Final = 0.1  # seconds; the pause after the system had no descriptor left for a client


@final
class Listener:
    """The published name of a server, and the socket that listens there."""

    __slots__ = (
        "_accept_at",
        "_before",
        "_claim",
        "_damage",
        "_listener",
        "_log",
        "_look_at",
        "_period",
        "_poller",
        "_short",
        "deadline",
    )

    def __init__(self, log: Log, claim: Claim, listener: socket.socket, poller: Poller[object], period: float, now: float) -> None:
        """`period`: seconds between two checks that the socket is still in its place. Raises `OSError` if it cannot be watched."""
        self._claim = claim
        self._listener = listener
        self._before: socket.socket | None = None  # after a replacement: the old socket, whose backlog may have clients
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
        for listener in self._sockets():
            yield from self._accepted(listener, now)

    def _accepted(self, listener: socket.socket, now: float) -> Iterator[socket.socket]:
        for _ in range(_ACCEPTED_AT_ONCE if self._accept_at is None else 0):
            try:
                stream, _ = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                self._short = False
                return
            except OSError as error:
                # No descriptor or memory is left. The client stays in the backlog, so the socket stays ready.
                # To go on watching it would be a busy loop.
                if not self._short:
                    self._log.short(error)
                self._short = True
                for each in self._sockets():
                    self._poller.forget(each)
                self._accept_at = now + _ACCEPT_AGAIN
                self.deadline = min(self._look_at, self._accept_at)
                return
            yield stream

    def tick(self, now: float) -> None:
        """Accept again if that was suspended, and check the socket, if it is time."""
        if self._accept_at is not None and now >= self._accept_at:
            self._resume(now)
        if now >= self._look_at:
            self._look_at = now + self._period
            self._log.tick(now)
            self._mend(now)
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
        for each in self._sockets():
            self._end(each)

    def abandon(self) -> None:
        """Close this process's copy of the socket; other processes are not affected."""
        for each in self._sockets():
            shut(each)

    def _sockets(self) -> tuple[socket.socket, ...]:
        return (self._listener,) if self._before is None else (self._before, self._listener)

    def _end(self, listener: socket.socket) -> None:
        if self._accept_at is None:
            self._poller.forget(listener)
        shut(listener)

    def _mend(self, now: float) -> None:
        """Put back what another process removed. Clients in the backlog of the old socket are still accepted."""
        if self._before is not None and not _has_clients(self._before):
            before, self._before = self._before, None
            self._end(before)
        mended = self._claim.mend()
        if mended.lock or mended.listener is not None:
            self._log.mended(" and ".join(["its lock"] * mended.lock + ["its socket"] * (mended.listener is not None)))
        if mended.listener is None:
            return
        if self._before is not None:
            self._end(self._before)
        if self._accept_at is None:
            self._poller.forget(self._listener)
        self._before, self._listener = self._listener, mended.listener
        if self._accept_at is None:
            self._resume(now)

    def _resume(self, now: float) -> None:
        """Watch the sockets, or try again later if the system watches no more sockets."""
        watched = list[socket.socket]()
        try:
            for each in self._sockets():
                self._poller.watch(each, READ, self)
                watched.append(each)
        except OSError:
            for each in watched:
                self._poller.forget(each)
            self._accept_at = now + _ACCEPT_AGAIN
        else:
            self._accept_at = None


def _has_clients(listener: socket.socket) -> bool:
    poller = select.poll()
    poller.register(listener, select.POLLIN)
    return bool(poller.poll(0))
