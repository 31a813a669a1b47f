"""The errors: one frozen value per cause, and one union per operation.

A value has the facts that a person needs. Its `str()` is one sentence that ends in what to do next. None of them is an
exception: operations return them in the `Failure` of a `Result`. The unions here are those of the shells over unix sockets:
what `every` shell returns, and what the `local` ones add.
"""

from __future__ import annotations

from typing import TypeAlias, TypeVar, final

import attrs

from ipcfold.cause import Cause
from ipcfold.errors.every import (
    ConnectionClosed,
    ConnectionLost,
    ConnectionRefused,
    HandlerFailed,
    Interrupted,
    InUse,
    MessageTooLarge,
    ProcessClosed,
    ProtocolBroken,
    ReservedMessage,
    TimedOut,
    UnreadExceeded,
)
from ipcfold.errors.local import (
    ConnectionDropped,
    DirectoryUnusable,
    NameTaken,
    NoServer,
    PathTooLong,
    PeerUntrusted,
    SystemFailure,
    UsedAfterFork,
)
from ipcfold.errors.logs import (
    LogCorrupt,
    LogError,
    LogFailed,
    LogForeign,
    LogFull,
    LogReadOnly,
    LogTaken,
    LogUnusable,
    ReplayDiverged,
    ReplayInterrupted,
)

__all__ = [
    "AskError",
    "CloseError",
    "ConnectError",
    "ConnectionClosed",
    "ConnectionDropped",
    "ConnectionLost",
    "ConnectionRefused",
    "DirectoryUnusable",
    "Ended",
    "EndedAnywhere",
    "GreetError",
    "HandlerFailed",
    "InUse",
    "Interrupted",
    "ListenError",
    "LogCorrupt",
    "LogEnded",
    "LogError",
    "LogFailed",
    "LogForeign",
    "LogFull",
    "LogReadOnly",
    "LogTaken",
    "LogUnusable",
    "MessageTooLarge",
    "NameTaken",
    "NoServer",
    "PathTooLong",
    "PeerUntrusted",
    "ProcessClosed",
    "ProtocolBroken",
    "ReceiveError",
    "ReplayDiverged",
    "ReplayInterrupted",
    "ReservedMessage",
    "SendError",
    "SystemFailure",
    "TimedOut",
    "Unacknowledged",
    "UnreadExceeded",
    "UsedAfterFork",
]

C = TypeVar("C")

EndedAnywhere: TypeAlias = ConnectionClosed | ConnectionLost | ProtocolBroken | UnreadExceeded | Interrupted
"""Why a connection of any shell is over that this end did not close."""

Ended: TypeAlias = EndedAnywhere | ConnectionDropped
"""The same over unix sockets."""


@final
@attrs.frozen(repr=False, eq=False)
class Unacknowledged(Cause):
    """The connection ended during a `send`: the server has folded the first `acknowledged` of `sent` messages.

    With `ConnectionClosed` it folded exactly those. With any other reason it may have folded more, whose acknowledgements were lost.
    """

    acknowledged: int
    sent: int
    reason: Ended

    def __str__(self) -> str:
        return f"{self.acknowledged} of {self.sent} messages were acknowledged, then {self.reason}"


GreetError: TypeAlias = ConnectionRefused | ProtocolBroken | TimedOut
"""Why no shell gets the greeting of a server."""

ConnectError: TypeAlias = GreetError | DirectoryUnusable | PathTooLong | NoServer | PeerUntrusted | SystemFailure
"""The errors of `IPC.get` and `IPC.wait`."""

SendError: TypeAlias = MessageTooLarge | ReservedMessage | ProcessClosed | UsedAfterFork | InUse | Unacknowledged
"""The errors of `Process.send`."""

ReceiveError: TypeAlias = Ended | ProcessClosed | UsedAfterFork | InUse | TimedOut
"""The errors of `Process.wait`."""

AskError: TypeAlias = SendError | ReceiveError
"""The errors of `Process.ask`."""

CloseError: TypeAlias = Ended | UsedAfterFork | InUse | TimedOut
"""The errors of `Process.close`; the connection is over in each case."""

LogEnded: TypeAlias = LogFailed[C] | ReplayDiverged[C] | ReplayInterrupted
"""The errors of a server with a log, in addition to those of every server."""

ListenError: TypeAlias = DirectoryUnusable | PathTooLong | NameTaken | UsedAfterFork | SystemFailure | HandlerFailed[C] | LogEnded[C]
"""The errors of a server: `ListenError[C]` for a carry of type `C`."""
