"""Messages on a plain stream, for the contestants that have none of their own: a length of four bytes, then the content."""

from __future__ import annotations

from struct import Struct
from typing import Final

from benchmarks.contestant import Wire

LENGTH: Final = Struct(">I")
JOINED: Final = 65536
"""Contents up to this size are joined with their length into one write; larger ones would only be copied by that."""


def framed(content: bytes) -> bytes:
    """The content behind its length."""
    return LENGTH.pack(len(content)) + content


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


WIRE: Final = Wire(framed, framed)
