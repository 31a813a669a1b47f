"""The driver of a server's connections, over transports in memory."""

from ipcfold import Limits, Name, Peer
from ipcfold.core.server import ServerCore
from ipcfold.core.transports import READ, WRITE, Transports
from ipcfold.core.wire import Signal
from ipcfold.events import Connected, Disconnected


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


def served() -> ServerCore[int]:
    return ServerCore(0, name=Name("server"), heartbeat=1, limits=Limits(), timeout=None, now=0)


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
