"""What one end has still to write: whole frames in, pieces of a good size for one write out."""

from __future__ import annotations

from collections import deque
from typing import Final, final

_AT_ONCE: Final = 2**16  # bytes: so much is joined, which is about what a socket takes; a larger piece is written from where it is


@final
class Outbox:
    """A queue of bytes; the shell writes `head()`, then says how much of it went with `sent()`."""

    __slots__ = ("_head", "_muted", "_pieces", "size")

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._head: bytes | memoryview = b""
        self._muted = False
        self.size = 0
        """How many bytes wait."""

    def add(self, data: bytes) -> None:
        """Queue these bytes behind the others."""
        if not self._muted:
            self._pieces.append(data)
            self.size += len(data)

    def head(self) -> bytes | memoryview:
        """What to write next: small pieces joined, a large one alone and uncopied."""
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
        """So many bytes of the head were written."""
        self.size -= count
        self._head = memoryview(self._head)[count:] if count < len(self._head) else b""

    def mute(self) -> None:
        """Nobody reads any more: drop what waits and all that is still to come."""
        self._muted = True
        self._pieces.clear()
        self._head = b""
        self.size = 0
