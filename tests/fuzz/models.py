"""Models for the targets: a simple parser of a stream, and a socket as a shell sees it."""

from typing import Final, final

from ipcfold.core.wire import Broken, Frame, Signal
from ipcfold.message import TEXT_PLAIN, MediaType, Message

LONGEST_HEADER: Final = 2 + 0xFFFF + 4 + 1  # The end mark counts, too.
LONGEST_SIGNAL: Final = max(len(signal.content) for signal in Signal)
SIGNAL_SIZE: Final = max(len(signal.frame) for signal in Signal)

_NO_FRAME: Final = Broken("no frame")
_SHORTEST: Final = 2 + 4 + 1


def first_frame(data: bytes, limit: int) -> tuple[Frame | Broken, int] | None:
    """The frame at the start of these bytes and its size, or `None` if it is incomplete."""
    header = 2 + int.from_bytes(data[:2]) + 4
    if len(data) < max(header, _SHORTEST):
        return None
    size = int.from_bytes(data[header - 4 : header])
    if size > max(limit, LONGEST_SIGNAL):
        return _NO_FRAME, 0
    if len(data) < header + size + 1:
        return None
    media_type, content = _media_type(data[2 : header - 4]), data[header : header + size]
    if media_type is None or data[header + size] != 0xCE:
        return _NO_FRAME, 0
    for signal in Signal:
        if media_type == TEXT_PLAIN and signal.content == content:
            return signal, header + size + 1
    return (_NO_FRAME, 0) if size > limit else (Message(media_type, content), header + size + 1)


def _media_type(text: bytes) -> MediaType | None:
    return MediaType.of(text.decode("ascii")).value_or(None) if text.isascii() else None


@final
class Stream:
    """The frames of all bytes so far."""

    def __init__(self, limit: int) -> None:
        self.frames: list[Frame] = []
        self.broken = False
        self.rest = b""
        """What is no whole frame yet."""
        self._limit = limit

    def add(self, data: bytes) -> list[Frame]:
        """The frames that these bytes complete."""
        new = list[Frame]()
        self.rest += data
        while not self.broken and (found := first_frame(self.rest, self._limit)) is not None:
            frame, size = found
            if isinstance(frame, Broken):
                self.broken = True
                self.rest = b""
            else:
                new.append(frame)
                self.rest = self.rest[size:]
        self.frames += new
        return new


@final
class Line:
    """A socket and its peer: the unread bytes of the peer, and how many bytes the socket still takes."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.reset = False
        """Whether writing fails, as it does once the peer has closed its socket."""
        self._incoming = bytearray()
        self._ended = False

    def say(self, data: bytes) -> None:
        """The peer writes this, unless it has ended its stream."""
        if not self._ended:
            self._incoming += data

    def finish(self) -> None:
        """The peer ends its stream."""
        self._ended = True

    def read(self, size: int) -> bytes | None:
        """The bytes of one read. They are empty at the end of the stream, and `None` where a read would block."""
        if not self._incoming:
            return b"" if self._ended else None
        data = bytes(self._incoming[: max(1, size)])
        del self._incoming[: len(data)]
        return data

    def take(self, data: bytes | memoryview) -> bytes | None:
        """The bytes that the socket takes, or `None` if the peer has closed it."""
        if self.reset:
            return None
        piece = bytes(data[: self.room])
        self.room -= len(piece)
        return piece
