"""What a steady client of any shell knows: the identities that it gives, its connection, and when it gives up."""

from __future__ import annotations

from typing import Final, Generic, TypeAlias, TypeVar
from uuid import uuid4

from ipcfold.errors import AskError, ConnectError, ConnectionClosed, ConnectionDropped, ConnectionLost, Unacknowledged
from ipcfold.message import Message
from ipcfold.peer import Name

P = TypeVar("P")

_DROPPED: Final = 3  # times in a row that a server drops the connection without an acknowledgement: it does not take that message

SteadyError: TypeAlias = ConnectError | AskError
"""The errors of a `Steady`."""


class Steadiness(Generic[P]):
    """The base class of the steady clients. `P`: their connections."""

    def __init__(self, name: Name, timeout: float | None) -> None:
        """`IPC.steady` makes these. `timeout`: how many seconds each verb waits for a server, `None` for ever."""
        self._name = name
        self._timeout = timeout
        self._process: P | None = None
        self._identity = uuid4().hex
        self._count = 0
        self._dropped = 0

    @property
    def name(self) -> Name:
        """The name of the server."""
        return self._name

    def _identified(self, message: Message) -> Message:
        if message.identity.value_or(None) is not None:
            return message
        self._count += 1
        return message.identified(f"{self._identity}-{self._count}")

    def _patience(self, left: float | None) -> float | None:
        """How many seconds to wait for a server, if so many are left of the verb's own timeout."""
        if left is None or self._timeout is None:
            return self._timeout if left is None else left
        return min(left, self._timeout)

    def _again(self, process: P, error: AskError, acknowledged: int) -> bool:
        """Whether to try with another connection, after this failure of that one. Of many verbs on one connection, the first one counts."""
        if acknowledged:
            self._dropped = 0
        reason = error.reason if isinstance(error, Unacknowledged) else error
        if isinstance(reason, ConnectionDropped) and process is self._process:
            self._dropped += 1
        return isinstance(reason, ConnectionClosed | ConnectionLost | ConnectionDropped) and self._dropped < _DROPPED


def left(until: float | None, now: float) -> float | None:
    """The seconds until then."""
    return None if until is None else max(0.0, until - now)
