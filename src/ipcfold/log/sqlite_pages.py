"""The rows in the pages of a database of SQLite, read without SQLite: also where other pages are damaged or missing.

The file format of SQLite (https://sqlite.org/fileformat2.html) says where they are. The leaves of a table have its rows, and
each row stands there whole, or goes on in a chain of other pages. Which table a leaf is of stands elsewhere. Pages that are free
have rows that were deleted. So whoever reads these rows must be able to tell whether one is right.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from struct import Struct, unpack
from struct import error as StructError  # noqa: N812 - it is an exception
from typing import Final, TypeAlias, final

_MAGIC: Final = b"SQLite format 3\0"
_HEADER: Final = 100  # bytes before what is in the first page
_LEAF: Final = 0x0D  # of a table
_AHEAD: Final = Struct(">8I")  # begins a write-ahead log
_FRAME: Final = Struct(">6I")  # begins each page in it
_SHORT: Final = Struct(">H")
_LONG: Final = Struct(">I")
_SIZES: Final = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)  # bytes of a value, by its type
_ONE, _FLOAT, _BLOB = 9, 7, 12

Place: TypeAlias = tuple[int, int]
"""The number of a page, and where in it a row begins."""
Value: TypeAlias = int | bytes | None
Row: TypeAlias = tuple[int, list[Value]]
"""The id of a row, and its values."""


@final
class Pages:
    """The pages of a database, as they are after the last whole transaction in its write-ahead log."""

    def __init__(self, database: int, ahead: bytes, usual: int) -> None:
        """`database`: a descriptor. `usual`: the bytes of a page, if nothing in the file says that."""
        self._database = database
        self._ahead = ahead
        self.size, self._frames = _committed(ahead)
        if not self.size:
            head = self._read(_HEADER, 0)
            told = _SHORT.unpack_from(head, 16)[0] if head.startswith(_MAGIC) and len(head) == _HEADER else 0
            told = 65536 if told == 1 else told
            self.size = told if told in {1 << power for power in range(9, 17)} else usual
        bytes_ = os.fstat(database).st_size
        self.count = max(-(-bytes_ // self.size), *self._frames, 0)
        """How many pages there are."""

    def page(self, number: int) -> bytes:
        """The page of this number; 1 is the first. It is short if the file ends there, and empty if the disk does not give it."""
        at = self._frames.get(number)
        return self._read(self.size, (number - 1) * self.size) if at is None else self._ahead[at : at + self.size]

    def places(self) -> Iterator[Place]:
        """Where the rows are, in no order."""
        for number in range(1, self.count + 1):
            page = self.page(number)
            start = _HEADER if number == 1 else 0
            if len(page) < start + 8 or page[start] != _LEAF:
                continue
            for cell in range(_SHORT.unpack_from(page, start + 3)[0]):
                at = start + 8 + 2 * cell
                if at + 2 <= len(page):
                    yield number, _SHORT.unpack_from(page, at)[0]

    def row(self, place: Place) -> Row | None:
        """The row there, if it can be read."""
        try:
            return self._row(*place)
        except (IndexError, StructError, ValueError):
            return None

    def _row(self, number: int, at: int) -> Row:
        page = self.page(number)
        size, at = _varint(page, at)
        key, at = _varint(page, at)
        if size > self.count * self.size:
            raise ValueError(size)
        return key, _values(self._payload(page, at, size))

    def _payload(self, page: bytes, at: int, size: int) -> bytes:
        """So many bytes, which begin there, and go on in other pages if they are too many for one."""
        most = self.size - 35
        if size <= most:
            return page[at : at + size]
        least = (self.size - 12) * 32 // 255 - 23
        local = least + (size - least) % (self.size - 4)
        local = local if local <= most else least
        pieces, left = [page[at : at + local]], size - local
        follows = _LONG.unpack_from(page, at + local)[0]
        while left:
            page = self.page(follows)
            follows = _LONG.unpack_from(page)[0]
            pieces.append(page[4 : 4 + left])
            left -= min(left, self.size - 4)
        return b"".join(pieces)

    def _read(self, size: int, at: int) -> bytes:
        try:
            return os.pread(self._database, size, at) if at >= 0 else b""
        except OSError:  # the disk cannot read it
            return b""


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number there, and where it ends. Raises an `IndexError`."""
    number = 0
    for count in range(9):
        byte = data[at + count]
        if count == 8:
            return number << 8 | byte, at + 9
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            return number, at + count + 1
    raise AssertionError(number)


def _values(payload: bytes) -> list[Value]:
    """The values of a row. Raises a `ValueError`, an `IndexError`."""
    end, at = _varint(payload, 0)
    if end > len(payload):
        raise ValueError(end)
    values, body = list[Value](), end
    while at < end:
        kind, at = _varint(payload, at)
        size = _SIZES[kind] if kind < len(_SIZES) else max(0, kind - _BLOB) // 2
        piece = payload[body : body + size]
        if len(piece) < size:
            raise ValueError(size)
        body += size
        if kind >= _BLOB:
            values.append(piece)
        elif kind in {0, _FLOAT}:
            values.append(None)
        else:
            values.append(int.from_bytes(piece, signed=True) if size else int(kind == _ONE))
    return values


def _committed(ahead: bytes) -> tuple[int, dict[int, int]]:
    """The size of the pages in a write-ahead log, and where the newest of each number begins. A transaction counts if all of it is there.

    The size is 0 if there is no transaction.
    """
    if len(ahead) < _AHEAD.size:
        return 0, {}
    magic, _, size, _, *salts, one, two = _AHEAD.unpack_from(ahead)
    order = ">" if magic & 1 else "<"
    if magic & ~1 != 0x377F0682 or _sum(order, ahead[:24], 0, 0) != (one, two):
        return 0, {}
    known, pending = dict[int, int](), dict[int, int]()
    at = _AHEAD.size
    while at + _FRAME.size + size <= len(ahead):
        number, ends, *found, first, second = _FRAME.unpack_from(ahead, at)
        page = at + _FRAME.size
        one, two = _sum(order, ahead[at : at + 8], one, two)
        one, two = _sum(order, ahead[page : page + size], one, two)
        if found != salts or (one, two) != (first, second):
            break
        pending[number] = page
        if ends:
            known |= pending
            pending.clear()
        at = page + size
    return size if known else 0, known


def _sum(order: str, data: bytes, one: int, two: int) -> tuple[int, int]:
    """The checksum of a write-ahead log."""
    words = iter(unpack(f"{order}{len(data) // 4}I", data))
    for word in words:
        one = (one + word + two) & 0xFFFF_FFFF
        two = (two + next(words) + one) & 0xFFFF_FFFF
    return one, two
