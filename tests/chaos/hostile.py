"""Hostile connections, spoken by hand; none of them ever says a whole message that counts."""

import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Final, final

from tests.shells.support import HEARTBEAT, START_OK, Wire, frame

_WELCOME: Final = frame(START_OK)
_MESSAGE: Final = frame("hello", "text/hostile")
_HELD: Final = 20  # connections that stay


def _half_a_frame(random: Random) -> bytes:
    return _WELCOME + _MESSAGE[: random.randrange(1, len(_MESSAGE))]


def _garbage(random: Random) -> bytes:
    return b"\xff" + random.randbytes(random.randrange(1000))  # a media type of at least 65,280 bytes, which never come


def _a_broken_end_mark(_: Random) -> bytes:
    return _WELCOME + _MESSAGE[:-1] + b"\x00" + _MESSAGE


def _a_huge_length(_: Random) -> bytes:
    return _WELCOME + _MESSAGE[:14] + b"\xff\xff\xff\xff" + _MESSAGE


def _no_welcome(_: Random) -> bytes:
    return _MESSAGE * 3


def _only_heartbeats(random: Random) -> bytes:
    return _WELCOME + frame(HEARTBEAT) * random.randrange(20)


def _nothing(_: Random) -> bytes:
    return b""


_WAYS: Final[tuple[Callable[[Random], bytes], ...]] = (
    _half_a_frame,
    _garbage,
    _a_broken_end_mark,
    _a_huge_length,
    _no_welcome,
    _only_heartbeats,
    _nothing,
)


@final
class HostileClients:
    """Those who connect without being clients; some leave at once, some stay and say no more."""

    def __init__(self, directory: Path, random: Random) -> None:
        self._directory = directory
        self._random = random
        self._staying = deque[socket.socket]()

    def come(self) -> None:
        """One more comes and says what it says."""
        wire = Wire.to(self._directory)
        with suppress(OSError):  # the server may know it by now
            wire.stream.sendall(self._random.choice(_WAYS)(self._random))
        self._staying.append(wire.stream)
        if self._random.random() < 0.5:
            self._staying.pop().close()
        if len(self._staying) > _HELD:
            self._staying.popleft().close()

    def leave(self) -> None:
        """All go."""
        for stream in self._staying:
            stream.close()
