"""Tells the log and the observer of a server what it does while it leads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

from ipcfold.events import Connected, Disconnected, Ending, Event, Listening, Observer, Reported, Stopping, Survived
from ipcfold.inputs import Left
from ipcfold.local.log import logger
from ipcfold.peer import Name, Peer


@final
class Telling:
    """Tells the log and the observer.

    All servers of a name fold the same, so only the one that leads tells. When it begins to lead, it tells of the clients that are there.
    An observer hears of the end of each connection whose beginning it has heard, also if another server leads by then.
    """

    def __init__(self, name: Name, observe: Observer | None) -> None:
        self._name = name
        self._observe = observe
        self._told = set[int]()  # the numbers of the connections that the observer knows
        self.leading = False
        """Whether the server leads."""
        self.ending = Ending.SIGNALLED
        """Why the server stops, if it stops by itself."""

    def report(self, event: Reported) -> None:
        """Take what has happened."""
        match event:
            case Survived() if self.leading:
                function = "left" if isinstance(event.what, Left) else "woken"
                text = "%s goes on with the carry before, but its %s failed: mend that function"
                logger().error(text, event.name, function, exc_info=event.error)
            case Survived():
                pass
            case Disconnected(peer=peer) if peer.connection in self._told:
                self._told.discard(peer.connection)
                self._tell(event)
            case Disconnected():
                pass
            case Connected(peer=peer) if self.leading:
                self._told.add(peer.connection)
                self._tell(event)
            case Stopping(ending=Ending.SIGNALLED) if self.leading:  # the stream does not say why
                self._tell(Stopping(self._name, self.ending))
            case _ if self.leading:
                self._tell(event)
            case _:
                pass

    def lead(self, clients: Iterable[Peer]) -> None:
        """Begin to lead, with these clients."""
        self.leading = True
        self.report(Listening(self._name))
        for peer in clients:
            if peer.connection not in self._told:
                self.report(Connected(self._name, peer))

    def _tell(self, event: Event) -> None:
        if self._observe is not None:
            try:
                self._observe(event)
            except Exception:  # noqa: BLE001 - it is the code of the program
                logger().exception("the observer of %s raised", event.name)
