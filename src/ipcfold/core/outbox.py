"""What one end has still to write: whole frames in, pieces of a good size for one write out."""

from __future__ import annotations

from collections import deque
from typing import Final, final

from ipcfold.core.frame import encode, encode_around
from ipcfold.message import Message

_COPIED: Final = 2**16  # pieces up to this size (bytes) are joined, larger ones are written from where they are


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

    def add_message(self, message: Message) -> None:
        """Queue this message's frame."""
        if len(message.content) <= _COPIED:
            self.add(encode(message))
        else:
            before, behind = encode_around(message)
            self.add(before)
            self.add(message.content)
            self.add(behind)

    def head(self) -> bytes | memoryview:
        """What to write next: small pieces joined, a large one alone and uncopied."""
        pieces = self._pieces
        if self._head or not pieces:
            return self._head
        if self.size <= _COPIED:
            self._head = b"".join(pieces)  # of one piece, this is the piece itself
            pieces.clear()
            return self._head
        first = pieces.popleft()
        if pieces:
            size = len(first)
            small = [first]
            while pieces and (size := size + len(pieces[0])) <= _COPIED:
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
