"""Everything that can go wrong, one frozen value a cause, and one union for each door of the library.

A value carries the facts a person needs, and `str()` of it is one sentence that ends in what to do about it.
Nothing here is an exception: these travel in the `Failure` of a `Result`.
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
    """The content is larger (in bytes) than `limits.message` allows; nothing of the batch was sent."""

    size: int
    limit: int

    def __str__(self) -> str:
        return f"a message of {self.size} bytes is over the limit of {self.limit}: split it, or raise limits.message on both ends"


@final
@attrs.frozen(repr=False, eq=False)
class ReservedMessage(Cause):
    """The message is, byte for byte, a signal of the protocol; nothing of the batch was sent."""

    message: Message

    def __str__(self) -> str:
        return f"a message of {self.message.content!r} as text/plain is a signal of the protocol: use another media type or content"


@final
@attrs.frozen(repr=False, eq=False)
class DirectoryUnusable(Cause):
    """The directory of the sockets is missing, is not ours, lets other users in, or cannot be looked through now."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"the directory {self.path} cannot be used: {self.reason}"


@final
@attrs.frozen(repr=False, eq=False)
class PathTooLong(Cause):
    """The socket's path has more bytes than the operating system allows for one."""

    path: Path
    limit: int

    def __str__(self) -> str:
        return f"the path {self.path} is longer than the {self.limit} bytes a socket may have: use a shorter directory or name"


@final
@attrs.frozen(repr=False, eq=False)
class NameTaken(Cause):
    """Another server holds the name; `pid` is its process (0 where the system does not tell)."""

    name: Name
    path: Path
    pid: int

    def __str__(self) -> str:
        holder = f"process {self.pid}" if self.pid else "another process"
        return f"the name {str(self.name)!r} is held by {holder} at {self.path}: end that server first, or use another name"


@final
@attrs.frozen(repr=False, eq=False)
class NoServer(Cause):
    """Nobody listens under the name."""

    name: Name
    path: Path

    def __str__(self) -> str:
        return f"nobody listens under {str(self.name)!r} at {self.path}: start its server, or use wait to wait for it"


@final
@attrs.frozen(repr=False, eq=False)
class PeerUntrusted(Cause):
    """The server runs as a user whom `trust` refuses."""

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
    """The server ended the connection before it greeted: it is full, is ending, or does not trust this user."""

    name: Name

    def __str__(self) -> str:
        return (
            f"the server {str(self.name)!r} ended the connection before the greeting: "
            "it is at limits.connections, is ending, or does not trust this user; use wait to try again"
        )


@final
@attrs.frozen(repr=False, eq=False)
class TimedOut(Cause):
    """The time given (`timeout`, in seconds) passed first; `acknowledged`: how many messages asked are in the carry all the same."""

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
    """The server closed this connection in good order: its handler said so, or it is ending."""

    name: Name

    def __str__(self) -> str:
        return f"the server {str(self.name)!r} closed this connection: connect again if there is more to say"


@final
@attrs.frozen(repr=False, eq=False)
class ConnectionLost(Cause):
    """The stream ended without closing: the server died, as far as can be known."""

    name: Name

    def __str__(self) -> str:
        return (
            f"the server {str(self.name)!r} ended the connection without closing it: it was killed, or is of another make "
            "and did not accept what was sent; see whether it runs, and connect again"
        )


