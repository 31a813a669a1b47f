"""The subscribers of one server: many connections, each of which is told every message.

They are the same program for every server, as lean as Python allows, so that the server is what is measured: a message that arrives is
compared, not parsed.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from time import perf_counter
from typing import Final, final

from benchmarks.contestant import PATIENCE, ClientPool, WrongAnswer

_QUIET: Final = 0.3  # seconds after which nothing more is under way
_CHUNK: Final = 65536


@final
class Subscribers(ClientPool):
    """Subscribers that have been told something already."""

    def __init__(self, streams: Iterable[socket.socket], publish: Callable[[], object], frame: bytes, noise: bytes = b"") -> None:
        """`publish` has the server tell everybody; `frame` is what arrives then, and `noise` may come at any time."""
        self._publish, self._frame, self._noise = publish, frame, noise
        self._streams = {stream.fileno(): stream for stream in streams}
        self._poll = select.epoll()
        for descriptor, stream in self._streams.items():
            stream.setblocking(False)
            self._poll.register(descriptor, select.EPOLLIN)
        self._begin()

    def requests(self, count: int) -> float:
        """Seconds for so many messages, each published when everybody has the one before."""
        for _ in self._arriving(0):  # heartbeats
            pass
        began = perf_counter()
        for _ in range(count):
            self._publish()
            self._told()
        return perf_counter() - began

    def _told(self) -> None:
        """Wait until everybody has the message."""
        frame, streams, partial, size = self._frame, self._streams, dict[int, bytes](), len(self._frame) + 1  # one more would be seen
        missing = len(streams)
        while missing:
            ready = self._poll.poll(PATIENCE)
            if not ready:
                raise TimeoutError("a server does not tell its subscribers")
            for descriptor, _ in ready:
                data = streams[descriptor].recv(size)
                if not data:
                    raise WrongAnswer
                if data != frame:
                    data = partial.pop(descriptor, b"") + data
                    if self._noise:
                        data = data.replace(self._noise, b"")
                    if data != frame:
                        if len(data) > len(frame) + len(self._noise):
                            raise WrongAnswer
                        partial[descriptor] = data
                        continue
                missing -= 1

    def _begin(self) -> None:
        """Publish until everybody has been told, because most servers do not say when they have subscribed somebody."""
        heard = dict.fromkeys(self._streams, b"")
        while heard:
            self._publish()
            for descriptor, data in self._arriving(_QUIET):
                if self._frame in heard.get(descriptor, b"") + data:
                    heard.pop(descriptor, None)
                elif descriptor in heard:
                    heard[descriptor] += data

    def _arriving(self, quiet: float) -> Iterable[tuple[int, bytes]]:
        while ready := self._poll.poll(quiet):
            for descriptor, _ in ready:
                data = self._streams[descriptor].recv(_CHUNK)
                if not data:
                    raise ConnectionError("a server closed the connection of a subscriber")
                yield descriptor, data


def subscribed(family: int, address: str | tuple[str, int], hello: bytes) -> socket.socket:
    """A connection that has said this, and does not wait for the answer."""
    stream = socket.socket(family, socket.SOCK_STREAM)
    with suppress(OSError):
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream.connect(address)  # blocking, for as long as the server's backlog is full
    stream.sendall(hello)
    return stream
