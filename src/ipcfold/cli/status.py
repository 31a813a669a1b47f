"""The exit statuses: one per kind of error, and the sentence that a command prints for an error."""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path
from typing import Final, Self, TypeAlias, final

import attrs

from ipcfold.cli.printable import shown
from ipcfold.errors import (
    AskError,
    CloseError,
    ConnectError,
    ConnectionClosed,
    ConnectionDropped,
    ConnectionLost,
    ConnectionRefused,
    DirectoryUnusable,
    HandlerFailed,
    Interrupted,
    InUse,
    ListenError,
    LogCorrupt,
    LogError,
    LogFailed,
    LogForeign,
    LogFull,
    LogReadOnly,
    LogTaken,
    LogUnusable,
    MessageTooLarge,
    NameTaken,
    NoServer,
    PathTooLong,
    PeerUntrusted,
    ProcessClosed,
    ProtocolBroken,
    ReplayDiverged,
    ReplayInterrupted,
    ReservedMessage,
    SystemFailure,
    TimedOut,
    Unacknowledged,
    UnreadExceeded,
    UsedAfterFork,
)
from ipcfold.errors.brokers import BrokerRefused, BrokerUnreachable, HandlerRaised, NobodyListens, NotAuthorized, NotPermitted
from ipcfold.errors.brokers import Unacknowledged as UnacknowledgedAtBroker
from ipcfold.message import InvalidMediaType, Message
from ipcfold.peer import InvalidName, Name

LONGEST: Final = 500
"""Characters of a value that an error shows."""


@final
@attrs.frozen
class Misused:
    """The arguments of the command are wrong."""

    reason: str

    def __str__(self) -> str:
        return self.reason


@final
@attrs.frozen
class Absent:
    """Nobody listened under the name within the time to wait, in seconds."""

    name: Name
    path: Path
    timeout: float

    def __str__(self) -> str:
        return (
            f"the server {str(self.name)!r} did not come within {self.timeout:g} s: nobody listens at {self.path}; "
            "start its server, allow more time, or name its directory with --directory"
        )


@final
@attrs.frozen
class Undecoded:
    """A server of `ipcfold.codec` responded that it cannot decode the message."""

    response: Message

    def __str__(self) -> str:
        return "the server did not take the message, as its response says: send what its codec reads, and say its media type with --type"


Complaint: TypeAlias = (
    Misused
    | BrokerUnreachable
    | NotAuthorized
    | NotPermitted
    | BrokerRefused
    | NobodyListens
    | HandlerRaised
    | UnacknowledgedAtBroker
    | Absent
    | Undecoded
    | InvalidName
    | InvalidMediaType
    | ConnectError
    | AskError
    | CloseError
    | ListenError[object]
    | LogError
)
"""The errors of the commands."""


class Status(IntEnum):
    """The exit statuses, with their meanings."""

    meaning: str

    def __new__(cls, number: int, meaning: str) -> Self:
        """Make a status from its number and its meaning."""
        status = int.__new__(cls, number)
        status._value_ = number
        status.meaning = meaning
        return status

    DONE = 0, "done"
    FAULTY = 1, "a fault of ipcfold itself"
    MISUSED = 2, "wrong arguments: an option, a name, a media type, a literal, a handler"
    INCOMPLETE = 3, "the extra is not installed: pip install 'ipcfold[cli]', or 'ipcfold[nats]' for --nats"
    NO_SERVER = 4, "nobody listens under that name"
    TIMED_OUT = 5, "the time given passed first"
    NAME_TAKEN = 6, "another server holds the name"
    DIRECTORY = 7, "the directory of the sockets cannot be used"
    UNTRUSTED = 8, "the server runs as another user"
    REFUSED = 9, "the server is full, is ending, or does not trust this user"
    CLOSED = 10, "the server closed without a response; the message was folded"
    UNACKNOWLEDGED = 11, "the connection ended before the message was acknowledged"
    LOST = 12, "the connection was lost or dropped; the message, if there was one, was folded"
    BROKEN = 13, "what listens there does not speak the protocol"
    TOO_LARGE = 14, "more bytes than a limit allows"
    HANDLER_FAILED = 15, "the handler failed; the last good carry was printed"
    SYSTEM = 16, "the operating system refused: a file, a socket, the output"
    UNDECODED = 17, "the server responded that it cannot decode the message; the response was printed"
    LOG = 18, "the log cannot be used, or the handler answers what is in it differently"
    BROKER = 19, "no broker can be reached, or it refuses"
    INTERRUPTED = 130, "Ctrl-C; a message that was under way may be folded"
    UNHEARD = 141, "whoever read the output has gone"
    TERMINATED = 143, "SIGTERM"


def status_of(error: Complaint) -> Status:
    """The exit status for an error.

    >>> status_of(Misused("missing command")).name
    'MISUSED'
    """
    match error:
        case Misused() | InvalidName() | InvalidMediaType() | ReservedMessage():
            return Status.MISUSED
        case NoServer() | NobodyListens():
            return Status.NO_SERVER
        case BrokerUnreachable() | NotAuthorized() | NotPermitted() | BrokerRefused():
            return Status.BROKER
        case TimedOut() | Absent():
            return Status.TIMED_OUT
        case NameTaken():
            return Status.NAME_TAKEN
        case DirectoryUnusable() | PathTooLong():
            return Status.DIRECTORY
        case PeerUntrusted():
            return Status.UNTRUSTED
        case ConnectionRefused():
            return Status.REFUSED
        case ConnectionClosed():
            return Status.CLOSED
        case Unacknowledged() | UnacknowledgedAtBroker():
            return Status.UNACKNOWLEDGED
        case ConnectionLost() | ConnectionDropped() | Interrupted():
            return Status.LOST
        case ProtocolBroken():
            return Status.BROKEN
        case MessageTooLarge() | UnreadExceeded():
            return Status.TOO_LARGE
        case HandlerFailed() | HandlerRaised():
            return Status.HANDLER_FAILED
        case LogFailed() | ReplayDiverged() | ReplayInterrupted():
            return Status.LOG
        case LogTaken() | LogFull() | LogReadOnly() | LogCorrupt() | LogForeign() | LogUnusable():
            return Status.LOG
        case SystemFailure():
            return Status.SYSTEM
        case Undecoded():
            return Status.UNDECODED
        case ProcessClosed() | UsedAfterFork() | InUse():
            return Status.FAULTY


def sentence(error: Complaint) -> str:
    """The sentence for an error: its text, with options of the command in place of the names of the library.

    >>> sentence(Misused("missing command"))
    'missing command'
    """
    match error:
        case NoServer():
            return f"nobody listens under {str(error.name)!r} at {error.path}: start its server, or see `ipcfold list`"
        case ConnectionRefused():
            return f"{str(error).rpartition(';')[0]}; use --wait to try again"
        case PeerUntrusted(peer=peer):
            server = f"the server {str(error.name)!r} is process {peer.pid} of user {peer.uid}"
            return f"{server}, whom the command does not trust: add --trust {peer.uid} if you do"
        case DirectoryUnusable():
            return str(error).replace(", or set IPC(trust=...)", ", or say with --trust whom you trust in it")
        case HandlerFailed(error=raised):
            failed = f"the handler failed with {shown(raised, LONGEST)}{place(raised)}"
            return f"{failed}: fix it, and start again with --carry and the printed value"
        case _:
            return str(error)


def place(error: BaseException) -> str:
    """Where the error was raised; empty if it was not raised."""
    trace = error.__traceback__
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
