"""The first programs of a fuzzer: the recordings of the original, and one for each kind of hostile peer."""

from itertools import chain
from typing import Final

from ipcfold.core.wire import Signal
from tests.fuzz import calling, decoding, hosting
from tests.fuzz.program import PIECES, SIGNALS, Piece
from tests.wire.recordings import Recording, Side, recordings

LIMITS: Final = bytes(4)  # The first choice for each limit.
ROOM: Final = b"\xff\xff"  # The bytes that the socket takes.
ONE_RESPONSE: Final = b"\1\0\3"  # One short response.
LARGE_RESPONSES: Final = b"\3" + b"\0\x96" * 3  # Three large responses.
GO_ON: Final = b"\0"
CLOSE: Final = b"\6"
READS: Final = b"\7\1\100"
SERVER: Final = b"\0"  # No timeout.


def calling_op(op: calling.Op, operand: bytes = b"") -> bytes:
    return bytes([calling.OPS.index(op)]) + operand


def hosting_op(op: hosting.Op, operand: bytes = b"") -> bytes:
    return bytes([hosting.OPS.index(op)]) + operand


def raw(data: bytes) -> list[bytes]:
    """These bytes as pieces of a stream."""
    return [bytes([PIECES.index(Piece.RAW), len(part)]) + part for part in (data[at : at + 255] for at in range(0, len(data), 255))]


def signal(which: Signal) -> bytes:
    return bytes([PIECES.index(Piece.SIGNAL), SIGNALS.index(which)])


def message(content: bytes) -> bytes:
    return bytes([PIECES.index(Piece.MESSAGE), 0, len(content)]) + content


def attacks() -> list[bytes]:
    """Pieces of a stream that a peer should not send."""
    return [
        bytes([PIECES.index(Piece.DECLARED)]) + b"\xff\xff\xff\xff",
        bytes([PIECES.index(Piece.LONG_TYPE)]) + b"\xff\xff",
        bytes([PIECES.index(Piece.LARGE)]) + b"\xff\xff",
        bytes([PIECES.index(Piece.HALF), 1, 3, 0, 9]),
        bytes([PIECES.index(Piece.BENT), 1, 3, 0, 9, 1]),
        bytes([PIECES.index(Piece.MESSAGE), 1, 0xF2]),  # A message equal to a signal.
        *raw(b"\0" * 20),
        *map(signal, Signal),
    ]


