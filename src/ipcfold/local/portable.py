"""Waits for many sockets at once, on any system."""

from __future__ import annotations

import selectors
import socket
from typing import Generic, TypeVar, final

from ipcfold.core.transports import READ, WRITE

T = TypeVar("T")


@final
class Portable(Generic[T]):
    """Watches sockets, and returns with each event the value that belongs to the socket."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    @property
    def descriptor(self) -> int:
        """The descriptor of the poller itself."""
        return self._selector.fileno()

    def watch(self, stream: socket.socket, interest: int, thing: T) -> None:
        """Watch for `READ`, `WRITE` or both; raises `OSError` if the system watches no more sockets."""
        self._selector.register(stream, _selectable(interest), thing)

    def change(self, stream: socket.socket, interest: int, thing: T) -> None:
        """Change the events to watch for."""
        self._selector.modify(stream, _selectable(interest), thing)

    def forget(self, stream: socket.socket) -> None:
        """Stop watching the socket; call this before closing it."""
        self._selector.unregister(stream)

    def poll(self, seconds: float) -> list[tuple[T, int]]:
        """The events, as soon as there are any, and after at most that many seconds."""
        return [
            (key.data, (READ if events & selectors.EVENT_READ else 0) | (WRITE if events & selectors.EVENT_WRITE else 0))
            for key, events in self._selector.select(seconds)
        ]

    def close(self) -> None:
        """Close the selector."""
        self._selector.close()


def _selectable(interest: int) -> int:
    return (selectors.EVENT_READ if interest & READ else 0) | (selectors.EVENT_WRITE if interest & WRITE else 0)
