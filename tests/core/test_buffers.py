"""The outbox gives out all bytes in order, however many of them each write takes."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from ipcfold.core.buffers import Outbox

SIZES = st.integers(1, 60) | st.sampled_from([2**16 - 20, 2**16, 2**16 + 1, 2**17])


def pieces() -> st.SearchStrategy[list[bytes]]:
    return st.lists(st.builds(lambda size, byte: bytes([byte]) * size, SIZES, st.integers(0, 255)), max_size=8)


def emptied(outbox: Outbox, take: st.DataObject) -> bytes:
    written = list[bytes]()
    while outbox.size:
        head = outbox.head()
        assert 0 < len(head) <= outbox.size
        count = take.draw(st.integers(1, len(head)) | st.just(len(head))) if len(written) < 30 else len(head)
        written.append(bytes(head[:count]))
        outbox.sent(count)
    return b"".join(written)


@given(st.data(), pieces(), pieces())
def test_bytes_leave_the_outbox_in_the_order_they_entered_it(data: st.DataObject, first: list[bytes], second: list[bytes]) -> None:
    outbox = Outbox()
    for piece in first:
        outbox.add(piece)
    assert outbox.size == sum(map(len, first))
    partly = bytes(outbox.head()[:5])
    outbox.sent(len(partly))
    for piece in second:
        outbox.add(piece)
    assert partly + emptied(outbox, data) == b"".join(first + second)
    assert outbox.head() == b""


@given(pieces(), pieces())
def test_a_muted_outbox_gives_out_nothing(before: list[bytes], after: list[bytes]) -> None:
    outbox = Outbox()
    for piece in before:
        outbox.add(piece)
    outbox.head()
    outbox.mute()
    for piece in after:
        outbox.add(piece)
    assert outbox.size == 0
    assert outbox.head() == b""


def test_the_outbox_does_not_keep_written_bytes() -> None:
    outbox = Outbox()
    tracemalloc.start()
    outbox.add(b"x" * 2**20)
    outbox.sent(len(outbox.head()))
    assert tracemalloc.get_traced_memory()[0] < 100_000
    tracemalloc.stop()


def test_a_large_piece_is_neither_copied_nor_joined() -> None:
    outbox, large = Outbox(), b"x" * (2**16 + 1)
    outbox.add(b"before")
    outbox.add(large)
    assert outbox.head() == b"before"
    outbox.sent(6)
    assert outbox.head() is large


def test_small_pieces_leave_in_one_write() -> None:
    outbox = Outbox()
    for piece in b"acknowledged", b"first", b"second":
        outbox.add(piece)
    assert outbox.head() == b"acknowledgedfirstsecond"


def test_the_head_stays_the_same_until_it_is_written() -> None:
    outbox = Outbox()
    outbox.add(b"first")
    head = outbox.head()
    outbox.add(b"second")
    assert outbox.head() is head
    outbox.sent(2)
    rest = outbox.head()
    outbox.add(b"third")
    assert outbox.head() is rest
    outbox.sent(3)
    assert outbox.head() == b"secondthird"
