"""One client of a network, the server's end for it, and the bytes between."""

from __future__ import annotations

from typing import final

import attrs

from ipcfold.core.client_connection import ClientConnection
from ipcfold.core.server_connection import ServerConnection
from ipcfold.message import Message


@final
@attrs.define(eq=False)
class Link:
    """A client, the server's end for it, and the bytes between."""

    client: ClientConnection
    server: ServerConnection
    up: bytearray = attrs.field(factory=bytearray)
    """What was written to the server and not read."""
    down: bytearray = attrs.field(factory=bytearray)
    """What was written to the client and not read."""
    client_gone: bool = False
    server_gone: bool = False
    dead: bool = False
    """Whether the client was killed: it does nothing any more."""
    cut: bool = False
    """Whether the wire broke: neither end was told."""
    held: bool = False
    """Whether `settle` leaves it alone."""
    said: list[Message] = attrs.field(factory=list)
    answers: list[list[Message]] = attrs.field(factory=list)
    """What was responded to each message said, as far as it has come."""

    @property
    def moving(self) -> bool:
        """Whether anything is under way, or about to be."""
        client, server = self.client, self.server
        gone = self.client_gone or self.server_gone or not client.open or not server.hearing
        return bool(gone or self.up or self.down or client.outbox.size or server.outbox.size)

    @property
    def over(self) -> bool:
        """Whether nothing will happen on it any more."""
        return self.server_gone and self.server.over and (self.dead or not self.client.open)

    @property
    def heard(self) -> list[Message]:
        """All the responses that have come."""
        return [response for answer in self.answers for response in answer]
