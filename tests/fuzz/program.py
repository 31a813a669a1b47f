"""Arbitrary bytes as a small program.

Every byte string is a program, so a fuzzer may change any byte. A choice is a byte modulo the number of choices.
Missing bytes at the end are zeros. Only the bytes decide what happens, so each run can be repeated.
"""

from collections.abc import Sequence
from enum import Enum, auto
from typing import Final, TypeVar, final

from ipcfold import Limits, Message
from ipcfold.continuation import Outcome
from ipcfold.core.wire import Signal

T = TypeVar("T")

SIGNALS: Final = tuple(Signal)
HEARTBEAT: Final = 1.0  # All times are sums of powers of two, so the models add them without rounding.
TYPES: Final = (
    b"text/plain",
    b"TEXT/Plain",
    b"text/plain; ",
    b"text/plain;charset=UTF-8",
    b"application/octet-stream",
    b'a/b;c="d\\"e"',
    b"text",
    b"t\xe9xt/plain",
    b"",
)
_MESSAGE_LIMITS: Final = (300, 40, 1, 70_000)
_UNSENT_LIMITS: Final = (1000, 100, 1)
_UNREAD_LIMITS: Final = (1000, 5000, 1)
_FRAME_LIMITS: Final = (8.0, 0.5)
_OUTCOMES: Final = (*[Outcome.CONTINUE] * 6, Outcome.CLOSE, Outcome.STOP)


@final
class Program:
    """The program, read from left to right."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> bool:
        return self._at < len(self._data)

    def take(self, count: int) -> bytes:
        """The next `count` bytes, or all that are left."""
        taken = self._data[self._at : self._at + count]
        self._at += len(taken)
        return taken

    def byte(self) -> int:
        return int.from_bytes(self.take(1))

    def size(self) -> int:
        return int.from_bytes(self.take(2))

    def choice(self, options: Sequence[T]) -> T:
        return options[self.byte() % len(options)]

    def seconds(self) -> float:
        return self.byte() / 4


class Piece(Enum):
    """The kinds of pieces that a peer may write."""

    RAW = auto()
    SIGNAL = auto()
    MESSAGE = auto()
    LARGE = auto()
    """A message of any size up to 64 KiB."""
    LONG_TYPE = auto()
    """A media type of any size up to the largest of the wire."""
    DECLARED = auto()
    """A header that declares any size up to 4 GiB, without a content."""
    BENT = auto()
    """A frame with one byte wrong."""
    HALF = auto()
    """The first bytes of a frame."""


PIECES: Final = tuple(Piece)


def piece(program: Program) -> bytes:
    """The next piece of a peer's stream."""
    match program.choice(PIECES):
        case Piece.RAW:
            return program.take(program.byte())
        case Piece.SIGNAL:
            return program.choice(SIGNALS).frame
        case Piece.MESSAGE:
            return _message(program)
        case Piece.LARGE:
            return framed(b"a/b", b"x" * program.size())
        case Piece.LONG_TYPE:
            return framed((b"a/b;c=" + b"d" * program.size())[:0xFFFF], b"")
        case Piece.DECLARED:
            return framed(b"text/plain", b"")[:-5] + program.take(4).ljust(4, b"\0")
        case Piece.BENT:
            frame = bytearray(_frame(program))
            frame[program.size() % len(frame)] ^= program.byte() or 1
            return bytes(frame)
        case Piece.HALF:
            frame = bytearray(_frame(program))
            return bytes(frame[: program.size() % len(frame)])


def framed(media_type: bytes, content: bytes) -> bytes:
    """A frame of any media type and content, valid or not."""
    return len(media_type).to_bytes(2) + media_type + len(content).to_bytes(4) + content + b"\xce"


def _frame(program: Program) -> bytes:
    return program.choice(SIGNALS).frame if program.byte() % 2 else _message(program)


def _message(program: Program) -> bytes:
    """A message. It may be equal to a signal."""
    media_type, size = program.choice(TYPES), program.byte()
    return framed(media_type, SIGNALS[size % len(SIGNALS)].content if size >= 0xF0 else program.take(size % 64))


def limits(program: Program) -> Limits:
    """Small limits, which short programs reach."""
    return Limits(
        message=program.choice(_MESSAGE_LIMITS),
        unsent=program.choice(_UNSENT_LIMITS),
        unread=program.choice(_UNREAD_LIMITS),
        frame=program.choice(_FRAME_LIMITS),
        handshake=4.0,
        drain=2.0,
        connections=4,
        connections_per_user=2,
    )


def own_messages(program: Program, limits: Limits) -> tuple[Message, ...]:
    """At most three messages that may be sent, of any size within the limit."""
    return tuple(Message.octets(bytes([number]) * (2 * program.size() % (limits.message + 1))) for number in range(program.byte() % 4))


def outcome(program: Program) -> Outcome:
    return program.choice(_OUTCOMES)
