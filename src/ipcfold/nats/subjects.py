"""Where the entries and the messages of a name go: the subjects and the stream of a server.

| subject | what | in the stream |
|---|---|---|
| `ipcfold.NAME.in.SESSION` | the entries of one client | yes |
| `ipcfold.NAME.lead` | the entries of servers | yes |
| `ipcfold.NAME.snap`, `ipcfold.NAME.part.AT.INDEX` | snapshots | yes |
| `ipcfold.NAME.find` | asks whether a server is there | no |
| `ipcfold.NAME.beat.SERVER` | asks whether that leader is there | no |
| `ipcfold.NAME.standby` | asks whether a server is there that does not lead | no |

A client gets everything at an inbox of its own.
"""

from __future__ import annotations

import re
from typing import Final, final

import attrs

from ipcfold.peer import Name

ROOT: Final = "ipcfold"

_SESSION: Final = re.compile("[A-Za-z0-9_-]{1,64}")
_INBOX: Final = re.compile(r"_INBOX[A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)+")


def is_session(text: str) -> bool:
    """Whether this can be the identifier of a session."""
    return _SESSION.fullmatch(text) is not None


def is_inbox(text: str) -> bool:
    """Whether a server may send answers there. Otherwise a client could direct them to any subject that the server may use.

    >>> is_inbox("_INBOX_ann.x1"), is_inbox("ipcfold.server.lead"), is_inbox("_INBOX.>")
    (True, False, False)
    """
    return len(text) <= 512 and _INBOX.fullmatch(text) is not None


@final
@attrs.frozen
class Subjects:
    """The subjects of a name.

    >>> subjects = Subjects(Name("orders"))
    >>> subjects.stream, subjects.of_session("x1"), subjects.session(subjects.of_session("x1"))
    ('ipcfold_orders', 'ipcfold.orders.in.x1', 'x1')
    """

    name: Name

    @property
    def stream(self) -> str:
        """The name of the stream."""
        return f"{ROOT}_{self.name}"

    @property
    def calls(self) -> tuple[str, ...]:
        """Those by which a server asks the broker for something."""
        calls = ("STREAM.INFO", "STREAM.CREATE", "CONSUMER.CREATE", "STREAM.MSG.GET", "STREAM.PURGE")
        return tuple(f"$JS.API.{call}.{self.stream}" for call in calls)

    @property
    def inbound(self) -> str:
        """Those of all clients."""
        return f"{ROOT}.{self.name}.in.*"

    def of_session(self, session: str) -> str:
        """That of one client."""
        return f"{ROOT}.{self.name}.in.{session}"

    def session(self, subject: str) -> str | None:
        """The session of this subject; `None` if it is not that of a client."""
        beginning = f"{ROOT}.{self.name}.in."
        session = subject.removeprefix(beginning)
        return session if session != subject and is_session(session) else None

    @property
    def lead(self) -> str:
        """That of the entries of servers."""
        return f"{ROOT}.{self.name}.lead"

    @property
    def snap(self) -> str:
        """That of the marks of snapshots."""
        return f"{ROOT}.{self.name}.snap"

    def part(self, at: int | str, index: int | str) -> str:
        """That of a part of a snapshot."""
        return f"{ROOT}.{self.name}.part.{at}.{index}"

    @property
    def find(self) -> str:
        """Every server answers there."""
        return f"{ROOT}.{self.name}.find"

    @property
    def standby(self) -> str:
        """Servers that do not lead answer there."""
        return f"{ROOT}.{self.name}.standby"

    def beat(self, server: str) -> str:
        """The server of that identifier answers there while it leads."""
        return f"{ROOT}.{self.name}.beat.{server}"

    @property
    def stored(self) -> tuple[str, ...]:
        """The subjects of the stream."""
        return (self.inbound, self.lead, self.snap, self.part("*", "*"))


def name_of(stream: str) -> Name | None:
    """The name whose stream this is.

    >>> name_of("ipcfold_orders"), name_of("ORDERS")
    (Name(value='orders'), None)
    """
    return Name.maybe(stream.removeprefix(f"{ROOT}_")).value_or(None) if stream.startswith(f"{ROOT}_") else None
