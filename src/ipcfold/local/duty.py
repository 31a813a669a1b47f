"""What a server does from time to time beside serving."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ipcfold.events import Reported


class Duty(Protocol):
    """Something that the thread of a server does between messages. A handler that is stuck therefore holds it up."""

    deadline: float
    """When `tick` is to be called."""

    def tick(self, now: float) -> bool:
        """Do it, and choose the next deadline. Returns whether the server has to end in good order."""
        ...

    def see(self, event: Reported) -> None:
        """Take note of an event of the server."""
        ...

    def close(self) -> None:
        """Close this process's descriptors of it."""
        ...
