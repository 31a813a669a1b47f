"""The errors of the shells over NATS: one union per operation. In an event loop, the verbs of a `Process` add `InUse`."""

from __future__ import annotations

from typing import TypeAlias, TypeVar

from ipcfold.errors import (
    HandlerFailed,
    LogFailed,
    LogForeign,
    MessageTooLarge,
    ProcessClosed,
    ReservedMessage,
    TimedOut,
    UsedAfterFork,
)
from ipcfold.errors.brokers import (
    BrokerRefused,
    BrokerUnreachable,
    EndedAtBroker,
    NobodyListens,
    NotAuthorized,
    NotPermitted,
    Unacknowledged,
)

__all__ = ["AskError", "CloseError", "ConnectError", "ListenError", "LookError", "ReceiveError", "SendError", "Unacknowledged"]

C = TypeVar("C")


LookError: TypeAlias = BrokerUnreachable | NotAuthorized | NotPermitted | BrokerRefused
"""The errors of `NATS.exists` and `NATS.processes`."""

ConnectError: TypeAlias = LookError | NobodyListens | TimedOut
"""The errors of `NATS.get` and `NATS.wait`."""

SendError: TypeAlias = MessageTooLarge | ReservedMessage | ProcessClosed | UsedAfterFork | Unacknowledged
"""The errors of `Process.send`."""

ReceiveError: TypeAlias = EndedAtBroker | ProcessClosed | UsedAfterFork | TimedOut
"""The errors of `Process.wait`."""

AskError: TypeAlias = SendError | ReceiveError
"""The errors of `Process.ask`."""

CloseError: TypeAlias = EndedAtBroker | UsedAfterFork | TimedOut
"""The errors of `Process.close`; the session is over in each case."""

ListenError: TypeAlias = LookError | LogForeign | LogFailed[C] | HandlerFailed[C]
"""The errors of a server: `ListenError[C]` for a carry of type `C`."""
