"""A server writes the same log with the accelerator and without it."""

from collections.abc import Iterator

import attrs
import pytest
from returns.result import Success

from ipcfold import IPC, Continuation, Message, Peer
from ipcfold.accelerator import accelerated, fast
from ipcfold.inputs import Came, Left
from ipcfold.log import Entry, MemoryLog, SQLiteLog, decode
from ipcfold.testing import replayed
from tests.shells.support import NAME, PATIENCE

SIZES = [0, 1, 7, 8, 9, 64, 1000, 70_000]
WORDS = ["plain", "twice", "none", "wake", "tell", "large", "close"]


@pytest.fixture(params=[True, False], ids=["in C", "in Python"])
def quick(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Whether the accelerator is used."""
    if not accelerated:
        pytest.skip("the accelerator is not built")
    before, wanted = fast.is_enabled(), bool(request.param)
    fast.enable(wanted)
    yield wanted
    fast.enable(before)


def handle(message: Message, given: Continuation[int], carry: int) -> Continuation[int]:
    carry += 1
    match message.content.split(b" ")[0]:
        case b"twice":
            return given.respond(carry, message, Message.octets(b"again"))
        case b"none":
            return given.continue_(carry)
        case b"wake":
            return given.respond(carry, message).wake(carry, None)
        case b"tell":
            return given.tell(carry, given.peer, message)
        case b"large":
            return given.respond(carry, Message.octets(b"x" * 100_000))
        case _:
            return given.respond(carry, message)


def said() -> list[Message]:
    contents = [b"x" * size for size in SIZES] + [word.encode() for word in WORDS] * 3 + [b"plain %d" % number for number in range(300)]
    types = ["text/plain", "application/json; charset=utf-8", "a/b"]
    return [Message.of(types[number % 7 % 3], content).unwrap() for number, content in enumerate(contents)]


def written(ipc: IPC) -> list[Entry]:
    """The log of a conversation, without what differs each time."""
    log = MemoryLog()
    with ipc.listen(NAME, log=log).start(0, handle) as server, ipc.get(NAME).unwrap() as ann, ipc.get(NAME).unwrap() as bob:
        ann.send(*said()).unwrap()
        for message in said()[:30]:
            bob.send(message).unwrap()
    assert server.result() == Success(len(said()) + 30)
    assert replayed(handle, log, 0) == server.result()
    entries = [decode(record) for record in log.records if isinstance(decode(record).what, Came)]
    return [
        attrs.evolve(entry, what=attrs.evolve(entry.what, now=0.0, peer=Peer(entry.what.peer.connection)))
        for entry in entries
        if isinstance(entry.what, Came | Left)
    ]


LOGS: dict[bool, list[Entry]] = {}


def test_the_log_is_the_same(quick: bool, ipc: IPC) -> None:  # noqa: FBT001 - a fixture
    LOGS[quick] = written(ipc)
    assert [entry.what.message for entry in LOGS[quick] if isinstance(entry.what, Came) and entry.what.peer.connection == 1] == said()
    if len(LOGS) == 2:
        assert LOGS[True] == LOGS[False]


def test_the_next_server_folds_the_log_of_each(quick: bool, ipc: IPC, tmp_path_factory: pytest.TempPathFactory) -> None:  # noqa: FBT001 - a fixture
    log = SQLiteLog.of(tmp_path_factory.mktemp("log") / "log")
    for life in range(1, 4):
        fast.enable(quick == (life % 2 == 0))
        with ipc.listen(NAME, log=log).start(0, handle) as server, ipc.get(NAME).unwrap() as ann:
            ann.send(*[Message.text("plain")] * 2000).unwrap()
            assert ann.wait(PATIENCE).unwrap() == Message.text("plain")
        assert server.result() == Success(2000 * life)
