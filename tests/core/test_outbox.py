"""The outbox: the bytes that went in come out, in order, however much of the head each write takes."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from ipcfold import Message
from ipcfold.core.frame import encode
from ipcfold.core.outbox import Outbox

SIZES = st.integers(0, 60) | st.sampled_from([2**16 - 20, 2**16, 2**16 + 1, 2**17])


def contents() -> st.SearchStrategy[list[Message]]:
    return st.lists(st.builds(lambda size, byte: Message.octets(bytes([byte]) * size), SIZES, st.integers(0, 255)), max_size=8)


def emptied(outbox: Outbox, take: st.DataObject) -> bytes:
    written = list[bytes]()
    while outbox.size:
        head = outbox.head()
        assert 0 < len(head) <= outbox.size
        count = take.draw(st.integers(1, len(head)) | st.just(len(head)))
        written.append(bytes(head[:count]))
        outbox.sent(count)
    return b"".join(written)


@given(st.data(), contents(), contents())
def test_bytes_come_out_as_they_went_in(data: st.DataObject, first: list[Message], second: list[Message]) -> None:
    outbox = Outbox()
    for message in first:
        outbox.add_message(message)
    assert outbox.size == sum(len(encode(message)) for message in first)
    partly = bytes(outbox.head()[:5])
    outbox.sent(len(partly))
    for message in second:
        outbox.add_message(message)
    assert partly + emptied(outbox, data) == b"".join(map(encode, first + second))
    assert outbox.head() == b""


@given(contents(), contents())
def test_nothing_comes_out_of_a_muted_one(before: list[Message], after: list[Message]) -> None:
    outbox = Outbox()
    for message in before:
        outbox.add_message(message)
    outbox.head()
    outbox.mute()
    for message in after:
        outbox.add_message(message)
    assert outbox.size == 0
    assert outbox.head() == b""


def test_what_was_written_is_not_kept() -> None:
    outbox = Outbox()
    tracemalloc.start()
    outbox.add(b"x" * 2**20)
    outbox.sent(len(outbox.head()))
    assert tracemalloc.get_traced_memory()[0] < 100_000
    tracemalloc.stop()


def test_a_large_content_is_neither_copied_nor_joined() -> None:
    outbox, content = Outbox(), b"x" * (2**16 + 1)
    outbox.add_message(Message.octets(content))
    outbox.sent(len(outbox.head()))
    assert outbox.head() is content
