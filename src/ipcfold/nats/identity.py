"""Whether addresses and files of credentials can be used at all, before anything is sent.

nats-py reads a file of credentials in the event loop until it finds a token, and would never end with a file that has none.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from ipcfold.errors.brokers import BrokerUnreachable, NotAuthorized
from ipcfold.nats.address import Address

MALFORMED: Final = "is no address of a broker, such as nats://127.0.0.1:4222"
"""The end of the reason of a `BrokerUnreachable` that no attempt can change."""

_SEED: Final = rb"SU[A-Z2-7]{56}"  # of a user
_NKEY: Final = re.compile(rb"\s*" + _SEED + rb"\s*")
_CREDENTIALS: Final = re.compile(rb"-BEGIN NATS USER JWT-+\r?\n\S+\r?\n.*-BEGIN USER NKEY SEED-+\r?\n" + _SEED + rb"\s", re.DOTALL)


def unfit(address: Address) -> BrokerUnreachable | NotAuthorized | None:
    """What keeps a program from connecting with this address, if anything does."""
    for server in address.servers:
        if not _fits(server):
            return BrokerUnreachable(address.place, f"{address.hidden(server)} {MALFORMED}")
    for path, form, kind in ((address.credentials, _CREDENTIALS, "credentials of a user"), (address.nkey, _NKEY, "seed of an nkey")):
        reason = None if path is None else _misread(path, form, kind)
        if reason is not None:
            return NotAuthorized(address.place, reason)
    return None


def _fits(server: str) -> bool:
    """Whether this is an address of a broker, with a scheme or without.

    >>> [_fits(each) for each in ("nats://a", "tls://u:p@a:4222", "a:1", "ws://[::1]:80", "http://a", "nats://a:b", "a:99999", "nats://")]
    [True, True, True, True, False, False, False, False]
    """
    try:
        parts = urlsplit(server if "://" in server else f"nats://{server}")
        return parts.scheme in {"nats", "tls", "ws", "wss"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _misread(path: str, form: re.Pattern[bytes], kind: str) -> str | None:
    """Why the file cannot be used, if it cannot."""
    try:
        with open(path, "rb") as file:
            content = file.read(2**20)
    except OSError as error:
        return str(error)
    found = form.fullmatch(content) if form is _NKEY else form.search(content)
    return f"{path} has no {kind}" if found is None else None
