"""Waiting for many sockets at once, on Linux.

By way of `selectors`, a wait costs more the more sockets are watched, since it makes room for an event of each.
"""

from __future__ import annotations

import sys

assert sys.platform == "linux"  # noqa: S101 - so that types are not checked elsewhere

from select import epoll  # noqa: E402 - as above
from socket import socket  # noqa: E402 - as above
from typing import Final, Generic, TypeVar, final  # noqa: E402 - as above

T = TypeVar("T")

_AT_ONCE: Final = 256  # events; more are left for the next time


@final
class Epoll(Generic[T]):
    """As `Portable`, which says more."""

    def __init__(self) -> None:
        self._epoll = epoll()
        self._things: dict[int, T] = {}

    def watch(self, stream: socket, interest: int, thing: T) -> None:
        """As there."""
        self._epoll.register(stream, interest)
        self._things[stream.fileno()] = thing

    def change(self, stream: socket, interest: int, thing: T) -> None:
        """As there."""
        self._epoll.modify(stream, interest)
        self._things[stream.fileno()] = thing

    def forget(self, stream: socket) -> None:
        """As there."""
        self._epoll.unregister(stream)
        del self._things[stream.fileno()]

    def poll(self, seconds: float) -> list[tuple[T, int]]:
        """As there."""
        things = self._things
        return [(things[descriptor], events) for descriptor, events in self._epoll.poll(seconds, _AT_ONCE)]

    def close(self) -> None:
        """As there."""
        self._epoll.close()
