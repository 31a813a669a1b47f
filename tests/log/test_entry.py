"""Entries and snapshots are bytes in a log, and the same values again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcfold import Came, Continuation, Left, Message, Outcome, Peer, Ticket, Woken
from ipcfold.core.fold import FoldState
from ipcfold.events import Ending
from ipcfold.log import Adopted, Began, Ended, Entry, Snapshot
from ipcfold.log.entry import DamagedError, decode, decode_snapshot, digest, encode, encode_snapshot, folded
from ipcfold.testing import messages

TIMES = st.floats(allow_nan=False, allow_infinity=False)
NUMBERS = st.integers(0, 2**63 - 1)
IDS = st.integers(-1, 2**32)
PEERS = st.builds(Peer, NUMBERS, IDS, IDS, IDS)
DIGESTS = st.integers(0, 2**64 - 1)
ENTRIES = (
    st.builds(Entry, st.builds(Came, TIMES, PEERS, messages()), NUMBERS, DIGESTS)
    | st.builds(Entry, st.builds(Left, TIMES, PEERS), st.just(0), DIGESTS)
    | st.builds(Entry, st.builds(Woken, TIMES), st.just(0), DIGESTS)
    | st.builds(Entry, st.builds(Began, TIMES) | st.builds(Ended, TIMES, st.sampled_from(Ending)))
    | st.builds(Entry, st.builds(Adopted, TIMES, NUMBERS), st.just(0), DIGESTS)
)
STATES = st.builds(
    FoldState, TIMES, st.none() | TIMES, NUMBERS, st.lists(PEERS).map(tuple), st.lists(st.builds(Ticket, PEERS, NUMBERS, TIMES)).map(tuple)
)
SNAPSHOTS = st.builds(Snapshot, NUMBERS, messages(), STATES)
GIVEN: Continuation[int] = Continuation(0, peer=Peer(3, 4), now=5.0, number=6)
ONE, TWO = Message.text("one"), Message.text("two")


@given(ENTRIES)
def test_decoding_an_encoded_entry_gives_the_entry(entry: Entry) -> None:
    assert decode(encode(entry)) == entry


@given(SNAPSHOTS)
def test_decoding_an_encoded_snapshot_gives_the_snapshot(snapshot: Snapshot) -> None:
    assert decode_snapshot(encode_snapshot(snapshot)) == snapshot


@given(st.binary() | st.builds(lambda entry, at, byte: _changed(encode(entry), at, byte), ENTRIES, NUMBERS, st.integers(0, 255)))
def test_any_bytes_are_an_entry_or_damaged(record: bytes) -> None:
    try:
        entry = decode(record)
    except DamagedError:
        return
    assert isinstance(entry, Entry)


@given(
    st.binary()
    | st.builds(lambda snapshot, at, byte: _changed(encode_snapshot(snapshot), at, byte), SNAPSHOTS, NUMBERS, st.integers(0, 255))
)
def test_any_bytes_are_a_snapshot_or_damaged(record: bytes) -> None:
    try:
        snapshot = decode_snapshot(record)
    except DamagedError:
        return
    assert isinstance(snapshot, Snapshot)


@pytest.mark.parametrize(
    "record", [b"", b"\x00" * 17, b"\x07" + bytes(16), encode(Entry(Woken(1.0))) + b"?", encode(Entry(Adopted(1.0))) + b"?"]
)
def test_what_is_no_entry_is_damage(record: bytes) -> None:
    with pytest.raises(DamagedError):
        decode(record)


def test_an_adoption_may_have_nothing_but_its_time() -> None:
    assert decode(encode(Entry(Adopted(1.0, 3), 0, 5))[:9] + bytes(8)) == Entry(Adopted(1.0))


@pytest.mark.parametrize("damage", [(b"text/plain", b"text plain"), (b"one", b"on")])
def test_a_damaged_message_is_damage(damage: tuple[bytes, bytes]) -> None:
    record = encode(Entry(Came(1.0, GIVEN.peer, ONE), 1, 1))
    assert record.count(damage[0]) == 1
    with pytest.raises(DamagedError):
        decode(record.replace(*damage))


def _changed(record: bytes, at: int, byte: int) -> bytes:
    at %= len(record) + 1
    return record[:at] + bytes([byte]) + record[at + 1 :]


@given(messages(), TIMES)
def test_the_record_of_an_input_has_its_client_its_time_and_the_digest_of_its_answer(message: Message, now: float) -> None:
    answer = GIVEN.respond(1, message)
    assert decode(folded(message, GIVEN, answer)) == Entry(Came(5.0, GIVEN.peer, message), 6, digest(answer))
    assert decode(folded(Left(now, GIVEN.peer), GIVEN, answer)) == Entry(Left(now, GIVEN.peer), 0, digest(answer))
    assert decode(folded(Woken(now), GIVEN, answer)) == Entry(Woken(now), 0, digest(answer))


def test_answers_that_differ_have_different_digests() -> None:
    ticket = Ticket(Peer(1), 1)
    answers: list[Continuation[int]] = [
        GIVEN,
        GIVEN.stop(0),
        GIVEN.close(0),
        GIVEN.respond(0, ONE),
        GIVEN.respond(0, TWO),
        GIVEN.respond(0, ONE, TWO),
        GIVEN.respond(0, TWO, ONE),
        GIVEN.respond(0, Message.octets(b"one")),
        GIVEN.wake(0, 1.0),
        GIVEN.wake(0, 2.0),
        GIVEN.wake(0, None),
        GIVEN.defer(0),
        GIVEN.tell(0, Peer(1), ONE),
        GIVEN.tell(0, Peer(2), ONE),
        GIVEN.tell(0, Peer(1), TWO),
        GIVEN.tell(0, Peer(1), ONE).respond(0, TWO),
        GIVEN.respond(0, TWO).tell(0, Peer(1), ONE),
        GIVEN.answer(0, ticket, ONE),
        GIVEN.answer(0, Ticket(Peer(1), 2), ONE),
        GIVEN.answer(0, Ticket(Peer(1), 1, 5.0), ONE),
        GIVEN.respond(0, ONE).answer(0, ticket, ONE),
        GIVEN.answer(0, ticket),
    ]
    assert len(set(map(digest, answers))) == len(answers)


def test_a_digest_leaves_out_the_carry_and_what_was_rescued() -> None:
    assert digest(Continuation("one")) == digest(Continuation(2, outcome=Outcome.CONTINUE, peer=Peer(7), now=8.0))
    assert digest(GIVEN.rescued(0, ValueError("at 0x7f"))) == digest(GIVEN)
