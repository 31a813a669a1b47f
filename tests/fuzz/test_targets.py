"""Each target passes its seeds, programs and any bytes. `python -m tests.fuzz` tries more, for as long as you like."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.fuzz import calling, decoding, hosting
from tests.fuzz.program import PIECES, TYPES
from tests.fuzz.seeds import LARGE_RESPONSES, LIMITS, attacks, seeds
from tests.fuzz.targets import TARGETS

EXAMPLES = 600


def pieces() -> st.SearchStrategy[bytes]:
    """Pieces of a stream in the notation of a program. Most are messages and signals, so connections go on."""
    valid = st.builds(lambda content: bytes([2, 0, len(content)]) + content, st.binary(max_size=40))
    signals = st.builds(lambda number: bytes([1, number]), st.integers(0, 5))
    typed = st.builds(lambda kind, rest: bytes([2, kind]) + rest, st.integers(0, len(TYPES) - 1), st.binary(min_size=1, max_size=4))
    any_kind = st.builds(lambda kind, rest: bytes([kind]) + rest, st.integers(0, len(PIECES) - 1), st.binary(max_size=8))
    return valid | signals | typed | any_kind | st.sampled_from(attacks())


def programs(begin: bytes, often: list[int], ops: int, *, peers: bool = False) -> st.SearchStrategy[bytes]:
    """Programs: limits, the bytes `begin`, then steps. Most steps hear a piece (the first operation) or are one of `often`."""
    peer = st.integers(0, 3).map(lambda number: bytes([number])) if peers else st.just(b"")
    hear = st.builds(lambda who, piece: b"\0" + who + piece, peer, pieces())
    op = st.sampled_from(often) | st.sampled_from(often) | st.integers(1, ops - 1)
    other = st.builds(lambda op, operands: bytes([op]) + operands, op, st.binary(max_size=5) | st.just(LARGE_RESPONSES))
    header = st.binary(min_size=4, max_size=4) | st.just(bytes(4))
    return st.builds(lambda limits, steps: limits + begin + b"".join(steps), header, st.lists(hear | other, max_size=30))


def calling_programs() -> st.SearchStrategy[bytes]:
    often = [calling.OPS.index(op) for op in (calling.Op.SEND, calling.Op.RESPONSE_TO, calling.Op.WAIT)]
    return st.one_of([programs(room + b"\0\1\0", often, len(calling.OPS)) for room in (b"\xff\xff", b"\0\0")])


def hosting_programs() -> st.SearchStrategy[bytes]:
    often = [hosting.OPS.index(op) for op in (hosting.Op.ANSWER, hosting.Op.WAIT, hosting.Op.TAKE)]
    return st.one_of([programs(timeout + b"\1\1", often, len(hosting.OPS), peers=True) for timeout in (b"\0", b"\1")])


@pytest.mark.parametrize(("target", "seed"), [(target, seed) for target in TARGETS for seed in seeds(target)])
def test_each_target_passes_its_seeds(target: str, seed: bytes) -> None:
    for size in {len(seed), len(seed) // 2, len(seed) - 1}:
        TARGETS[target](seed[:size])


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=EXAMPLES)
@given(data=st.binary(max_size=200))
def test_each_target_passes_any_bytes(target: str, data: bytes) -> None:
    TARGETS[target](data)


@settings(max_examples=EXAMPLES)
@given(st.binary(min_size=3, max_size=3), st.lists(pieces(), max_size=20))
def test_the_decoder_keeps_its_rules_on_any_pieces(reads: bytes, pieces: list[bytes]) -> None:
    decoding.decoding(decoding.IN_PIECES + LIMITS + reads + b"".join(pieces))


@settings(max_examples=EXAMPLES)
@given(calling_programs())
def test_a_client_keeps_its_rules_on_any_program(data: bytes) -> None:
    calling.calling(data)


@settings(max_examples=EXAMPLES)
@given(hosting_programs())
@example(b"\0\0\0\0\1\1\0\0\2\0\1x\4\0\6\6\154")  # A peer is late to confirm when the timeout ends.
@example(b"\0\0\0\0\0\16\10\0\0\0\6\6\5\0\1\0\6\6")  # A peer connects at the end, and reads without confirming.
@example(
    b"\0\0\0\0\0\1\2\0\2\0\0\2\0\5\377\377\377\377\3\0\377\377"
)  # A broken frame follows the message that the handler has at a shutdown.
@example(b"\0\0\0\0\0\10\0\0\0\0\0\1\1\0\0\0\1\0\6\57")  # A peer that does not read takes too long for a frame.
@example(b"\0\0\0\0\0\10\0\0\0\0\0\1\1\0\0\2\0\1x\4\0\6\12\0\6\154")  # A peer that is asked to close stops reading.
@example(b"\0\0\0\0\0\10\0\0\0\0\0\1\1\16\6\156\5\0\0\1\6\0")  # A peer reads too late at the end of the server.
@example(
    b"\0\1\1\0\0\10\0\0\0\0\0\1\1\2\0\2\0\0\2\0\2\0\0\3\0\377\377\4\3\0\226\0\226\0\226\6"
)  # A peer is asked to close while it does not read.
@example(
    b"\0\0\0\0\0\1\1\4\3\0\x96\0\x96\0\x96\4\x22\2\0\0\0\2\0\x0f\0\0\0\0\0\0\0\0\0\2\0\0\0\0\0"
    b"\4\3\0\x96\0\x96\0\x96\0\0\2\0\0\0\0\2\0\0\0\0J\5\0\0\0\x84"
)  # The handler's answer is wrong after a signal.
def test_a_server_keeps_its_rules_on_any_program(data: bytes) -> None:
    hosting.hosting(data)
