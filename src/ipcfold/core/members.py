"""The clients that a fold can tell something, and the answers that they wait for.

What is there depends on the inputs of the fold alone: a client is there until its departure is folded. So the fold of a record judges
each answer as the server did.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

from ipcfold.effects import Ticket
from ipcfold.peer import Peer


@final
class Members:
    """The clients of a fold, by the numbers of their connections."""

    __slots__ = ("_most", "_open", "_peers", "_run")

    def __init__(self) -> None:
        self._peers = dict[int, Peer]()
        self._most = 0  # the largest number of a connection
        self._open = dict[int, set[Ticket]]()  # of each client
        self._run = 0  # of the server, if it is known

    @property
    def peers(self) -> tuple[Peer, ...]:
        """The clients that are there, by the numbers of their connections."""
        return tuple(self._peers[connection] for connection in sorted(self._peers))

    @property
    def most(self) -> int:
        """The largest number of a connection."""
        return self._most

    @property
    def open(self) -> tuple[Ticket, ...]:
        """The messages whose answer is open."""
        return tuple(ticket for _, tickets in sorted(self._open.items()) for ticket in sorted(tickets, key=lambda each: each.number))

    def restore(self, peers: Iterable[Peer], most: int, tickets: Iterable[Ticket]) -> None:
        """Take over what another one had."""
        for peer in peers:
            self.join(peer)
        self._most = max(self._most, most)
        for ticket in tickets:
            self.defer(ticket)

    def join(self, peer: Peer) -> None:
        """Add a client."""
        self._peers[peer.connection] = peer
        self._most = max(self._most, peer.connection)
        self._run = peer.run or self._run

    def leave(self, peer: Peer) -> None:
        """Remove a client."""
        self._peers.pop(peer.connection, None)
        self._open.pop(peer.connection, None)

    def defer(self, ticket: Ticket) -> None:
        """Open an answer."""
        if ticket.peer.connection in self._peers:
            self._open.setdefault(ticket.peer.connection, set()).add(ticket)

    def close(self, ticket: Ticket) -> None:
        """Note that an answer is given."""
        self._open.get(ticket.peer.connection, set()).discard(ticket)

    def has(self, peer: object) -> bool:
        """Whether this client is still there. Raises for what never was a client."""
        if type(peer) is not Peer:
            raise TypeError(f"only a Peer can be told something, not {type(peer).__name__}: use the peer of a continuation")
        there = self._knows(peer)
        if there is None:
            raise TypeError(f"{peer} is no client of this server: use the peer of a continuation that this run of the server gave")
        return there

    def takes(self, ticket: object, closed: set[Ticket], deferred: Ticket | None) -> bool:
        """Whether the client of this ticket is still there. Raises if the ticket is not open.

        `closed`, `deferred`: what the answer at hand has answered and deferred so far.
        """
        if type(ticket) is not Ticket or type(ticket.peer) is not Peer:
            raise TypeError(f"only a Ticket can be answered, not {type(ticket).__name__}: use the ticket of a continuation")
        there = self._knows(ticket.peer)
        if there is None:
            raise TypeError(f"{ticket} is not open, because {ticket.peer} is no client of this server: answer what this run has deferred")
        if there is False and ticket.number > 0:
            return False
        if ticket in closed or not (ticket == deferred or ticket in self._open.get(ticket.peer.connection, ())):
            raise TypeError(f"{ticket} is not open: answer a message that was deferred, and answer it once")
        return True

    def _knows(self, peer: Peer) -> bool | None:
        """Whether this client is there; `None` if it never was."""
        if peer.run and self._run and peer.run != self._run:
            return None
        member = self._peers.get(peer.connection)
        if member == peer:
            return True
        return False if member is None and 0 < peer.connection <= self._most else None
