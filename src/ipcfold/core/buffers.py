"""The buffers of a connection: the bytes that wait to be written, and a large content that arrives."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from io import BytesIO
from itertools import accumulate, islice, takewhile
from typing import Final, TypeAlias, final

_AT_ONCE: Final = 2**16  # bytes; smaller pieces are joined up to this size, about what a socket takes; a larger piece is not copied
_ENOUGH: Final = 8  # once an eighth has arrived, the content gets all its memory
_UNTOUCHED: Final = 2**25  # bytes; from this size on, the system allocates memory only when it is written to
_BEGUN: Final = 2**17  # bytes; once so many have arrived, a content of that size gets all its memory


@final
class Outbox:
    """A queue of bytes. The shell writes `head()`, then reports with `sent()` how much of it was written."""

    # Most outboxes are empty, and most others have one piece. Only more pieces get a `deque`, which takes 760 bytes.

    __slots__ = ("_fixed", "_head", "_muted", "_pieces", "size")

    def __init__(self) -> None:
        self._head: bytes | memoryview = b""
        self._fixed = False  # whether `head` has returned it
        self._pieces: deque[bytes | memoryview] | None = None  # what follows the head
        self._muted = False
        self.size = 0
        """The number of bytes in the queue."""

    def add(self, data: bytes) -> None:
        """Append these bytes."""
        if self._muted:
            return
        if not self.size:
            self._head = data
        elif self._pieces is None:
            self._pieces = deque((data,))
        else:
            self._pieces.append(data)
        self.size += len(data)

    def extend(self, pieces: list[bytes]) -> None:
        """Append these pieces."""
        if self._muted:
            return
        size = 0
        for piece in pieces:
            size += len(piece)
        if not self.size and size <= _AT_ONCE:
            self._head = b"".join(pieces)
        elif self._pieces is None:
            self._pieces = deque(pieces)
        else:
            self._pieces.extend(pieces)
        self.size += size

    def head(self) -> bytes | memoryview:
        """The next bytes to write: small pieces joined, or one large piece that is not copied."""
        if self._pieces is not None and not (self._fixed and self._head):
            self._gather(self._pieces)
        self._fixed = bool(self._head)
        return self._head

    def _gather(self, pieces: deque[bytes | memoryview]) -> None:
        """Make the head of the first pieces."""
        if self._head:
            pieces.appendleft(self._head)
            self._head = b""
        if self.size <= _AT_ONCE:
            self._head = b"".join(pieces)  # a single piece is not copied
            self._pieces = None
            return
        first, count = pieces[0], sum(1 for _ in takewhile(_AT_ONCE.__ge__, accumulate(map(len, pieces))))
        if count > 1:
            first = b"".join(islice(pieces, count))  # joined before they are removed, because the memory may not suffice
        for _ in range(max(1, count)):
            pieces.popleft()
        self._head = first

    def sent(self, count: int) -> None:
        """Note that so many bytes of the head were written."""
        self.size -= count
        if count < len(self._head):
            self._head = memoryview(self._head)[count:]
        else:
            self._head, self._fixed = b"", False

    def cut(self, size: int) -> None:
        """Keep only the first so many bytes."""
        if size < self.size:
            self._head = b"".join((self._head, *(self._pieces or ())))[:size]
            self._pieces = None
            self.size = size

    def mute(self) -> None:
        """Drop the queue and everything that is added later, because the peer reads no more."""
        self._muted = True
        self._pieces = None
        self._head = b""
        self.size = 0


Memory: TypeAlias = Callable[[int], BytesIO]
"""Gives memory of so many bytes, which may have any content. The position is at its start."""


def fresh(size: int) -> BytesIO:
    """Fresh memory of so many bytes."""
    return BytesIO(bytes(size))


@final
class Large:
    """A large content, of which a part has arrived."""

    # A `BytesIO` can be written to from outside and gives its content without a copy. At first it grows with what arrives,
    # because a client that only announces a large content must cost nothing. Once enough has arrived it gets its final
    # size. Contents that grow in small steps and live long would leave gaps of about their own size in the memory.

    __slots__ = ("_bytes", "_memory", "_room", "_size", "_view", "_whole", "have")

    def __init__(self, size: int, begun: bytes, memory: Memory = fresh) -> None:
        self._size = size
        self._memory = memory
        self._bytes = BytesIO()
        self._bytes.write(begun)
        self._whole = False
        self.have = len(begun)
        self._view = self._room = memoryview(b"")

    @property
    def missing(self) -> int:
        """The number of bytes that are still to come, with the end mark."""
        return self._size + 1 - self.have

    def write(self, data: bytes) -> bytes:
        """Take the bytes that belong to the frame, and return the rest."""
        self._release()
        taken, rest = data[: self.missing], data[self.missing :]
        self._bytes.seek(self.have)
        self._bytes.write(taken)
        self.have += len(taken)
        return rest

    def room(self) -> memoryview | None:
        """The memory for all missing bytes, once enough bytes have arrived."""
        self._release()
        if not self.missing:
            return None
        if not self._whole:
            if self.have * _ENOUGH < self._size and (self._size < _UNTOUCHED or self.have < _BEGUN):
                return None
            begun, self._bytes, self._whole = self._bytes, self._memory(self._size + 1), True
            self._bytes.write(begun.getbuffer())
        self._view = self._bytes.getbuffer()
        self._room = self._view[self.have :]
        return self._room

    def filled(self, count: int) -> bool:
        """Note that so many bytes were read into the room. Returns whether the frame is complete."""
        self._release()
        self.have += count
        return not self.missing

    def _release(self) -> None:
        """Take the room back. A traceback might keep it alive, and the memory cannot change its size while a view of it exists."""
        self._room.release()
        self._view.release()

    def content(self) -> tuple[bytes, bytes]:
        """The content, which is not copied, and the byte after it."""
        self._bytes.seek(self._size)
        behind = self._bytes.read()
        self._bytes.truncate(self._size)
        return self._bytes.getvalue(), behind
