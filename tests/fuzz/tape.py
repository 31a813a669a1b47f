"""Arbitrary bytes as a small program.

Every byte string is one, so that a fuzzer may change any byte: a choice is a byte modulo the number of choices, and
what is missing at the end reads as zeros. Nothing is drawn that the bytes do not say, so that each run can be repeated.
"""

from collections.abc import Sequence
from enum import Enum, auto
from typing import Final, TypeVar, final

from ipcfold import Limits, Message
from ipcfold.continuation import Outcome
from ipcfold.core.frame import Signal

T = TypeVar("T")

SIGNALS: Final = tuple(Signal)
HEARTBEAT: Final = 1.0  # all times are sums of powers of two, so that the models add them up without rounding
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
class Tape:
    """The program, read from left to right."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> bool:
        return self._at < len(self._data)

    def take(self, count: int) -> bytes:
        """So many bytes, or those that are left."""
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
    """What a peer may put on its stream."""

    RAW = auto()
    SIGNAL = auto()
    MESSAGE = auto()
    LARGE = auto()
    """A message of any size up to 64 KiB."""
    LONG_TYPE = auto()
    """A media type of any size up to what the wire can say."""
    DECLARED = auto()
    """A header that declares any size up to 4 GiB, and nothing behind it."""
    BENT = auto()
    """A frame with one byte wrong."""
    HALF = auto()
    """The first bytes of a frame."""


PIECES: Final = tuple(Piece)


def piece(tape: Tape) -> bytes:
    """The next piece of a peer's stream."""
    match tape.choice(PIECES):
        case Piece.RAW:
            return tape.take(tape.byte())
        case Piece.SIGNAL:
            return tape.choice(SIGNALS).frame
        case Piece.MESSAGE:
            return _message(tape)
        case Piece.LARGE:
            return framed(b"a/b", b"x" * tape.size())
        case Piece.LONG_TYPE:
            return framed((b"a/b;c=" + b"d" * tape.size())[:0xFFFF], b"")
        case Piece.DECLARED:
            return framed(b"text/plain", b"")[:-5] + tape.take(4).ljust(4, b"\0")
        case Piece.BENT:
            frame = bytearray(_frame(tape))
            frame[tape.size() % len(frame)] ^= tape.byte() or 1
            return bytes(frame)
        case Piece.HALF:
            frame = bytearray(_frame(tape))
            return bytes(frame[: tape.size() % len(frame)])


def framed(media_type: bytes, content: bytes) -> bytes:
    """A frame as the wire has it, right or wrong."""
    return len(media_type).to_bytes(2) + media_type + len(content).to_bytes(4) + content + b"\xce"


def _frame(tape: Tape) -> bytes:
    return tape.choice(SIGNALS).frame if tape.byte() % 2 else _message(tape)


def _message(tape: Tape) -> bytes:
    """A message, which may be spelled like a signal."""
    media_type, size = tape.choice(TYPES), tape.byte()
    return framed(media_type, SIGNALS[size % len(SIGNALS)].content if size >= 0xF0 else tape.take(size % 64))


def limits(tape: Tape) -> Limits:
    """Small limits, so that short programs reach them."""
    return Limits(
        message=tape.choice(_MESSAGE_LIMITS),
        unsent=tape.choice(_UNSENT_LIMITS),
        unread=tape.choice(_UNREAD_LIMITS),
        frame=tape.choice(_FRAME_LIMITS),
        handshake=4.0,
        drain=2.0,
        connections=4,
        connections_per_user=2,
    )


def own_messages(tape: Tape, limits: Limits) -> tuple[Message, ...]:
    """Messages of our own side, which may be sent: at most three, of any size within the limit."""
    return tuple(Message.octets(bytes([number]) * (2 * tape.size() % (limits.message + 1))) for number in range(tape.byte() % 4))


def outcome(tape: Tape) -> Outcome:
    return tape.choice(_OUTCOMES)
