"""Messages on a plain stream, for the contestants that have none of their own: a length of four bytes, then the content."""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Final, final

from benchmarks.contestant import ACKNOWLEDGEMENT, Wire

LENGTH: Final = Struct(">I")
JOINED: Final = 65536
"""Contents up to this size are joined with their length into one write; larger ones would only be copied by that."""


IN_FLIGHT: Final = 65536
"""Bytes that a client which writes and reads in turns may be ahead: with more both ends could wait for the other to read."""


def window(contents: Sequence[bytes]) -> int:
    """How many messages may be in flight to a server that answers each before it reads the next."""
    largest = max(map(len, contents), default=0)
    return max(1, min(100, IN_FLIGHT // max(1, largest)))


def framed(content: bytes) -> bytes:
    """The content behind its length."""
    return LENGTH.pack(len(content)) + content


def joined(messages: Sequence[bytes]) -> bytes:
    """All of them framed; a single one, which may be large, is copied once."""
    return framed(messages[0]) if len(messages) == 1 else b"".join(map(framed, messages))


def acknowledging(messages: Sequence[bytes]) -> bytes:
    """All of them framed, each behind its acknowledgement."""
    return joined([each for message in messages for each in (ACKNOWLEDGEMENT, message)])


def unframed(data: bytes) -> tuple[list[bytes], bytes]:
    """The whole messages at the beginning of the data, and what is left."""
    messages: list[bytes] = []
    at, end = 0, len(data)
    while end - at >= 4:
        start = at + 4
        stop = start + LENGTH.unpack_from(data, at)[0]
        if stop > end:
            break
        messages.append(data[start:stop])
        at = stop
    return messages, data[at:]


@final
class Frames:
    """Bytes in as they come, whole messages out."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._missing = 0

    def fed(self, data: bytes) -> list[bytes]:
        """The messages that are whole with this."""
        if self._chunks:
            self._chunks.append(data)
            self._missing -= len(data)
            if self._missing > 0:  # joined once, when all is there
                return []
            data = b"".join(self._chunks)
        messages, rest = unframed(data)
        self._chunks = [rest] if rest else []
        self._missing = 4 - len(rest) if len(rest) < 4 else 4 + LENGTH.unpack_from(rest)[0] - len(rest)
        return messages


WIRE: Final = Wire(framed, framed)
