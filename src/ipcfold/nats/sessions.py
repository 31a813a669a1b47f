"""What a fold knows of the sessions of its clients. It follows from the entries alone, so that all servers know the same.

A session outlives the connection of its client to the broker, and every server. The items that a client has not confirmed
are kept here, and the leader of the moment sends them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final, final

from ipcfold.nats.items import Item, Kind, encode_item, pieces
from ipcfold.peer import Peer

FORGOTTEN: Final = 600.0
"""Seconds, by the time of the stream, for which the last items of a session that is over are kept."""


@final
class Session:
    """The session of a client."""

    __slots__ = ("acknowledged", "ended", "got", "identifier", "inbox", "items", "last", "parts", "peer", "size", "stored")

    def __init__(self, identifier: str, inbox: str, peer: Peer) -> None:
        self.identifier = identifier
        self.inbox = inbox
        self.peer = peer
        self.last = 0
        """The number of the last message that is folded."""
        self.acknowledged = 0
        """The number of the last message whose acknowledgement is among the items."""
        self.got = 0
        """How many items the client has confirmed."""
        self.items = deque[bytes]()
        """Those that it has not confirmed."""
        self.size = 0
        """Their bytes."""
        self.parts = list[bytes]()
        """The pieces of a message that is not complete."""
        self.stored = 0
        """Their bytes."""
        self.ended: float | None = None
        """When it ended, by the time of the stream."""

    @property
    def sent(self) -> int:
        """The number of its last item."""
        return self.got + len(self.items)

    def add(self, item: Item) -> None:
        """Add an item."""
        for piece in (encode_item(item),) if len(item.data) < 4096 else pieces(item):
            self.items.append(piece)
            self.size += len(piece)
        if item.kind in _ACKNOWLEDGES:
            self.acknowledged = item.number

    def confirm(self, got: int) -> None:
        """Forget the items up to this one."""
        while self.got < got and self.items:
            self.size -= len(self.items.popleft())
            self.got += 1

    def after(self, number: int) -> Iterator[bytes]:
        """The items behind the one of this number."""
        skipped = number - self.got
        return (item for index, item in enumerate(self.items) if index >= skipped)

    def drop(self) -> None:
        """Forget the pieces of a message that is not complete."""
        self.parts.clear()
        self.stored = 0


_ACKNOWLEDGES: Final = frozenset({Kind.FOLDED, Kind.ANSWER})


@final
class Due:
    """What clients are to get, by the identifiers of their sessions."""

    __slots__ = ("again", "behind", "synced", "touched", "unknown")

    def __init__(self) -> None:
        self.touched = dict[str, Session]()
        """The sessions that have new items."""
        self.again = dict[str, Session]()
        """Those that ask for all items that they have not confirmed."""
        self.synced = dict[str, int]()
        """Those that ask how far their messages are folded, with their tokens."""
        self.behind = dict[str, Session]()
        """Those whose messages could not be taken."""
        self.unknown = dict[str, str]()
        """The inboxes of those that nobody knows."""

    def clear(self) -> None:
        """Forget all that."""
        for table in (self.touched, self.again, self.synced, self.behind, self.unknown):
            table.clear()


@final
class Sessions:
    """All sessions, by their identifiers, and by the numbers of their connections."""

    __slots__ = ("_by_connection", "_by_identifier", "_ended", "most")

    def __init__(self) -> None:
        self._by_identifier = dict[str, Session]()
        self._by_connection = dict[int, Session]()
        self._ended = deque[Session]()
        self.most = 0
        """The largest number of a connection."""

    def __iter__(self) -> Iterator[Session]:
        return iter(self._by_identifier.values())

    def get(self, identifier: str) -> Session | None:
        """The session of that identifier, if it is known."""
        return self._by_identifier.get(identifier)

    def of(self, peer: Peer) -> Session | None:
        """The session of this peer, if it is not over."""
        return self._by_connection.get(peer.connection)

    @property
    def open(self) -> tuple[Session, ...]:
        """Those that are not over, by the numbers of their connections."""
        return tuple(self._by_connection[connection] for connection in sorted(self._by_connection))

    def begin(self, identifier: str, inbox: str, now: float, run: int = 0) -> Session:
        """A new session of this run; see `Peer.run`. It forgets those that have long been over."""
        while self._ended and (self._ended[0].ended or 0.0) + FORGOTTEN < now:
            self._by_identifier.pop(self._ended.popleft().identifier, None)
        self.most += 1
        session = Session(identifier, inbox, Peer(self.most, run=run))
        self._by_identifier[identifier] = self._by_connection[self.most] = session
        return session

    def restore(self, sessions: Iterable[Session], most: int, run: int = 0) -> None:
        """Take over the sessions of a snapshot, which does not name the run. The largest number of a connection was `most`."""
        self.most = most
        for session in sessions:
            session.peer = Peer(session.peer.connection, run=run)
            self._by_identifier[session.identifier] = session
            if session.ended is None:
                self._by_connection[session.peer.connection] = session
        self._ended.extend(sorted((each for each in self if each.ended is not None), key=lambda each: each.ended or 0.0))

    def end(self, session: Session, now: float) -> None:
        """End a session at that time. Its items stay."""
        session.ended = now
        session.drop()
        del self._by_connection[session.peer.connection]
        self._ended.append(session)

    def forget(self, session: Session) -> None:
        """Forget a session that is over, whose client has everything."""
        self._ended.remove(session)
        del self._by_identifier[session.identifier]
