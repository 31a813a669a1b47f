"""Where brokers are, and how this program identifies itself to them."""

from __future__ import annotations

import re
import ssl
from typing import final

import attrs


@final
@attrs.frozen
class Address:
    """Where brokers are, and how this program identifies itself to them."""

    servers: tuple[str, ...]
    user: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    token: str | None = attrs.field(default=None, repr=False)
    credentials: str | None = None
    nkey: str | None = None
    tls: ssl.SSLContext | None = attrs.field(default=None, repr=False)
    inbox: str = "_INBOX"

    @staticmethod
    def hidden(server: str) -> str:
        """The address, without what is secret in it."""
        return re.sub(r"//[^@/]*@", "//", server)

    @property
    def place(self) -> str:
        """The addresses, without what is secret in them."""
        return ", ".join(map(self.hidden, self.servers))
