"""The errors: one frozen value per cause, and one union per operation.

A value has the facts that a person needs. Its `str()` is one sentence that ends in what to do next.
None of them is an exception: operations return them in the `Failure` of a `Result`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Generic, TypeAlias, TypeVar, final

import attrs

from ipcfold.cause import Cause
from ipcfold.message import Message
from ipcfold.peer import Name, Peer

C = TypeVar("C")
C_co = TypeVar("C_co", covariant=True)


@final
@attrs.frozen(repr=False, eq=False)
class MessageTooLarge(Cause):
    """The content is larger than `limits.message` allows; no message of the batch was sent. Sizes are bytes."""

    size: int
    limit: int

    def __str__(self) -> str:
        return f"a message of {self.size} bytes is over the limit of {self.limit}: split it, or raise limits.message on both ends"


@final
@attrs.frozen(repr=False, eq=False)
class ReservedMessage(Cause):
    """The message has the same bytes as a signal of the protocol; no message of the batch was sent."""

    message: Message

    def __str__(self) -> str:
        return f"a message of {self.message.content!r} as text/plain is a signal of the protocol: use another media type or content"


@final
@attrs.frozen(repr=False, eq=False)
class DirectoryUnusable(Cause):
    """The socket directory is missing, belongs to another user, is open to other users, or cannot be read now."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"the directory {self.path} cannot be used: {self.reason}"


@final
@attrs.frozen(repr=False, eq=False)
class PathTooLong(Cause):
    """The path of the socket has more bytes than the operating system allows (`limit`)."""

    path: Path
    limit: int

    def __str__(self) -> str:
        return f"the path {self.path} is longer than the {self.limit} bytes a socket may have: use a shorter directory or name"


@final
@attrs.frozen(repr=False, eq=False)
class NameTaken(Cause):
    """Another server holds the name; `pid` is its process id, or 0 if the system does not report it."""

    name: Name
    path: Path
    pid: int

    def __str__(self) -> str:
        holder = f"process {self.pid}" if self.pid else "another process"
        return f"the name {str(self.name)!r} is held by {holder} at {self.path}: end that server first, or use another name"


@final
@attrs.frozen(repr=False, eq=False)
class NoServer(Cause):
    """No server listens under the name."""

    name: Name
    path: Path

    def __str__(self) -> str:
        return f"nobody listens under {str(self.name)!r} at {self.path}: start its server, or use wait to wait for it"


@final
@attrs.frozen(repr=False, eq=False)
class PeerUntrusted(Cause):
    """`trust` refused the server's process or user."""

    name: Name
    peer: Peer

    def __str__(self) -> str:
        return (
            f"the server {str(self.name)!r} is process {self.peer.pid} of user {self.peer.uid}, who is not trusted: "
            "run it as the same user, or allow that one with IPC(trust=...)"
        )


@final
@attrs.frozen(repr=False, eq=False)
class ConnectionRefused(Cause):
    """The server ended the connection before the greeting: it is full, is ending, or does not trust this user."""

    name: Name

    def __str__(self) -> str:
        return (
            f"the server {str(self.name)!r} ended the connection before the greeting: "
            "it is at limits.connections, is ending, or does not trust this user; use wait to try again"
        )


@final
@attrs.frozen(repr=False, eq=False)
class TimedOut(Cause):
    """The operation did not finish within `timeout` seconds; `acknowledged` is how many of its messages the server has folded."""

    name: Name
    timeout: float
    awaited: str
    acknowledged: int = 0

    def __str__(self) -> str:
        late = f"{self.awaited} {str(self.name)!r} did not come within {self.timeout:g} s"
        if self.acknowledged:
            return f"{late}, though the message was folded: see whether the handler responds to it"
        return f"{late}: allow more time, or look at what that server does"


@final
@attrs.frozen(repr=False, eq=False)
class ConnectionClosed(Cause):
    """The server closed this connection normally, because its handler closed it or the server is ending."""

    name: Name

    def __str__(self) -> str:
        return f"the server {str(self.name)!r} closed this connection: connect again if there is more to say"


@final
@attrs.frozen(repr=False, eq=False)
class ConnectionLost(Cause):
    """The stream ended without a close; most likely the server process died."""

    name: Name

    def __str__(self) -> str:
        return (
            f"the server {str(self.name)!r} ended the connection without closing it: it was killed, or another implementation "
            "rejected the message; check that the server runs, and connect again"
        )