def seeds(target: str) -> list[bytes]:
    """The programs for this target."""
    match target:
        case "decoding":
            streams = [recording.sent_by(side) for recording in recordings() for side in ("client", "server")]
            cut = [stream[: len(stream) * part // 4] for stream in streams for part in (1, 3)]
            bent = [stream[: len(stream) // 2] + b"\xff" + stream[len(stream) // 2 + 1 :] for stream in streams]
            whole = [decoding.VERBATIM + LIMITS + READS + stream for stream in streams + cut + bent]
            return whole + [decoding.IN_PIECES + LIMITS + READS + attack for attack in attacks()]
        case "calling":
            common = [_calling(recording) for recording in recordings()] + [_called(attack) for attack in attacks()]
            return [*common, _two_questions(), _read_at_once(), _silent_end()]
        case _:
            common = [_hosting(recording) for recording in recordings()] + [_hosted(attack) for attack in attacks()]
            return [*common, *map(_served, attacks()), _dripping(), _reader(GO_ON), _reader(CLOSE), _comers(b"\0"), _comers(b"\3")]


def _replayed(recording: Recording, reader: Side, hear: bytes, say: bytes) -> bytes:
    """This side reads what it read in the recording, and writes where it wrote there."""
    heard = [[hear + part for part in raw(data)] if sender != reader else [say] for sender, data in recording.exchange]
    return b"".join(chain.from_iterable(heard))


def _calling(recording: Recording) -> bytes:
    send = calling_op(calling.Op.SEND, ONE_RESPONSE)
    return LIMITS + ROOM + _replayed(recording, "client", calling_op(calling.Op.HEAR), send)


def _hosting(recording: Recording) -> bytes:
    connect = hosting_op(hosting.Op.CONNECT, b"\0" + ROOM)
    answer = hosting_op(hosting.Op.ANSWER, ONE_RESPONSE + GO_ON)
    return LIMITS + SERVER + connect + _replayed(recording, "server", hosting_op(hosting.Op.HEAR, b"\0"), answer)


def _called(attack: bytes) -> bytes:
    hear = (signal(Signal.START), signal(Signal.RECEIVED), message(b"one"), attack)
    first, *others = (calling_op(calling.Op.HEAR, each) for each in hear)
    return LIMITS + ROOM + first + calling_op(calling.Op.SEND, ONE_RESPONSE) + b"".join(others) + calling_op(calling.Op.CLOSE)


def _hosted(attack: bytes) -> bytes:
    """Two peers, one of them hostile."""
    said = b"".join(hosting_op(hosting.Op.HEAR, bytes([peer]) + message(b"one")) for peer in (0, 1, 0))
    turn = hosting_op(hosting.Op.ANSWER, ONE_RESPONSE + GO_ON)
    hostile = hosting_op(hosting.Op.HEAR, b"\0" + attack)
    return LIMITS + SERVER + hosting_op(hosting.Op.GREET) * 2 + said + hostile + turn * 2 + hosting_op(hosting.Op.WAIT, b"\xff")


def _served(attack: bytes) -> bytes:
    """One peer sends a message and the attack. Then time passes."""
    hear = (message(b"one"), attack)
    answer = hosting_op(hosting.Op.ANSWER, ONE_RESPONSE + GO_ON)
    said = b"".join(hosting_op(hosting.Op.HEAR, b"\0" + each) for each in hear)
    return LIMITS + SERVER + hosting_op(hosting.Op.GREET) + said + answer + hosting_op(hosting.Op.WAIT, b"\xff")


def _dripping() -> bytes:
    """Every read ends in the middle of a heartbeat, and no heartbeat takes long."""
    beat = Signal.HEARTBEAT.frame
    parts = [beat[:9], *[beat[9:] + beat[:9]] * 8]
    drops = (hosting_op(hosting.Op.HEAR, b"\0" + each) + hosting_op(hosting.Op.WAIT, b"\20") for part in parts for each in raw(part))
    return LIMITS + SERVER + hosting_op(hosting.Op.GREET) + b"".join(drops)


def _two_questions() -> bytes:
    """The client sends two messages, and each gets its own answer."""
    hear = (signal(Signal.RECEIVED), message(b"one"), signal(Signal.RECEIVED), message(b"two"))
    begin = calling_op(calling.Op.HEAR, signal(Signal.START)) + calling_op(calling.Op.SEND, b"\2\0\3\0\3")
    answers = b"".join(calling_op(calling.Op.HEAR, each) for each in hear)
    return LIMITS + ROOM + begin + answers + b"".join(calling_op(calling.Op.RESPONSE_TO, number) for number in (b"\0", b"\0", b"\1"))


def _read_at_once() -> bytes:
    """More responses come than the limit of unread ones, and the client reads each at once."""
    response = calling_op(calling.Op.HEAR, message(b"x" * 60)) + calling_op(calling.Op.RESPONSE)
    return (
        LIMITS
        + ROOM
        + calling_op(calling.Op.HEAR, signal(Signal.START))
        + response * 6
        + response[:-1] * 2
        + calling_op(calling.Op.RESPONSE)
    )


def _silent_end() -> bytes:
    """The client closes, and the server writes nothing for a long time."""
    begin = calling_op(calling.Op.HEAR, signal(Signal.START)) + calling_op(calling.Op.CLOSE)
    return LIMITS + ROOM + begin + calling_op(calling.Op.WAIT, b"\10") * 3


def _reader(outcome: bytes) -> bytes:
    """A peer writes much at once, and reads slowly."""
    connect = hosting_op(hosting.Op.CONNECT, b"\0" * 3)
    said = b"".join(hosting_op(hosting.Op.SAY, b"\0" + each) for each in (signal(Signal.START_OK), *[message(b"one")] * 4))
    some = hosting_op(hosting.Op.WAIT, b"\6") + hosting_op(hosting.Op.TAKE, b"\0\3\0")
    turn = hosting_op(hosting.Op.ANSWER, LARGE_RESPONSES + GO_ON) + some * 2
    last = hosting_op(hosting.Op.ANSWER, LARGE_RESPONSES + outcome) + some * 3
    return LIMITS + SERVER + connect + said + hosting_op(hosting.Op.READ, b"\0" + ROOM) + turn + last + turn


def _comers(user: bytes) -> bytes:
    """Many peers connect, write one signal and leave."""
    come = hosting_op(hosting.Op.CONNECT, user + ROOM) + hosting_op(hosting.Op.HEAR, b"\0" + signal(Signal.START_OK))
    return LIMITS + SERVER + (come + hosting_op(hosting.Op.DROP, b"\0")) * 80
