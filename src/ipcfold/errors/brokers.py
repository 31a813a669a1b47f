"""The errors that a shell over NATS adds: they tell of brokers, permissions and streams."""

from __future__ import annotations

from typing import TypeAlias, final

import attrs

from ipcfold.cause import Cause
from ipcfold.errors.every import ConnectionClosed, ConnectionLost, ProtocolBroken, UnreadExceeded
from ipcfold.peer import Name


@final
@attrs.frozen(repr=False, eq=False)
class BrokerUnreachable(Cause):
    """No broker can be reached; `reason` is the text of the system or of the library. `place` has the addresses."""

    place: str
    reason: str

    def __str__(self) -> str:
        return f"no broker can be reached at {self.place} ({self.reason}): start one, or check the addresses and the network"


@final
@attrs.frozen(repr=False, eq=False)
class NotAuthorized(Cause):
    """The broker at `place` refuses these credentials."""

    place: str
    reason: str

    def __str__(self) -> str:
        return f"the broker at {self.place} refuses these credentials ({self.reason}): check the user, the password or the file"


@final
@attrs.frozen(repr=False, eq=False)
class NotPermitted(Cause):
    """The broker does not permit this user an action (`publish` or `subscribe`) on a subject."""

    action: str
    subject: str

    def __str__(self) -> str:
        to = "on" if self.action == "publish" else "to"
        return f"the broker does not permit this user to {self.action} {to} {self.subject}: allow that in its permissions"


@final
@attrs.frozen(repr=False, eq=False)
class BrokerRefused(Cause):
    """The broker refused something that it is permitted to do; `reason` is its own text."""

    action: str
    reason: str

    def __str__(self) -> str:
        return f"the broker refused to {self.action}: {self.reason}; check its limits, its other streams, and whether JetStream is enabled"


@final
@attrs.frozen(repr=False, eq=False)
class NobodyListens(Cause):
    """No server listens under the name at the brokers of `place`."""

    name: Name
    place: str

    def __str__(self) -> str:
        return f"nobody listens under {str(self.name)!r} at {self.place}: start its server, or use wait to wait for it"


@final
@attrs.frozen(repr=False, eq=False)
class HandlerRaised(Cause):
    """The handler of the server failed with `error` for a message of this connection, and the server ended.

    The message is stored. The next server of that name folds it, with a handler that can.
    """

    name: Name
    error: str

    def __str__(self) -> str:
        return (
            f"the handler of {str(self.name)!r} failed with {self.error}, and the server ended: fix the handler and start the server "
            "again, which folds what is stored"
        )


EndedAtBroker: TypeAlias = (
    ConnectionClosed
    | ConnectionLost
    | ProtocolBroken
    | UnreadExceeded
    | BrokerUnreachable
    | NotAuthorized
    | BrokerRefused
    | NotPermitted
    | HandlerRaised
)
"""Why a session is over that this end did not close."""


@final
@attrs.frozen(repr=False, eq=False)
class Unacknowledged(Cause):
    """The session ended during a `send`: the first `acknowledged` of `sent` messages are stored and folded.

    With `ConnectionClosed` exactly those are. With any other reason more of them may be stored; then they are folded, or will be.
    """

    acknowledged: int
    sent: int
    reason: EndedAtBroker

    def __str__(self) -> str:
        return f"{self.acknowledged} of {self.sent} messages were acknowledged, then {self.reason}"
