"""Tells what happens to a server: to the logger `ipcfold`, and to the observer of the program.

What an operator has to know is logged as a warning or an error, what explains a client's failure as information, and the
rest for debugging. A program configures where it goes with the standard library's `logging`.
"""

from __future__ import annotations

import logging
from collections import deque
from functools import cache
from typing import final

from ipcfold.events import Connected, Disconnected, Event, Folded, Listening, Observer, Refused, Stopping
from ipcfold.peer import Name, Peer


@cache
def logger() -> logging.Logger:
    """The logger of all servers."""
    logger = logging.getLogger("ipcfold")
    logger.addHandler(logging.NullHandler())
    return logger


@final
class Log:
    """The observer that logs. It also logs what only a server over sockets has to tell."""

    def __init__(self, name: Name) -> None:
        self._name = name
        self._log = logger()
        self._ending = False

    def __call__(self, event: Event) -> None:
        """Log an event."""
        match event:
            case Listening():
                self._log.debug("%s listens", self._name)
            case Connected(peer=peer):
                self._log.debug("%s let connection %d in, process %d of user %d", self._name, peer.connection, peer.pid, peer.uid)
            case Refused(peer=peer, reason=reason):
                self._log.warning("%s turned process %d of user %d away: %s", self._name, peer.pid, peer.uid, reason)
            case Folded():
                pass  # each message would be a line
            case Disconnected(peer=peer, departure=departure, reason=""):
                text = "%s has no connection %d of process %d, user %d, any more: %s"
                self._log.debug(text, self._name, peer.connection, peer.pid, peer.uid, departure.value)
            case Disconnected(peer=peer, reason=reason):
                level = logging.INFO if self._ending else logging.WARNING  # while the server ends, a late client is no news for an operator
                text = "%s dropped connection %d of process %d, user %d: %s"
                self._log.log(level, text, self._name, peer.connection, peer.pid, peer.uid, reason)
            case Stopping(ending=ending):
                self._ending = True
                self._log.debug("%s ends: %s", self._name, ending.value)

    def lost(self, peer: Peer) -> None:
        """A client went without reading what was written to it."""
        self._log.info(
            "%s lost connection %d of process %d, user %d, which went without reading what was sent to it: "
            "it died, or that was over its limits.message or limits.unread",
            *(self._name, peer.connection, peer.pid, peer.uid),
        )

    def short(self, error: OSError) -> None:
        """The system has no descriptor or memory left for a client."""
        self._log.warning("%s accepts nobody for now, and goes on trying: %s", self._name, error)

    def damaged(self, damage: str) -> None:
        """Another process changed the files of the name."""
        self._log.error("%s serves on, but %s", self._name, damage)

    def mended(self, what: str) -> None:
        """The server put back files of the name that another process had removed."""
        self._log.warning("%s serves on, and has put back what another process removed: %s", self._name, what)

    def failed(self, event: Event) -> None:
        """The observer of the program raised an exception, which is being handled."""
        self._log.exception("%s goes on, but its observer failed at %s: mend that function", self._name, type(event).__name__)


def tell(events: deque[Event], log: Log, observe: Observer | None) -> None:
    """Tell the log and the observer of these events, and remove them."""
    while events:
        event = events.popleft()
        log(event)
        if observe is not None:
            try:
                observe(event)
            except BaseException:  # noqa: BLE001 - the observer is the user's code, and must not end a server
                log.failed(event)
