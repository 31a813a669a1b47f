"""Waits for many sockets at once, on Linux.

`selectors` allocates room for one event of each socket, so that a wait costs more the more sockets are watched.
"""

from __future__ import annotations

import sys

assert sys.platform == "linux"  # noqa: S101 - so that type checkers skip the rest on other systems

from select import epoll  # noqa: E402 - as above
from socket import socket  # noqa: E402 - as above
from typing import Generic, TypeVar, final  # noqa: E402 - as above

from ipcfold.local.stream import AT_ONCE  # noqa: E402 - as above

T = TypeVar("T")


@final
class Epoll(Generic[T]):
    """See `Portable`."""

    def __init__(self) -> None:
        self._epoll = epoll()
        self.things: dict[int, T] = {}
        """The values by descriptor."""

    @property
    def descriptor(self) -> int:
        """See `Portable`."""
        return self._epoll.fileno()

    def watch(self, stream: socket, interest: int, thing: T) -> None:
        """See `Portable`."""
        self._epoll.register(stream, interest)
        self.things[stream.fileno()] = thing

    def change(self, stream: socket, interest: int, thing: T) -> None:
        """See `Portable`."""
        self._epoll.modify(stream, interest)
        self.things[stream.fileno()] = thing

    def forget(self, stream: socket) -> None:
        """See `Portable`."""
        self._epoll.unregister(stream)
        del self.things[stream.fileno()]

    def poll(self, seconds: float) -> list[tuple[T, int]]:
        """See `Portable`."""
        happened, things = self._epoll.poll(seconds, AT_ONCE), self.things
        if len(happened) != 1:
            return [(things[descriptor], events) for descriptor, events in happened]
        ((descriptor, events),) = happened  # the usual case, without the cost of a comprehension
        return [(things[descriptor], events)]

    def close(self) -> None:
        """See `Portable`."""
        self._epoll.close()
