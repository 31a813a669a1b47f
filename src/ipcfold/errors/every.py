"""The errors that every shell returns, whatever it talks over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar, final

import attrs

from ipcfold.cause import Cause, shown
from ipcfold.message import Message
from ipcfold.peer import Name

if TYPE_CHECKING:
    from ipcfold.inputs import Left, Woken  # clients use none

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
    """The message has the same bytes as a signal of the protocol, or the parameter `ipcfold`; no message of the batch was sent."""

    message: Message

    def __str__(self) -> str:
        if any(name == "ipcfold" for name, _ in self.message.media_type.parameters):
            return "the protocol uses the parameter ipcfold of a media type: use another parameter"
        return f"a message of {self.message.content!r} as text/plain is a signal of the protocol: use another media type or content"


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
class HandlerFailed(Cause, Generic[C_co]):
    """The handler raised for `message`, or returned an invalid value; `carry` is the carry before that message.

    If `left` or `woken` failed, `message` is the departure or the alarm.
    """

    carry: C_co
    message: Message | Left | Woken
    error: BaseException

    def __str__(self) -> str:
        return (
            f"the handler failed with {shown(self.error)}{self._place()}; the carry before that message is kept in .carry "
            "and the traceback in .error: fix the handler and start from that carry"
        )

    def _place(self) -> str:
        trace = self.error.__traceback__
        if trace is None:  # the handler raised nothing, but returned an invalid value
            return ""
        while trace.tb_next is not None:
            trace = trace.tb_next
        return f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
