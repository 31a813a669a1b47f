"""Hostile connections. None of them ever sends a whole message that the server folds."""

import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Final, final

from tests.shells.wire import HEARTBEAT, START_OK, Wire, frame

_WELCOME: Final = frame(START_OK)
_MESSAGE: Final = frame("hello", "text/hostile")
_HELD: Final = 20  # The number of hostile connections that stay open.


_WAYS: Final[tuple[Callable[[Random], bytes], ...]] = (
    lambda random: _WELCOME + _MESSAGE[: random.randrange(1, len(_MESSAGE))],  # A part of a frame.
    lambda random: b"\xff" + random.randbytes(random.randrange(1000)),  # A media type of at least 65,280 bytes, which never come.
    lambda _: _WELCOME + _MESSAGE[:-1] + b"\x00" + _MESSAGE,  # A wrong end mark.
    lambda _: _WELCOME + _MESSAGE[:14] + b"\xff\xff\xff\xff" + _MESSAGE,  # A very large length.
    lambda _: _MESSAGE * 3,  # No acceptance of the greeting.
    lambda random: _WELCOME + frame(HEARTBEAT) * random.randrange(20),
    lambda _: b"",
)


@final
class HostileClients:
    """Hostile connections. Some leave at once, some stay and send nothing more."""

    def __init__(self, directory: Path, random: Random) -> None:
        self._directory = directory
        self._random = random
        self._staying = deque[socket.socket]()

    def come(self) -> None:
        """Open one more connection and write its bytes."""
        wire = Wire.to(self._directory)
        with suppress(OSError):  # The server may have ended the connection already.
            wire.stream.sendall(self._random.choice(_WAYS)(self._random))
        self._staying.append(wire.stream)
        if self._random.random() < 0.5:
            self._staying.pop().close()
        if len(self._staying) > _HELD:
            self._staying.popleft().close()

    def leave(self) -> None:
        for stream in self._staying:
            stream.close()
