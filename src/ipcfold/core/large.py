"""A large content that is being received, with the end mark behind it, into the memory where it stays."""

from __future__ import annotations

from io import BytesIO
from typing import Final, final

_ENOUGH: Final = 8  # once an eighth has arrived, the content gets all its memory
_UNTOUCHED: Final = 2**25  # bytes; from this size on the system allocates memory only when it is written to,
_BEGUN: Final = 2**17  # so that this much is enough


@final
class Large:
    """A content of that size, of which a part has arrived."""

    # A `BytesIO` can be written to from outside and gives its content without a copy. At first it grows with what arrives,
    # because a client that only announces a large content must cost nothing. Once enough has arrived it gets its final
    # size. Contents that grow in small steps and live long would leave gaps of about their own size in the memory.

    __slots__ = ("_bytes", "_room", "_size", "_view", "_whole", "have")

    def __init__(self, size: int, begun: bytes) -> None:
        self._size = size
        self._bytes = BytesIO()
        self._bytes.write(begun)
        self._whole = False
        self.have = len(begun)
        self._view = self._room = memoryview(b"")

    @property
    def missing(self) -> int:
        """How many bytes are still to come."""
        return self._size + 1 - self.have

    def write(self, data: bytes) -> bytes:
        """Take what belongs to it, and give the rest back."""
        self._release()
        taken, rest = data[: self.missing], data[self.missing :]
        self._bytes.seek(self.have)
        self._bytes.write(taken)
        self.have += len(taken)
        return rest

    def room(self) -> memoryview | None:
        """Room for all that is missing, once enough has come."""
        self._release()
        if not self.missing:
            return None
        if not self._whole:
            if self.have * _ENOUGH < self._size and (self._size < _UNTOUCHED or self.have < _BEGUN):
                return None
            begun, self._bytes, self._whole = self._bytes, BytesIO(bytes(self._size + 1)), True
            self._bytes.write(begun.getbuffer())
        self._view = self._bytes.getbuffer()
        self._room = self._view[self.have :]
        return self._room

    def filled(self, count: int) -> bool:
        """So many bytes of the room are taken; whether nothing is missing any more."""
        self._release()
        self.have += count
        return not self.missing

    def _release(self) -> None:
        """Take the room back: by hand, since a traceback might keep it, and the memory cannot change while somebody has it."""
        self._room.release()
        self._view.release()

    def content(self) -> tuple[bytes, bytes]:
        """The content, uncopied, and the byte behind it."""
        self._bytes.seek(self._size)
        behind = self._bytes.read()
        self._bytes.truncate(self._size)
        return self._bytes.getvalue(), behind
