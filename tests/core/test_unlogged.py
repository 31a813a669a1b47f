"""A server whose log fails tells its clients nothing of what the log does not have."""

from hypothesis import given
from hypothesis import strategies as st

from ipcfold import Continuation, Limits, Message, Name, Peer
from ipcfold.continuation import Outcome
from ipcfold.core.buffers import Outbox
from ipcfold.core.server import ServerCore
from ipcfold.core.server_connection import ServerConnection
from ipcfold.core.wire import Signal, encode
from ipcfold.inputs import Left, Woken

ONE, TWO = Message.text("one"), Message.text("two")
START, ACK, CLOSE, CLOSE_OK = Signal.START.frame, Signal.RECEIVED.frame, Signal.CLOSE.frame, Signal.CLOSE_OK.frame
Record = tuple[Message | Left | Woken, int]


class Logged:
    """A server in memory with two clients, whose log has what was committed."""

    def __init__(self) -> None:
        self.records = list[Record]()
        self.made = list[tuple[bytes, int]]()
        self.core = ServerCore(0, name=Name("server"), heartbeat=1, limits=Limits(), timeout=None, now=0)
        self.core.log(self._record, 0, lambda data, count: self.made.append((data, count)))
        self.ends = [self._connected(1), self._connected(2)]

    def _record(self, what: Message | Left | Woken, given: Continuation[int], answer: Continuation[int]) -> None:
        assert isinstance(what, Left) or answer.carry == given.carry + 1
        self.records.append((what, given.carry))

    def _connected(self, number: int) -> ServerConnection:
        end = self.core.connect(Peer(number), 0)
        assert end is not None
        end.receive(Signal.START_OK.frame, 0)
        self.core.turn(0, 0)
        self.written(end)
        return end

    def say(self, end: ServerConnection, outcome: Outcome = Outcome.CONTINUE, *told: Peer) -> None:
        end.receive(encode(ONE), 0)
        ask, _, _ = self.core.turn(0, 0)
        assert ask is not None
        answer = ask[1].respond(ask[1].carry + 1, TWO)
        for peer in told:
            answer = answer.tell(answer.carry, peer, TWO)
        answer = answer.close(answer.carry) if outcome is Outcome.CLOSE else answer
        self.core.answered(answer, 0, 0)

    @staticmethod
    def written(end: ServerConnection, size: int = 2**20) -> bytes:
        data = b""
        while len(data) < size and (piece := bytes(end.outbox.head()[: size - len(data)])):
            end.wrote(len(piece), 0)
            data += piece
        return data


def test_a_client_gets_what_was_committed_and_a_request_to_close() -> None:
    server = Logged()
    ann, bob = server.ends
    server.say(ann)
    server.core.committed()
    server.say(ann)
    server.say(ann)
    server.core.unlogged(1, 0)
    assert server.written(ann) == ACK + encode(TWO) + CLOSE
    assert server.written(bob) == CLOSE
    assert (server.core.result().unwrap(), len(server.records)) == (1, 3)


def test_a_client_that_has_read_a_part_gets_the_rest_of_what_was_committed() -> None:
    server = Logged()
    ann, _ = server.ends
    server.say(ann)
    server.core.committed()
    part = server.written(ann, 5)
    server.say(ann)
    server.core.unlogged(1, 0)
    assert part + server.written(ann) == ACK + encode(TWO) + CLOSE


def test_a_client_that_the_handler_closed_is_asked_once() -> None:
    server = Logged()
    ann, _ = server.ends
    server.say(ann, Outcome.CLOSE)
    server.core.unlogged(0, 0)
    assert server.written(ann) == CLOSE


def test_what_another_client_was_told_is_dropped_too() -> None:
    server = Logged()
    ann, bob = server.ends
    server.say(ann, Outcome.CONTINUE, bob.peer)
    server.core.unlogged(0, 0)
    assert (server.written(ann), server.written(bob)) == (CLOSE, CLOSE)


def test_what_the_accelerator_holds_is_written_after_the_commit() -> None:
    server = Logged()
    ann, _ = server.ends
    server.core.hold(ann, ACK, b"record", 1)
    assert server.made == [(b"record", 1)]
    server.core.committed()
    server.core.hold(ann, CLOSE_OK, b"", 0)  # a farewell is no record
    assert server.made == [(b"record", 1)]
    server.core.committed()
    server.core.hold(ann, ACK + ACK, b"others", 2)
    server.core.unlogged(0, 0)
    assert server.written(ann) == ACK + CLOSE_OK + CLOSE


def test_no_departure_is_folded_after_the_log_has_failed() -> None:
    server = Logged()
    ann, bob = server.ends
    server.core.disconnect(bob)
    server.core.turn(0, 0)
    assert [type(what) for what, _ in server.records] == [Left]  # whoever was there counts for what is told
    server.core.unlogged(0, 0)
    server.core.disconnect(ann)
    server.core.turn(0, 0)
    assert (server.core.over, len(server.records)) == (True, 1)


@given(st.lists(st.binary(max_size=40), max_size=8), st.integers(0, 400), st.integers(0, 400))
def test_an_outbox_that_is_cut_keeps_its_first_bytes(pieces: list[bytes], sent: int, size: int) -> None:
    outbox, data = Outbox(), b"".join(pieces)
    for piece in pieces:
        outbox.extend([piece])
    head = outbox.head()
    count = min(sent, len(head))
    outbox.sent(count)
    outbox.cut(size)
    left = b""
    while outbox.size:
        head = bytes(outbox.head())
        left += head
        outbox.sent(len(head))
    assert left == data[count:][:size]
