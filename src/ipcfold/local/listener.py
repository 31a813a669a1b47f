"""The listener of a server: it accepts clients, refuses some, and checks that the socket is still in its place."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Final, final

from ipcfold.local.claim import Claim
from ipcfold.local.credentials import peer_of, trusted
from ipcfold.local.log import ServerLog
from ipcfold.local.poller import Poller
from ipcfold.local.stream import READ
from ipcfold.peer import Peer, Trust

_ACCEPTED_AT_ONCE: Final = 64
_ACCEPT_AGAIN: Final = 0.1  # seconds; the pause after the system had no descriptor left for a client


@final
class Listener:
    """The published name of a server, and the socket that listens there."""

    def __init__(self, log: ServerLog, claim: Claim, listener: socket.socket, poller: Poller[object], period: float) -> None:
        """`period`: seconds between two checks that the socket is still in its place."""
        self._claim = claim
        self._listener = listener
        self._poller = poller
        self._period = period
        self._log = log
        self._look_at = 0.0
        self.deadline = 0.0
        """When `tick` is to be called."""
        self._damage = ""
        self._accepted = 0
        self._accept_at: float | None = None  # when to accept again, while accepting is suspended
        self._short = False  # whether the log already says that the system has no descriptor left

    def open(self, now: float) -> None:
        """Accept clients from now on; raises `OSError` if the system watches no more sockets."""
        self.deadline = self._look_at = now + self._period
        self._poller.watch(self._listener, READ, self)

    @property
    def closed(self) -> bool:
        """Whether no client is accepted any more."""
        return self._listener.fileno() < 0

    def accepted(self, trust: Trust, refusal: Callable[[Peer], str], now: float) -> Iterator[tuple[socket.socket, Peer]]:
        """Accept the clients in the backlog; `refusal` says why a client may not connect, or nothing."""
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
            self._accepted += 1
            try:
                peer = peer_of(stream, self._accepted)
            except OSError:
                stream.close()
                continue
            reason = refusal(peer) if trusted(trust, peer) else "it is not trusted (trust)"
            if reason:
                self._log.refused(peer, reason)
                stream.close()
                continue
            stream.setblocking(False)
            yield stream, peer

    def tick(self, now: float) -> None:
        """Accept again if that was suspended, and check the socket, if it is time."""
        if self._accept_at is not None and now >= self._accept_at:
            self._accept_at = None
            self._poller.watch(self._listener, READ, self)
        if now >= self._look_at:
            self._look_at = now + self._period
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
