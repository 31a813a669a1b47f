"""The bytes that one end has still to write: takes whole frames, and gives pieces of a good size for one write."""

from __future__ import annotations

from collections import deque
from typing import Final, final

_AT_ONCE: Final = 2**16  # bytes; smaller pieces are joined up to this size, about what a socket takes; a larger piece is not copied


@final
class Outbox:
    """A queue of bytes. The shell writes `head()`, then reports with `sent()` how much of it was written."""

    __slots__ = ("_head", "_muted", "_pieces", "size")

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._head: bytes | memoryview = b""
        self._muted = False
        self.size = 0
        """The number of bytes in the queue."""

    def add(self, data: bytes) -> None:
        """Append these bytes."""
        if not self._muted:
            self._pieces.append(data)
            self.size += len(data)

    def head(self) -> bytes | memoryview:
        """The next bytes to write: small pieces joined, or one large piece that is not copied."""
        pieces = self._pieces
        if self._head or not pieces:
            return self._head
        if self.size <= _AT_ONCE:
            self._head = b"".join(pieces)  # of one piece, this is the piece itself
            pieces.clear()
            return self._head
        first = pieces.popleft()
        if pieces:
            size = len(first)
            small = [first]
            while pieces and (size := size + len(pieces[0])) <= _AT_ONCE:
                small.append(pieces.popleft())
            first = b"".join(small)
        self._head = first
        return first

    def sent(self, count: int) -> None:
        """Note that so many bytes of the head were written."""
        self.size -= count
        self._head = memoryview(self._head)[count:] if count < len(self._head) else b""

    def mute(self) -> None:
        """Drop the queue and everything that is added later, because the peer reads no more."""
        self._muted = True
        self._pieces.clear()
        self._head = b""
        self.size = 0
