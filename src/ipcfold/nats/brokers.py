"""What the shells over NATS are configured with."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable
from typing import TYPE_CHECKING

import attrs

from ipcfold.limits import Limits
from ipcfold.nats.address import Address

if TYPE_CHECKING:
    from ipcfold.events import Observer  # few observe


def _servers(servers: str | Iterable[str]) -> tuple[str, ...]:
    found = tuple(part.strip() for part in servers.split(",")) if isinstance(servers, str) else tuple(servers)
    if not found or not all(found):
        raise ValueError("at least one address of a broker is wanted, for example nats://127.0.0.1:4222")
    return found


def _path(path: str | os.PathLike[str] | None) -> str | None:
    return None if path is None else os.fspath(path)


_positive = attrs.validators.gt(0.0)


@attrs.frozen
class Brokers:
    """The brokers, and how to talk to them. Creating this does no I/O.

    - `servers`: the addresses of the brokers, as one text with commas, or several.
    - `user` and `password`, `token`, `credentials` (the path of a file), `nkey` (the path of a seed): who this program is.
    - `tls`: a context of `ssl`; addresses that begin with `tls://` need none.
    - `inbox`: the first token of the inboxes of this program. It begins with `_INBOX`. With a prefix of its own for each user, the
      permissions of the broker keep users from reading each other's answers.
    - `replicas`: how many brokers keep the stream, when a server makes it.
    - `patience`: so many seconds a client goes on without a broker or a server before its verbs fail,
      and a server that the broker refuses to let read goes on before it ends.
    - `absent`: a client whose connection to the broker is gone for so many seconds has left. `silent`: so has one that is connected, and
      answers nothing for so long.
    - `limits`: `message`, `unsent`, `unread`, `handshake` and `drain` count.
    - `observe` gets the events of a server while it leads.
    """

    servers: tuple[str, ...] = attrs.field(converter=_servers)
    user: str | None = attrs.field(default=None, kw_only=True)
    password: str | None = attrs.field(default=None, kw_only=True, repr=False)
    token: str | None = attrs.field(default=None, kw_only=True, repr=False)
    credentials: str | None = attrs.field(default=None, kw_only=True, converter=_path)
    nkey: str | None = attrs.field(default=None, kw_only=True, converter=_path)
    tls: ssl.SSLContext | None = attrs.field(default=None, kw_only=True, repr=False)
    inbox: str = attrs.field(default="_INBOX", kw_only=True, validator=attrs.validators.matches_re("_INBOX[A-Za-z0-9_-]*"))
    replicas: int = attrs.field(default=1, kw_only=True, validator=attrs.validators.in_(range(1, 6)))
    patience: float = attrs.field(default=10.0, kw_only=True, validator=_positive)
    absent: float = attrs.field(default=5.0, kw_only=True, validator=_positive)
    silent: float = attrs.field(default=60.0, kw_only=True, validator=_positive)
    limits: Limits = attrs.field(factory=Limits, kw_only=True, validator=attrs.validators.instance_of(Limits))
    observe: Observer | None = attrs.field(default=None, kw_only=True, validator=attrs.validators.optional(attrs.validators.is_callable()))

    @property
    def address(self) -> Address:
        """What a connection needs."""
        return Address(self.servers, self.user, self.password, self.token, self.credentials, self.nkey, self.tls, self.inbox)