@final
@attrs.frozen(repr=False, eq=False)
class ConnectionDropped(Cause):
    """The connection ended without closing, though the server's process (`pid`) holds the name: this end went past a limit, it seems.

    It is a hint at what to look for, and no proof: that process may also have ended the server and listened again. `largest`
    is the size in bytes of the largest message that was sent to it. Messages that were not acknowledged may be folded.
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
    """An exception, such as the handler of a signal may raise, struck while bytes of this connection were under way."""

    name: Name

    def __str__(self) -> str:
        return (
            f"the connection to {str(self.name)!r} was ended, because an exception interrupted it between two steps that belong "
            "together: connect again, and see what was folded"
        )


@final
@attrs.frozen(repr=False, eq=False)
class InUse(Cause):
    """Another thread, or the code that a signal interrupted, is using this connection at this moment."""

    name: Name

    def __str__(self) -> str:
        return f"the connection to {str(self.name)!r} is being used by another thread or below a signal's handler: give each its own"


@final
@attrs.frozen(repr=False, eq=False)
class ProtocolBroken(Cause):
    """What came from the server is not the protocol."""

    name: Name
    reason: str

    def __str__(self) -> str:
        return f"the server {str(self.name)!r} broke the protocol ({self.reason}): check what really listens there, and limits.message"


@final
@attrs.frozen(repr=False, eq=False)
class UnreadExceeded(Cause):
    """More responses came than `limits.unread` keeps (in bytes) while nobody waited for them."""

    name: Name
    limit: int

    def __str__(self) -> str:
        return (
            f"the responses of {str(self.name)!r} that nobody waited for are over {self.limit} bytes, so the connection was ended: "
            "wait for responses between sends, or raise limits.unread"
        )


@final
@attrs.frozen(repr=False, eq=False)
class ProcessClosed(Cause):
    """This `Process` was closed by its own user."""

    name: Name

    def __str__(self) -> str:
        return f"this connection to {str(self.name)!r} was closed here: connect again with get or wait"


@final
@attrs.frozen(repr=False, eq=False)
class UsedAfterFork(Cause):
    """A connection or a server was used in a child of the process that made it (`pid`)."""

    name: Name
    pid: int

    def __str__(self) -> str:
        return f"{str(self.name)!r} belongs to process {self.pid}, which forked this one: connect or listen again in this process"


@final
@attrs.frozen(repr=False, eq=False)
class SystemFailure(Cause):
    """The operating system refused: what, where, and why in its words."""

    action: str
    path: Path
    reason: str

    def __str__(self) -> str:
        return f"could not {self.action} {self.path}: {self.reason}; see what is there, and what this user may do and open"


Ended: TypeAlias = ConnectionClosed | ConnectionLost | ConnectionDropped | ProtocolBroken | UnreadExceeded | Interrupted
"""Why a connection is over, when it was not closed here."""


@final
@attrs.frozen(repr=False, eq=False)
class Unacknowledged(Cause):
    """The connection ended in the middle of a `send`: the first `acknowledged` of `sent` messages are in the carry.

    With `ConnectionClosed` exactly those are. With any other reason more may be, whose acknowledgements were lost.
    """

    acknowledged: int
    sent: int
    reason: Ended

    def __str__(self) -> str:
        return f"{self.acknowledged} of {self.sent} messages were acknowledged, then {self.reason}"


@final
@attrs.frozen(repr=False, eq=False)
class HandlerFailed(Cause, Generic[C_co]):
    """The handler raised, or returned what it may not, for `message`; `carry` is the last good one."""

    carry: C_co
    message: Message
    error: BaseException

    def __str__(self) -> str:
        return (
            f"the handler failed with {self.error!r}{self._place()}; the carry before that message is kept in .carry "
            "and the traceback in .error: mend the handler and start from there"
        )

    def _place(self) -> str:
        trace = self.error.__traceback__
        if trace is None:  # nothing was raised: the answer was wrong
            return ""
        while trace.tb_next is not None:
            trace = trace.tb_next
        return f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


ConnectError: TypeAlias = (
    DirectoryUnusable | PathTooLong | NoServer | PeerUntrusted | ConnectionRefused | ProtocolBroken | TimedOut | SystemFailure
)
"""What `IPC.get` and `IPC.wait` may fail with."""

SendError: TypeAlias = MessageTooLarge | ReservedMessage | ProcessClosed | UsedAfterFork | InUse | Unacknowledged
"""What `Process.send` may fail with."""

ReceiveError: TypeAlias = Ended | ProcessClosed | UsedAfterFork | InUse | TimedOut
"""What `Process.wait` may fail with."""

AskError: TypeAlias = SendError | ReceiveError
"""What `Process.ask` may fail with."""

CloseError: TypeAlias = Ended | UsedAfterFork | InUse | TimedOut
"""What `Process.close` may fail with; the connection is over all the same."""

ListenError: TypeAlias = DirectoryUnusable | PathTooLong | NameTaken | UsedAfterFork | SystemFailure | HandlerFailed[C]
"""What a server may fail with: `ListenError[C]` for a carry of type `C`."""
