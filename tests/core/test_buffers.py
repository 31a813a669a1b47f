"""The outbox gives out all bytes in order, however many of them each write takes."""

import tracemalloc
from io import BytesIO

from hypothesis import given
from hypothesis import strategies as st

from ipcfold import Limits, Message, Name, Peer
from ipcfold.core.buffers import Outbox
from ipcfold.core.client_connection import ClientConnection
from ipcfold.core.server import ServerCore
from ipcfold.core.wire import Signal, encode

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


class Kept:
    """Memory that has another content before."""

    def __init__(self) -> None:
        self.sizes = list[int]()

    def __call__(self, size: int) -> BytesIO:
        self.sizes.append(size)
        return BytesIO(b"?" * size)


LARGE = Message.octets(b"x" * 2**17)


def filled(room: memoryview | None, rest: bytes) -> int:
    assert room is not None
    room[:] = rest
    return len(rest)


def test_a_client_receives_a_large_response_into_the_memory_that_its_shell_gives() -> None:
    kept, frame = Kept(), encode(LARGE)
    end = ClientConnection(heartbeat=1, limits=Limits(), now=0, memory=kept)
    end.receive(Signal.START.frame + frame[: 2**16])
    end.filled(filled(end.room(), frame[2**16 :]))
    assert (end.response(), kept.sizes) == (LARGE, [2**17 + 1])


def test_a_server_receives_a_large_message_into_the_memory_that_its_shell_gives() -> None:
    kept, frame = Kept(), encode(LARGE)
    core = ServerCore(0, name=Name("server"), heartbeat=1, limits=Limits(), timeout=None, now=0, memory=kept)
    end = core.connect(Peer(1), 0)
    assert end is not None
    end.receive(Signal.START_OK.frame + frame[: 2**16], 0)
    core.turn(0, 0)
    end.filled(filled(end.room(), frame[2**16 :]), 0)
    ask, _, _ = core.turn(0, 0)
    assert ask is not None
    assert (ask[0], kept.sizes) == (LARGE, [2**17 + 1])
