"""The common path in few calls does what the classes of the core do: it writes and keeps the same, or it takes nothing."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from ipcfold import Continuation, Limits, Message, Name, Peer
from ipcfold.core.client_connection import ClientConnection
from ipcfold.core.fold import Ask
from ipcfold.core.plain import answer, begun, heard, kept, sent
from ipcfold.core.server import ServerCore
from ipcfold.core.server_connection import ServerConnection
from ipcfold.core.transports import READ, Transports
from ipcfold.core.wire import RefusedError, Signal, encode
from ipcfold.message import OCTET_STREAM, TEXT_PLAIN
from ipcfold.testing import messages
from tests.accelerator.builds import LIMITS, handler
from tests.accelerator.test_differential import comparable, cut, facts

ACKNOWLEDGEMENT: Final = Signal.RECEIVED.frame
PLAIN: Final = st.sampled_from([b"", b"e", b"n", b"m", b"t", b"u", b"x", b"c", b"i", b"w", b"x" * 3000, Signal.HEARTBEAT.content])
CONTENTS: Final = PLAIN | st.sampled_from([b"s", b"r", b"k", b"b", b"a", b"d", b"e" * 20_000]) | st.binary(max_size=40)
MESSAGES: Final = st.builds(Message, st.sampled_from([TEXT_PLAIN, TEXT_PLAIN, OCTET_STREAM]), CONTENTS)
FRAMES: Final = MESSAGES.map(encode) | messages().map(encode) | st.sampled_from([each.frame for each in Signal]) | st.binary(max_size=12)
ARRIVING: Final = st.lists(FRAMES, min_size=1, max_size=3).map(b"".join) | MESSAGES.map(encode)
RESPONSES: Final = MESSAGES.map(lambda message: ACKNOWLEDGEMENT + encode(message)) | ARRIVING


class Line:
    """The transport of one client, with room for so many bytes."""

    def __init__(self) -> None:
        self.room = 2**20
        self.written = b""
        self.interest = 0
        self.closed = False

    def send(self, data: bytes | memoryview) -> int:
        """See `Transport`."""
        count = min(self.room, len(data))
        self.room -= count
        self.written += data[:count]
        return count

    def watch(self, interest: int) -> None:
        """See `Transport`."""
        self.interest = interest

    def close(self) -> None:
        """See `Transport`."""
        self.closed = True


class Server:
    """A server in memory, whose shell uses the common path, or does not."""

    def __init__(self, *, plain: bool) -> None:
        self.core = ServerCore(0, name=Name("plain"), heartbeat=10.0, limits=LIMITS, timeout=1000.0, now=0.0, woken=True)
        self._plain = plain
        self._transports = Transports(self.core)
        self._clients = list[tuple[ServerConnection, Line]]()
        self.now = 0.0
        self.taken = 0

    def connect(self) -> None:
        number = len(self._clients) + 1
        end = self.core.connect(Peer(number, number, 0, 0), self.now)
        if end is not None:
            self._clients.append((end, Line()))
            self._transports.add(*self._clients[-1])
        self._settle(self.now)

    def receive(self, client: int, data: bytes) -> None:
        """The client's bytes arrive, if the server reads them."""
        end, line = self._clients[client]
        if line.closed or not line.interest & READ or end.waiting or end.behind:
            return
        since = self.now
        asked = begun(self.core, end, data, since, since) if self._plain else None
        if asked is None:
            end.receive(data, since)
        elif (answered := self._asked(asked)) is not None:
            self._keep(end, line, answered)
        self._settle(since)

    def widen(self, client: int, room: int) -> None:
        """The client has room for so many bytes, and no more."""
        end, line = self._clients[client]
        line.room = room
        if not line.closed:
            self._transports.write(end, self.now)
        self._settle(self.now)

    def leave(self, client: int) -> None:
        end, _ = self._clients[client]
        end.end()
        self._settle(self.now)

    def known(self) -> list[object]:
        """Everything that can be known of the server."""
        fold, paused = self.core._fold, self.core.shared.paused  # noqa: SLF001 - compared in full
        own = fold._carry, fold.deadline, fold.asked, fold.stopped, fold._time, fold.rings, list(fold.waiting), paused  # noqa: SLF001
        known: list[object] = [own, comparable(self.core.result())]
        for end, line in self._clients:
            slots = {slot: getattr(end, slot) for slot in ServerConnection.__slots__}
            decoder = slots.pop("_decoder")
            for slot in ("_frames", "_shared", "outbox", "due"):
                del slots[slot]
            known += slots, line.written, line.closed, line.interest, end.outbox.size, decoder._data[decoder._at :]  # noqa: SLF001
        return known

    def _settle(self, since: float) -> None:
        while (asked := self._transports.settle(self.now, since)[0]) is not None:
            if (answered := self._asked(asked)) is not None:
                self.core.answered(answered, self.now, self.now)

    def _keep(self, end: ServerConnection, line: Line, answered: Continuation[int]) -> None:
        data = kept(self.core, end, answered, self.now)
        if data is None:
            self.core.answered(answered, self.now, self.now)
            return
        self.taken += 1
        written = line.send(data)
        if written < len(data):
            end.owe(data[written:])

    def _asked(self, asked: Ask[int]) -> Continuation[int] | None:
        """The handler takes a while."""
        what, continuation = asked
        try:
            answered = answers(what, continuation)
        except KeyboardInterrupt:
            self.core.interrupted(self.now)
            return None
        except ValueError as error:
            self.core.failed(error, self.now)
            return None
        finally:
            self.now += 0.125
        return answered


