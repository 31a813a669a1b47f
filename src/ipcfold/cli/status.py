"""The exit statuses: one per kind of error, and the sentence that a command prints for an error."""

from __future__ import annotations

import traceback
from enum import IntEnum
from typing import Self, TypeAlias, final

import attrs

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
    MessageTooLarge,
    NameTaken,
    NoServer,
    PathTooLong,
    PeerUntrusted,
    ProcessClosed,
    ProtocolBroken,
    ReservedMessage,
    SystemFailure,
    TimedOut,
    Unacknowledged,
    UnreadExceeded,
    UsedAfterFork,
)
from ipcfold.message import InvalidMediaType
from ipcfold.peer import InvalidName


@final
@attrs.frozen
class Misused:
    """The arguments of the command are wrong."""

    reason: str

    def __str__(self) -> str:
        return self.reason


Complaint: TypeAlias = Misused | InvalidName | InvalidMediaType | ConnectError | AskError | CloseError | ListenError[object]
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
    INCOMPLETE = 3, "the extra is not installed: pip install 'ipcfold[cli]'"
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
        case NoServer():
            return Status.NO_SERVER
        case TimedOut():
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
        case Unacknowledged():
            return Status.UNACKNOWLEDGED
        case ConnectionLost() | ConnectionDropped() | Interrupted():
            return Status.LOST
        case ProtocolBroken():
            return Status.BROKEN
        case MessageTooLarge() | UnreadExceeded():
            return Status.TOO_LARGE
        case HandlerFailed():
            return Status.HANDLER_FAILED
        case SystemFailure():
            return Status.SYSTEM
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
            return f"the server {str(error.name)!r} is process {peer.pid} of user {peer.uid}: only this user and root are trusted here"
        case DirectoryUnusable():
            return str(error).replace(", or set IPC(trust=...)", "")  # that advice is for programs
        case HandlerFailed(error=raised):
            trace = traceback.extract_tb(raised.__traceback__)
            place = f" at {trace[-1].filename}:{trace[-1].lineno}" if trace else ""
            return f"the handler failed with {raised!r}{place}: fix it, and start again with --carry and the printed value"
        case _:
            return str(error)
