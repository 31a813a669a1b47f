"""Each target holds on its seeds, on programs and on any bytes; `python -m tests.fuzz` looks further, for as long as one likes."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.fuzz import calling, hosting, serving
from tests.fuzz.decoding import decoding
from tests.fuzz.seeds import IN_PIECES, attacks, seeds
from tests.fuzz.tape import PIECES, TYPES
from tests.fuzz.targets import TARGETS

EXAMPLES = 800


def pieces() -> st.SearchStrategy[bytes]:
    """Pieces of a stream, as the tape has them: mostly messages and signals, so that conversations go on."""
    valid = st.builds(lambda content: bytes([2, 0, len(content)]) + content, st.binary(max_size=40))
    signals = st.builds(lambda number: bytes([1, number]), st.integers(0, 5))
    typed = st.builds(lambda kind, rest: bytes([2, kind]) + rest, st.integers(0, len(TYPES) - 1), st.binary(min_size=1, max_size=4))
    any_kind = st.builds(lambda kind, rest: bytes([kind]) + rest, st.integers(0, len(PIECES) - 1), st.binary(max_size=8))
    return valid | signals | typed | any_kind | st.sampled_from(attacks())


def programs(begin: bytes, ops: int, *, peers: bool = False) -> st.SearchStrategy[bytes]:
    """Limits, what always comes first, then steps; the first of the operations hears a piece."""
    peer = st.integers(0, 3).map(lambda number: bytes([number])) if peers else st.just(b"")
    hear = st.builds(lambda who, piece: b"\0" + who + piece, peer, pieces())
    other = st.builds(lambda op, operands: bytes([op]) + operands, st.integers(1, ops - 1), st.binary(max_size=5))
    header = st.binary(min_size=4, max_size=4) | st.just(bytes(4))
    return st.builds(lambda limits, steps: limits + begin + b"".join(steps), header, st.lists(hear | other, max_size=30))


@pytest.mark.parametrize(("target", "seed"), [(target, seed) for target in TARGETS for seed in seeds(target)])
def test_the_seeds(target: str, seed: bytes) -> None:
    for size in {len(seed), len(seed) // 2, len(seed) - 1}:
        TARGETS[target](seed[:size])


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=EXAMPLES)
@given(data=st.binary(max_size=200))
def test_any_bytes(target: str, data: bytes) -> None:
    TARGETS[target](data)


@settings(max_examples=EXAMPLES)
@given(st.lists(pieces(), max_size=20).map(b"".join).map(lambda stream: IN_PIECES + stream))
@example(b"")
def test_decoding(data: bytes) -> None:
    decoding(data)


@settings(max_examples=EXAMPLES)
@given(programs(b"\xff\xff\0\1\1", len(serving.OPS)) | programs(b"\0\0\0\1\1", len(serving.OPS)))
@example(b"")
def test_serving(data: bytes) -> None:
    serving.serving(data)


@settings(max_examples=EXAMPLES)
@given(programs(b"\xff\xff\0\1\0", len(calling.OPS)) | programs(b"\0\0\0\1\0", len(calling.OPS)))
@example(b"")
def test_calling(data: bytes) -> None:
    calling.calling(data)


@settings(max_examples=EXAMPLES)
@given(programs(b"\0\1\1", len(hosting.OPS), peers=True) | programs(b"\1\1\1", len(hosting.OPS), peers=True))
@example(b"")
def test_hosting(data: bytes) -> None:
    hosting.hosting(data)