def answers(what: object, continuation: Continuation[int]) -> Continuation[int]:
    """What the handler of the accelerator's tests answers, and effects and values without attributes."""
    if not isinstance(what, Message):  # an alarm
        return continuation.continue_(continuation.carry + 100)
    match what.content[:1]:
        case b"w":
            return continuation.wake(continuation.carry, continuation.now + 0.5)
        case b"a":
            return Continuation.__new__(Continuation)
        case b"d":
            return continuation.respond(0, Message.__new__(Message))
        case _:
            answer: Continuation[int] = handler(what, continuation, continuation.carry)  # type: ignore[assignment]  # some are not valid
            return answer


class Servers(RuleBasedStateMachine):
    """Two servers with the same clients, which send the same bytes."""

    def __init__(self) -> None:
        super().__init__()
        self._servers = Server(plain=True), Server(plain=False)
        self._clients = 0

    @initialize()
    def start(self) -> None:
        self.connect()

    @rule()
    def connect(self) -> None:
        if self._clients < 3:
            self._clients += 1
            for server in self._servers:
                server.connect()
            self.arrive(Signal.START_OK.frame, self._clients - 1)

    @rule(data=ARRIVING, client=st.integers(0, 2))
    def arrive(self, data: bytes, client: int) -> None:
        for server in self._servers:
            server.now += 0.125
            server.receive(client % self._clients, data)
        self._compare()

    @rule(message=MESSAGES, client=st.integers(0, 2))
    def talk(self, message: Message, client: int) -> None:
        self.arrive(encode(message), client)

    @rule(room=st.sampled_from([0, 10, 2**20]), client=st.integers(0, 2))
    def widen(self, room: int, client: int) -> None:
        for server in self._servers:
            server.widen(client % self._clients, room)
        self._compare()

    @rule(client=st.integers(0, 2))
    def leave(self, client: int) -> None:
        for server in self._servers:
            server.leave(client % self._clients)
        self._compare()

    def _compare(self) -> None:
        plain, classes = self._servers
        assert plain.known() == classes.known()


TestServers = Servers.TestCase


@pytest.mark.parametrize("content", [b"e", b"n", b"e" * 3000])
def test_the_common_path_takes_plain_messages(content: bytes) -> None:
    server = Server(plain=True)
    server.connect()
    server.receive(0, Signal.START_OK.frame)
    for _ in range(3):
        server.receive(0, encode(Message(TEXT_PLAIN, content)))
    assert server.taken == 3


