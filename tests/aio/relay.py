"""A wire between two shells: it forwards the bytes of connections in small pieces, and cuts some of them."""

import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Self, final

import attrs

from tests.shells.support import PATIENCE


@final
@attrs.frozen
class Plan:
    """What happens to one connection: how many bytes it forwards at once, and after how many it is cut in which direction."""

    piece: int = 65536
    up: float = float("inf")
    down: float = float("inf")


@final
class Relay:
    """Listens at `here`, and forwards to `there`. The plans are those of the next connections, in their order.

    Each direction has a thread. Small pieces fill the buffer of a socket whose reader is busy, and then only its own thread waits.
    """

    def __init__(self, here: Path, there: Path) -> None:
        self.plans = deque[Plan]()
        self._there = str(there)
        self._sockets = [socket.socket(socket.AF_UNIX)]
        self._sockets[0].bind(str(here))
        self._sockets[0].listen()
        self._threads = list[Thread]()
        self._begin(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for each in self._sockets[:]:
            cut(each)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        for each in self._sockets:
            each.close()

    def _begin(self, run: Callable[..., object], *arguments: object) -> None:
        self._threads.append(Thread(target=run, args=arguments))
        self._threads[-1].start()

    def _accept(self) -> None:
        with suppress(OSError):  # it is shut down
            while True:
                client, _ = self._sockets[0].accept()
                server = socket.socket(socket.AF_UNIX)
                self._sockets += [client, server]
                server.connect(self._there)
                plan = self.plans.popleft()
                self._begin(forward, client, server, plan.piece, plan.up)
                self._begin(forward, server, client, plan.piece, plan.down)


def forward(source: socket.socket, target: socket.socket, piece: int, left: float) -> None:
    """Forward so many bytes, then cut the connection. If the stream ends before, only this direction ends."""
    reads = True
    with suppress(OSError):
        while left and (data := source.recv(int(min(piece, left)))):
            left -= len(data)
            try:
                if reads:
                    target.sendall(data)
            except OSError:  # the target has closed; the other direction may still have something for this source
                reads = False
        if left:
            target.shutdown(socket.SHUT_WR)
            return
    cut(source)
    cut(target)


def cut(stream: socket.socket) -> None:
    """Cut it in both directions."""
    with suppress(OSError):
        stream.shutdown(socket.SHUT_RDWR)
