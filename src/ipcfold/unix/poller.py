"""Waiting for many sockets at once.

On Linux that is `epoll`, used directly: a wait then costs the same however many sockets are watched, which it does not
by way of `selectors` (that makes room for an event of each).
"""

from __future__ import annotations

import select
import selectors
import socket
import sys
from typing import Final, Generic, TypeVar, final

T = TypeVar("T")

# As `poll` numbers them. Whatever else a system says of a socket (an error, the end) counts as both: trying tells.
READ: Final = 1
WRITE: Final = 4


@final
class Portable(Generic[T]):
    """Watches sockets, and hands out with each event the thing that the socket was watched for."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self.close = self._selector.close

    def watch(self, stream: socket.socket, interest: int, thing: T) -> None:
        """Watch for `READ`, `WRITE` or both; raises `OSError` if the system watches no more sockets."""
        self._selector.register(stream, _selectable(interest), thing)

    def change(self, stream: socket.socket, interest: int, thing: T) -> None:
        """Watch for that from now on."""
        self._selector.modify(stream, _selectable(interest), thing)

    def forget(self, stream: socket.socket) -> None:
        """Watch it no more; it must not be closed before."""
        self._selector.unregister(stream)

    def poll(self, seconds: float) -> list[tuple[T, int]]:
        """What happened, at the latest after so many seconds."""
        return [
            (key.data, (READ if events & selectors.EVENT_READ else 0) | (WRITE if events & selectors.EVENT_WRITE else 0))
            for key, events in self._selector.select(seconds)
        ]


def _selectable(interest: int) -> int:
    return (selectors.EVENT_READ if interest & READ else 0) | (selectors.EVENT_WRITE if interest & WRITE else 0)


if sys.platform == "linux":
    _AT_ONCE: Final = 256  # events; more are left for the next wait

    @final
    class Poller(Generic[T]):
        """The same with `epoll`."""

        def __init__(self) -> None:
            self._epoll = select.epoll()
            self._things: dict[int, T] = {}
            self.close = self._epoll.close

        def watch(self, stream: socket.socket, interest: int, thing: T) -> None:
            self._epoll.register(stream, interest)
            self._things[stream.fileno()] = thing

        def change(self, stream: socket.socket, interest: int, thing: T) -> None:
            self._epoll.modify(stream, interest)
            self._things[stream.fileno()] = thing

        def forget(self, stream: socket.socket) -> None:
            self._epoll.unregister(stream)
            del self._things[stream.fileno()]

        def poll(self, seconds: float) -> list[tuple[T, int]]:
            things = self._things
            return [(things[descriptor], events) for descriptor, events in self._epoll.poll(seconds, _AT_ONCE)]

else:
    Poller = Portable
