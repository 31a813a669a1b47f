"""Tells what happens to a server: to the logger `ipcfold`, and to the observer.

What an operator has to know is logged as a warning or an error, what explains a client's failure as information, and the
rest for debugging. A program configures where it goes with the standard library's `logging`.
"""

from __future__ import annotations

import logging
from collections import deque
from functools import cache
from threading import get_ident
from typing import Final, TypeVar, final

from ipcfold.continuation import Continuation
from ipcfold.core.server_connection import ServerConnection
from ipcfold.events import Connected, Disconnected, Ending, Event, Folded, Listening, Observer, Refused, Stopping
from ipcfold.message import Message
from ipcfold.peer import Name, Peer

C = TypeVar("C")


@cache
def logger() -> logging.Logger:
    """The logger of all servers."""
    logger = logging.getLogger("ipcfold")
    logger.addHandler(logging.NullHandler())
    return logger


@final
class ServerLog:
    """Tells what happens to one server."""

    __slots__ = ("_ending", "_log", "_name", "_observe", "_thread", "observed", "untold")

    def __init__(self, name: Name, observe: Observer | None) -> None:
        self._name = name
        self._log = logger()
        self._observe = observe
        self._ending = False
        self._thread = get_ident()
        self.untold = deque[Event]()
        """Events that `flush` has not told the observer yet."""
        self.observed: Final = observe is not None
        """Whether to measure for `folded`, and call it."""

    def listening(self) -> None:
        """Clients can connect."""
        self._log.debug("%s listens", self._name)
        self._tell(Listening(self._name))

    def connected(self, peer: Peer) -> None:
        """A client was accepted."""
        self._log.debug("%s let connection %d in, process %d of user %d", self._name, peer.connection, peer.pid, peer.uid)
        if self.observed:
            self._tell(Connected(self._name, peer))

    def refused(self, peer: Peer, reason: str) -> None:
        """A client was refused."""
        self._log.warning("%s turned process %d of user %d away: %s", self._name, peer.pid, peer.uid, reason)
        self._tell(Refused(self._name, peer, reason))

    def folded(self, message: Message, answer: Continuation[C], duration: float) -> None:
        """A message was folded."""
        self._tell(Folded(self._name, answer.peer, message, answer.responses, answer.outcome, duration))

    def lost(self, peer: Peer) -> None:
        """A client went without reading what was written to it."""
        self._log.info(
            "%s lost connection %d of process %d, user %d, which went without reading what was sent to it: "
            "it died, or that was over its limits.message or limits.unread",
            *(self._name, peer.connection, peer.pid, peer.uid),
        )

    def disconnected(self, end: ServerConnection) -> None:
        """A client is gone."""
        who = (self._name, end.peer.connection, end.peer.pid, end.peer.uid)
        if end.fault:
            level = logging.INFO if self._ending else logging.WARNING  # while the server ends, a late client is no news for an operator
            self._log.log(level, "%s dropped connection %d of process %d, user %d: %s", *who, end.fault)
        else:
            self._log.debug("%s has no connection %d of process %d, user %d, any more: %s", *who, end.departure.value)
        if self.observed:
            self._tell(Disconnected(self._name, end.peer, end.departure, end.fault))

    def stopping(self, ending: Ending) -> None:
        """The name is withdrawn."""
        self._ending = True
        self._log.debug("%s ends: %s", self._name, ending.value)
        self._tell(Stopping(self._name, ending))

    def short(self, error: OSError) -> None:
        """The system has no descriptor or memory left for a client."""
        self._log.warning("%s accepts nobody for now, and goes on trying: %s", self._name, error)

    def damaged(self, damage: str) -> None:
        """Another process changed the files of the name."""
        self._log.error("%s serves on, but %s", self._name, damage)

    def _tell(self, event: Event) -> None:
        if self._observe is not None:
            self.untold.append(event)
            self.flush()

    def flush(self) -> None:
        """Tell the observer, if this is the serving thread. While the handler runs, the flusher's thread may see clients go."""
        while self.untold and self._observe is not None and get_ident() == self._thread:
            event = self.untold.popleft()
            try:
                self._observe(event)
            except BaseException:  # noqa: BLE001 - the observer is the user's code, and must not end a server
                self._log.exception("%s goes on, but its observer failed at %s: mend that function", self._name, type(event).__name__)
