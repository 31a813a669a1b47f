"""One client of a network, the server's end of its connection, and the bytes between them."""

from __future__ import annotations

from typing import final

import attrs

from ipcfold.core.client_connection import ClientConnection
from ipcfold.core.server_connection import ServerConnection
from ipcfold.message import Message


@final
@attrs.define(eq=False)
class Link:
    """A client, the server's end of its connection, and the bytes between them. It is the `Transport` of the server's end."""

    client: ClientConnection
    server: ServerConnection
    up: bytearray = attrs.field(factory=bytearray)
    """Bytes for the server that it has not read."""
    down: bytearray = attrs.field(factory=bytearray)
    """Bytes for the client that it has not read."""
    space: int = 0
    """How many bytes from the server it takes now."""
    interest: int = 0
    client_gone: bool = False
    server_gone: bool = False
    dead: bool = False
    """Whether the client was killed; it does nothing after that."""
    cut: bool = False
    """Whether the connection was cut, without a close from either end."""
    held: bool = False
    """Whether `settle` skips this link."""
    said: list[Message] = attrs.field(factory=list)
    answers: list[list[Message]] = attrs.field(factory=list)
    """The responses to each sent message that have arrived."""
    told: list[Message] = attrs.field(factory=list)
    """The messages that it was told."""

    def send(self, data: bytes | memoryview) -> int:
        """See `Transport`."""
        count = min(self.space, len(data))
        if self.client_gone and count:
            self.server.unheard()
            return 0
        self.down += data[:count]
        self.space -= count
        return count

    def watch(self, interest: int) -> None:
        """See `Transport`."""
        self.interest = interest

    def close(self) -> None:
        """See `Transport`."""
        self.interest = 0
        self.server_gone = True

    @property
    def moving(self) -> bool:
        """Whether bytes are in transit, or an end has something to do."""
        client, server = self.client, self.server
        gone = self.client_gone or self.server_gone or not client.open or not server.hearing
        return bool(gone or self.up or self.down or client.outbox.size or server.outbox.size)

    @property
    def over(self) -> bool:
        """Whether nothing can happen on this link any more."""
        return self.server_gone and self.server.over and (self.dead or not self.client.open)

    @property
    def heard(self) -> list[Message]:
        """All responses that have arrived, by the messages that they answer."""
        return [response for answer in self.answers for response in answer]
