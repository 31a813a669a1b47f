"""The bytes of the stream and of the inboxes: what is written is read again, and any other bytes are nothing."""

from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st

from ipcfold import Name
from ipcfold.nats.entries import (
    Adopted,
    Burst,
    Bye,
    Check,
    Gone,
    Hello,
    Lead,
    OfClient,
    OfServer,
    Over,
    Part,
    Rang,
    Sync,
    decode_client,
    decode_server,
    encode,
)
from ipcfold.nats.items import (
    PIECE,
    Behind,
    Failed,
    Item,
    Items,
    Kind,
    Note,
    Ping,
    State,
    Unknown,
    decode,
    encode_item,
    encode_items,
    encode_note,
    pieces,
)
from ipcfold.nats.subjects import Subjects, is_inbox, name_of

T = TypeVar("T")

NUMBERS = st.integers(0, 2**64 - 1)
SHORT = st.integers(0, 2**32 - 1)
SESSIONS = st.from_regex("[A-Za-z0-9_-]{1,64}", fullmatch=True)
INBOXES = st.from_regex(r"_INBOX(\.[A-Za-z0-9_-]{1,22}){1,3}", fullmatch=True)

OF_CLIENT: st.SearchStrategy[OfClient] = st.one_of(
    st.builds(Hello, INBOXES),
    st.builds(Burst, NUMBERS, NUMBERS, st.binary()),
    st.builds(Part, NUMBERS, NUMBERS, SHORT, st.booleans(), st.binary()),
    st.builds(Sync, SHORT, NUMBERS, INBOXES),
    st.builds(Bye, NUMBERS, INBOXES),
)
OF_SERVER: st.SearchStrategy[OfServer] = st.one_of(
    st.builds(Lead, SESSIONS, NUMBERS),
    st.builds(Gone, NUMBERS, st.lists(SESSIONS, min_size=1, max_size=5).map(tuple)),
    st.builds(Rang, NUMBERS, NUMBERS),
    st.builds(Over, NUMBERS),
    st.builds(Check, NUMBERS, NUMBERS, SHORT),
    st.builds(Adopted, NUMBERS),
)
NOTES: st.SearchStrategy[Note] = st.one_of(
    st.builds(State, SHORT, NUMBERS, NUMBERS),
    st.builds(Failed, NUMBERS, st.text(st.characters(exclude_categories=["Cs"]))),
    st.just(Ping()),
    st.just(Behind()),
    st.just(Unknown()),
)
ITEMS = st.builds(Item, st.sampled_from(Kind), NUMBERS, st.binary())


@given(OF_CLIENT)
def test_an_entry_of_a_client_is_read_as_it_was_written(entry: OfClient) -> None:
    assert decode_client(encode(entry)) == entry


@given(OF_SERVER)
def test_an_entry_of_a_server_is_read_as_it_was_written(entry: OfServer) -> None:
    assert decode_server(encode(entry)) == entry


@given(NUMBERS, st.lists(ITEMS, max_size=5))
def test_items_are_read_as_they_were_written(first: int, items: list[Item]) -> None:
    assert decode(encode_items(first, [encode_item(item) for item in items])) == Items(first, tuple(items))


@given(NOTES)
def test_a_note_is_read_as_it_was_written(note: Note) -> None:
    assert decode(encode_note(note)) == note


@given(
    st.binary() | st.tuples(st.sampled_from([b"H", b"M", b"P", b"S", b"B", b"L", b"G", b"A", b"O", b"I", b"E"]), st.binary()).map(b"".join)
)
def test_any_bytes_are_something_or_nothing(data: bytes) -> None:
    for read in (decode_client, decode_server, decode):
        read(data)  # and nothing raises


@given(st.integers(0, 3 * PIECE + 1))
def test_a_large_item_is_cut_into_pieces_that_make_it_again(size: int) -> None:
    item = Item(Kind.ANSWER, 7, bytes(size))
    cut = decode(encode_items(1, list(pieces(item))))
    assert isinstance(cut, Items)
    assert b"".join(each.data for each in cut.items) == item.data
    assert [each.kind for each in cut.items] == [Kind.PIECE] * (len(cut.items) - 1) + [Kind.ANSWER]
    assert all(len(each.data) <= PIECE for each in cut.items)


def test_an_entry_that_is_cut_off_or_too_long_or_of_another_version_is_nothing() -> None:
    assert decode_client(encode(Sync(1, 2, "_INBOX.a"))[:12]) is None
    assert decode_client(encode(Sync(1, 2, "ipcfold.server.lead"))) is None
    assert decode_client(encode(Bye(1, "ipcfold.server.lead"))) is None
    assert decode_client(encode(Hello("_INBOX.a")).replace(b"H\x01", b"H\x02")) is None
    assert decode_client(encode(Hello("ipcfold.server.lead"))) is None
    assert decode_client(b"?") is None
    assert decode_client(encode(Part(1, 0, 0, True, b"")).replace(b"\1", b"\2")) is None
    assert decode_server(encode(Rang(1, 2)) + b"x") is None
    assert decode_server(b"?" * 9) is None
    assert decode_server(encode(Gone(1, ("a b",))) + b" .") is None
    assert decode_server(encode(Lead("a.b", 1))) is None
    assert decode(encode_items(1, [encode_item(Item(Kind.TOLD, 0, b"12"))])[:-1]) is None
    assert decode(b"?x") is None


def test_subjects_tell_whose_they_are() -> None:
    subjects = Subjects(Name("a"))
    assert subjects.session("ipcfold.a.in.s1") == "s1"
    assert subjects.session("ipcfold.a.lead") is None
    assert subjects.session("ipcfold.a.in." + "s" * 65) is None
    assert not is_inbox("_INBOX." + "a" * 600)
    assert name_of("ipcfold_b c") is None
