"""The errors of the shells over NATS: one union per operation."""

from __future__ import annotations

from typing import TypeAlias, TypeVar, final

import attrs

from ipcfold.cause import Cause
from ipcfold.errors import (
    HandlerFailed,
    InUse,
    LogFailed,
    LogForeign,
    MessageTooLarge,
    ProcessClosed,
    ReservedMessage,
    TimedOut,
    UsedAfterFork,
)
from ipcfold.errors.brokers import BrokerRefused, BrokerUnreachable, NobodyListens, NotAuthorized, NotPermitted
from ipcfold.nats.caller import EndedAtBroker

__all__ = ["AskError", "CloseError", "ConnectError", "ListenError", "LookError", "ReceiveError", "SendError", "Unacknowledged"]

C = TypeVar("C")


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


LookError: TypeAlias = BrokerUnreachable | NotAuthorized | NotPermitted | BrokerRefused
"""The errors of `NATS.exists` and `NATS.processes`."""

ConnectError: TypeAlias = LookError | NobodyListens | TimedOut
"""The errors of `NATS.get` and `NATS.wait`."""

SendError: TypeAlias = MessageTooLarge | ReservedMessage | ProcessClosed | UsedAfterFork | InUse | Unacknowledged
"""The errors of `Process.send`."""

ReceiveError: TypeAlias = EndedAtBroker | ProcessClosed | UsedAfterFork | InUse | TimedOut
"""The errors of `Process.wait`."""

AskError: TypeAlias = SendError | ReceiveError
"""The errors of `Process.ask`."""

CloseError: TypeAlias = EndedAtBroker | UsedAfterFork | InUse | TimedOut
"""The errors of `Process.close`; the session is over in each case."""

ListenError: TypeAlias = LookError | LogForeign | LogFailed[C] | HandlerFailed[C]
"""The errors of a server: `ListenError[C]` for a carry of type `C`."""