@final
@attrs.frozen(repr=False, eq=False)
class ConnectionDropped(Cause):
    """The stream ended without a close, but the server's process (`pid`) still holds the name. Most likely this end exceeded a limit.

    This is a hint, not a proof: that process may also have ended the server and listened again. `largest` is the size of
    the largest message sent, in bytes. The server may have folded messages that it did not acknowledge.
    """

    name: Name
    pid: int
    largest: int

    def __str__(self) -> str:
        return (
            f"the server {str(self.name)!r} dropped this connection, and process {self.pid} still has the name: a message (the largest "
            f"sent has {self.largest} bytes) is over limits.message there, or was under way for longer than limits.frame, or this end "
            "did not read for as long; the server logs which"
        )


@final
@attrs.frozen(repr=False, eq=False)
class Interrupted(Cause):
    """An exception, for example from a signal handler, interrupted this connection while it moved bytes."""

    name: Name

    def __str__(self) -> str:
        return (
            f"the connection to {str(self.name)!r} was ended, because an exception interrupted it between two steps that belong "
            "together: connect again, and check which messages were folded"
        )


@final
@attrs.frozen(repr=False, eq=False)
class InUse(Cause):
    """Another thread, or the code that a signal handler interrupted, is using this connection."""

    name: Name

    def __str__(self) -> str:
        return (
            f"the connection to {str(self.name)!r} is in use by another thread or by the code that a signal interrupted: give each its own"
        )


@final
@attrs.frozen(repr=False, eq=False)
class ProtocolBroken(Cause):
    """The server sent bytes that the protocol does not allow."""

    name: Name
    reason: str

    def __str__(self) -> str:
        return f"the server {str(self.name)!r} broke the protocol ({self.reason}): check which program listens there, and limits.message"


@final
@attrs.frozen(repr=False, eq=False)
class UnreadExceeded(Cause):
    """Responses that no `wait` has taken exceeded `limits.unread` (`limit`, in bytes)."""

    name: Name
    limit: int

    def __str__(self) -> str:
        return (
            f"the unread responses of {str(self.name)!r} exceed {self.limit} bytes, so the connection was ended: "
            "wait for responses between sends, or raise limits.unread"
        )


@final
@attrs.frozen(repr=False, eq=False)
class ProcessClosed(Cause):
    """The program has closed this `Process`."""

    name: Name

    def __str__(self) -> str:
        return f"this connection to {str(self.name)!r} was closed here: connect again with get or wait"


@final
@attrs.frozen(repr=False, eq=False)
class UsedAfterFork(Cause):
    """A forked child used a connection or a server that its parent process (`pid`) made."""

    name: Name
    pid: int

    def __str__(self) -> str:
        return f"{str(self.name)!r} belongs to process {self.pid}, which forked this one: connect or listen again in this process"


@final
@attrs.frozen(repr=False, eq=False)
class SystemFailure(Cause):
    """The operating system refused an action; `reason` is its own error text."""

    action: str
    path: Path
    reason: str

    def __str__(self) -> str:
        return f"could not {self.action} {self.path}: {self.reason}; check that path, and this user's permissions and limits"


Ended: TypeAlias = ConnectionClosed | ConnectionLost | ConnectionDropped | ProtocolBroken | UnreadExceeded | Interrupted
"""Why a connection is over that this end did not close."""


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


@final
@attrs.frozen(repr=False, eq=False)
class HandlerFailed(Cause, Generic[C_co]):
    """The handler raised for `message`, or returned an invalid value; `carry` is the carry before that message."""

    carry: C_co
    message: Message
    error: BaseException

    def __str__(self) -> str:
        return (
            f"the handler failed with {self.error!r}{self._place()}; the carry before that message is kept in .carry "
            "and the traceback in .error: fix the handler and start from that carry"
        )

    def _place(self) -> str:
        trace = self.error.__traceback__
        if trace is None:  # the handler raised nothing, but returned an invalid value
            return ""
        while trace.tb_next is not None:
            trace = trace.tb_next
        return f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


ConnectError: TypeAlias = (
    DirectoryUnusable | PathTooLong | NoServer | PeerUntrusted | ConnectionRefused | ProtocolBroken | TimedOut | SystemFailure
)
"""The errors of `IPC.get` and `IPC.wait`."""

SendError: TypeAlias = MessageTooLarge | ReservedMessage | ProcessClosed | UsedAfterFork | InUse | Unacknowledged
"""The errors of `Process.send`."""

ReceiveError: TypeAlias = Ended | ProcessClosed | UsedAfterFork | InUse | TimedOut
"""The errors of `Process.wait`."""

AskError: TypeAlias = SendError | ReceiveError
"""The errors of `Process.ask`."""

CloseError: TypeAlias = Ended | UsedAfterFork | InUse | TimedOut
"""The errors of `Process.close`; the connection is over in each case."""

ListenError: TypeAlias = DirectoryUnusable | PathTooLong | NameTaken | UsedAfterFork | SystemFailure | HandlerFailed[C]
"""The errors of a server: `ListenError[C]` for a carry of type `C`."""
