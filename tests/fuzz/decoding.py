"""Target: a decoder and any stream.

The program has a limit and three sizes of reads. Then comes either the stream itself or pieces of one.
"""

from itertools import cycle
from typing import Final

from returns.maybe import Nothing

from ipcfold import Limits
from ipcfold.core.wire import Broken, Decoder, Frame, Signal, encode, refusal
from tests.fuzz.models import LONGEST_HEADER, LONGEST_SIGNAL, Stream
from tests.fuzz.program import Program, limits, piece

IN_PIECES: Final = b"\0"
VERBATIM: Final = b"\1"
_BYTEWISE: Final = 2000  # Longer streams would take too long byte by byte.


def decoding(data: bytes) -> None:
    """A decoder gives the same frames however the stream is cut, keeps little, and agrees with a simple parser."""
    program = Program(data)
    verbatim = program.choice((IN_PIECES, VERBATIM)) == VERBATIM
    limit = limits(program).message
    reads = [program.byte() or 300 for _ in range(3)]
    stream = program.take(len(data)) if verbatim else _pieces(program)
    expected = Stream(limit)
    expected.add(stream)
    for cut in ([stream], _cut(stream, reads), _cut(stream, [1]) if len(stream) <= _BYTEWISE else []):
        if cut:
            found, broken = _decoded(cut, limit)
            assert found == expected.frames
            assert broken == expected.broken
    _inverse(expected.frames, limit)


def _pieces(program: Program) -> bytes:
    stream = bytearray()
    while program.left:
        stream += piece(program)
    return bytes(stream)


def _cut(stream: bytes, sizes: list[int]) -> list[bytes]:
    """The stream in reads of these sizes, in turn."""
    pieces, at, size = list[bytes](), 0, cycle(sizes)
    while at < len(stream):
        pieces.append(stream[at : at + next(size)])
        at += len(pieces[-1])
    return pieces


def _decoded(cut: list[bytes], limit: int) -> tuple[list[Frame], bool]:
    """The frames of the stream, and whether the stream is broken."""
    decoder, found = Decoder(limit), list[Frame]()
    largest = max(limit, LONGEST_SIGNAL) + LONGEST_HEADER
    for data in cut:
        decoder.feed(data)
        while (frame := decoder.next()) is not None:
            if isinstance(frame, Broken):
                _broken_for_ever(decoder, frame)
                return found, True
            found.append(frame)
        assert decoder.buffered < largest
    return found, False


def _broken_for_ever(decoder: Decoder, broken: Broken) -> None:
    assert broken.reason
    for data in (b"", Signal.HEARTBEAT.frame, b"\0" * 100):
        decoder.feed(data)
        assert decoder.next() is broken
        assert decoder.buffered == 0


def _inverse(frames: list[Frame], limit: int) -> None:
    """Check that the decoded frames may be sent, and are the same after decoding them again."""
    for frame in frames:
        assert isinstance(frame, Signal) or refusal(frame, Limits(message=limit)) == Nothing
    again = b"".join(frame.frame if isinstance(frame, Signal) else encode(frame) for frame in frames)
    assert _decoded([again], limit) == (frames, False)
