"""The driver of a server's connections, over transports in memory."""

import pytest

from ipcfold import Limits, Message, Name, Peer
from ipcfold.core.server import ServerCore
from ipcfold.core.server_connection import ServerConnection
from ipcfold.core.transports import READ, WRITE, Transports
from ipcfold.core.wire import Signal, encode
from ipcfold.events import Connected, Disconnected

PING, PONG = Message.text("ping"), Message.text("pong")
LIMITS = Limits(drain=2.0)


class Memory:
    """A transport that takes so many bytes."""

    def __init__(self, space: int = 1000) -> None:
        self.interest = 0
        self.space = space
        self.written = b""
        self.closed = False

    def send(self, data: bytes | memoryview) -> int:
        piece = bytes(data[: self.space])
        self.space -= len(piece)
        self.written += piece
        return len(piece)

    def watch(self, interest: int) -> None:
        self.interest = interest

    def close(self) -> None:
        self.closed = True


def served(limits: Limits = LIMITS) -> ServerCore[int]:
    return ServerCore(0, name=Name("server"), heartbeat=1, limits=limits, timeout=None, now=0)


def talking(core: ServerCore[int]) -> tuple[Transports[int], Memory, ServerConnection]:
    """The transport of a client that has accepted the greeting."""
    transports, memory, end = Transports(core), Memory(), core.connect(Peer(1), 0)
    assert end is not None
    transports.add(end, memory)
    end.receive(Signal.START_OK.frame, 0)
    transports.settle(0, 0)
    assert (memory.written, memory.interest) == (Signal.START.frame, READ)
    memory.written = b""
    return transports, memory, end


def test_a_transport_that_is_full_is_watched_until_all_is_written() -> None:
    core = served()
    transports, memory, end = Transports(core), Memory(10), core.connect(Peer(1), 0)
    assert end is not None
    transports.add(end, memory)
    assert len(transports) == 1
    transports.settle(0, 0)
    assert memory.interest == READ | WRITE
    memory.space = 1000
    transports.write(end, 0)
    assert (memory.written, memory.interest) == (Signal.START.frame, READ)


def test_abandoned_transports_are_closed_and_watched_no_more() -> None:
    core = served()
    transports, memory, end = Transports(core), Memory(), core.connect(Peer(1), 0)
    assert end is not None
    transports.add(end, memory)
    transports.settle(0, 0)
    transports.abandon()
    assert (memory.interest, memory.closed) == (0, True)


def test_a_connection_without_a_transport_is_disconnected() -> None:
    core = served()
    core.connect(Peer(1), 0)
    Transports(core).settle(0, 0)
    assert [type(event) for event in core.events] == [Connected, Disconnected]


def test_a_connection_whose_peer_reads_nothing_more_tells_the_core_once() -> None:
    core = served()
    end = core.connect(Peer(1), 0)
    assert end is not None
    end.unheard()
    end.unheard()
    assert core.shared.changed == [end]
    assert end.outbox.size == 0


@pytest.mark.parametrize(("unsent", "interest"), [(2**20, READ | WRITE), (1, WRITE)])
def test_a_client_that_reads_nothing_is_watched_until_it_does(unsent: int, interest: int) -> None:
    core = served(Limits(unsent=unsent))
    transports, memory, end = talking(core)
    memory.space = 0
    end.receive(encode(PING), 0)
    ask, _, _ = transports.settle(0, 0)
    assert ask is not None
    core.answered(ask[1].respond(1, PONG), 0, 0)
    transports.settle(0, 0)
    assert (memory.written, memory.interest) == (b"", interest)  # The server reads no more from a client with too many unsent bytes.
    memory.space = 1000
    transports.write(end, 0)
    assert (memory.written, memory.interest) == (Signal.RECEIVED.frame + encode(PONG), READ)


def test_a_stream_that_ended_is_watched_no_more_and_closed_after_the_answer() -> None:
    core = served()
    transports, memory, end = talking(core)
    end.receive(encode(PING), 0)
    end.end()
    ask, _, _ = transports.settle(0, 0)
    assert ask is not None
    assert (memory.interest, memory.closed) == (0, False)
    core.answered(ask[1].respond(1, PONG), 0, 0)
    transports.settle(0, 0)
    assert (memory.written, memory.closed, len(transports)) == (Signal.RECEIVED.frame + encode(PONG), True, 0)
    assert [type(event) for event in core.events] == [Connected, Disconnected]


def test_the_time_to_confirm_the_close_runs_from_the_write_of_the_request() -> None:
    core = served()
    transports, memory, end = talking(core)
    end.receive(encode(PING), 1)
    ask, _, _ = transports.settle(1, 1)
    assert ask is not None
    core.answered(ask[1].close(1), 3, 1)
    transports.settle(5, 5)
    assert memory.written == Signal.RECEIVED.frame + Signal.CLOSE.frame
    assert end.deadline == 5 + LIMITS.drain


def test_a_server_gives_its_name_up_before_it_asks_its_clients_to_close() -> None:
    core, memory, written = served(), Memory(), list[bytes]()
    transports, end = Transports(core, lambda: written.append(memory.written)), core.connect(Peer(1), 0)
    assert end is not None
    transports.add(end, memory)
    transports.settle(0, 0)
    assert written == []
    core.shutdown(0)
    transports.settle(0, 0)
    assert written[0] == Signal.START.frame
    assert memory.written == Signal.START.frame + Signal.CLOSE.frame