@given(
    st.lists(st.tuples(MESSAGES | messages(), RESPONSES, st.lists(st.integers(0, 60), max_size=2), st.booleans()), max_size=8),
    st.sets(st.integers(0, 4)),
    st.sampled_from([LIMITS, Limits(message=9), Limits(unread=600)]),
)
@example([(Message.text("one"), ACKNOWLEDGEMENT + encode(Message.text("two")), [], False)] * 8, set(), Limits(unread=600))
def test_a_client_sends_and_takes_the_same(trips: list[tuple[Message, bytes, list[int], bool]], disowned: set[int], limits: Limits) -> None:
    plain, classes = (ClientConnection(heartbeat=100.0, limits=limits, now=0.0) for _ in range(2))
    for connection in (plain, classes):
        connection.receive(Signal.START.frame)
        connection.outbox.sent(connection.outbox.size)
        for number in disowned:
            connection.disown(number)
    for now, (message, data, cuts, take) in enumerate(trips):
        assert _sent(plain, message, 25.0 * now, common=True) == _sent(classes, message, 25.0 * now, common=False)
        for piece in cut(data, cuts):
            if not heard(plain, piece):
                plain.receive(piece)
            classes.receive(piece)
            assert facts(plain) == facts(classes)
        if take:
            number = plain.sent
            response = answer(plain, number)
            assert (plain.response_to(number) if response is None else response) == classes.response_to(number)
            assert facts(plain) == facts(classes)


def _sent(connection: ClientConnection, message: Message, now: float, *, common: bool) -> object:
    """What is written to send this message."""
    frame = sent(connection, message, now) if common else None
    if frame is None:
        if now >= connection.deadline:
            connection.tick(now)
        try:
            connection.send(connection.encode((message,)), 1)
        except RefusedError as error:
            return error.refusal
        frame = bytes(connection.outbox.head())
        connection.outbox.sent(len(frame))
    return frame


def test_a_message_without_attributes_is_not_plain() -> None:
    connection = ClientConnection(heartbeat=1.0, limits=LIMITS, now=0.0)
    connection.receive(Signal.START.frame)
    connection.outbox.sent(connection.outbox.size)
    before = facts(connection)
    assert sent(connection, Message.__new__(Message), 0.0) is None
    assert facts(connection) == before


@pytest.mark.parametrize("content", [b"e" * 20_000, Signal.HEARTBEAT.content])
def test_a_large_content_and_a_signal_are_not_plain(content: bytes) -> None:
    server = _talking()
    end = server.core._ends[1]  # noqa: SLF001 - the end of the only client
    assert begun(server.core, end, encode(Message(TEXT_PLAIN, content)), 0.0, 0.0) is None


def test_a_response_behind_half_a_frame_is_not_plain() -> None:
    connection = ClientConnection(heartbeat=10.0, limits=LIMITS, now=0.0)
    connection.receive(Signal.START.frame)
    connection.outbox.sent(connection.outbox.size)
    response = encode(Message.text("e"))
    for _ in range(2):
        assert sent(connection, Message.text("x"), 0.0) is not None
    connection.receive(ACKNOWLEDGEMENT + response + response[:5])
    assert not heard(connection, ACKNOWLEDGEMENT + response)


def test_an_answer_without_attributes_or_without_a_question_is_not_plain() -> None:
    server = _talking()
    end = server.core._ends[1]  # noqa: SLF001 - as above
    assert kept(server.core, end, Continuation(0), 0.0) is None
    assert begun(server.core, end, encode(Message.text("e")), 0.0, 0.0) is not None
    assert kept(server.core, end, Continuation.__new__(Continuation), 0.0) is None


def test_a_message_that_is_not_of_bytes_is_not_plain() -> None:
    connection = ClientConnection(heartbeat=1.0, limits=LIMITS, now=0.0)
    connection.receive(Signal.START.frame)
    connection.outbox.sent(connection.outbox.size)
    wrong = Message(TEXT_PLAIN, bytearray(b"x"))  # type: ignore[arg-type]  # as a program without type checks may
    assert sent(connection, wrong, 0.0) is None


def test_what_is_not_written_of_a_message_is_queued() -> None:
    connection = ClientConnection(heartbeat=1.0, limits=LIMITS, now=0.0)
    connection.receive(Signal.START.frame)
    connection.outbox.sent(connection.outbox.size)
    connection.wrote(b"frame", 2)
    assert (connection.sent, bytes(connection.outbox.head())) == (1, b"ame")
    connection.outbox.sent(3)
    connection.wrote(b"frame", 5)
    assert (connection.sent, connection.outbox.size) == (2, 0)


def _talking() -> Server:
    """A server with one client, which has sent a message of plain text."""
    server = Server(plain=True)
    server.connect()
    server.receive(0, Signal.START_OK.frame)
    server.receive(0, encode(Message.text("e")))
    return server
