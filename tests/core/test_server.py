"""A whole server without sockets: many connections and one fold. The clock is a fake."""

import resource
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Failure, Result, Success

from ipcfold import Continuation, HandlerFailed, Limits, Message, Name, Outcome, Peer, cases
from ipcfold.core.fold import Ask
from ipcfold.core.protocol import ServerState
from ipcfold.core.server import ServerCore
from ipcfold.core.server_connection import ServerConnection
from ipcfold.core.wire import Signal, encode
from ipcfold.events import Connected, Departure, Disconnected, Ending, Event, Folded, Listening, Refused, Stopping
from tests.core.lines import lines
from tests.core.written import written

LIMITS = Limits(handshake=5, drain=2, unsent=100, connections=3)
ONE, TWO = Message.text("one"), Message.text("two")
NAME = Name("server")


class Server:
    """A core that counts messages. It takes a turn after each event, as a shell does."""

    def __init__(
        self, *, heartbeat: float = 2 / 3, limits: Limits = LIMITS, timeout: float | None = None, now: float = 0, user: int | None = None
    ) -> None:
        self.core = ServerCore(0, name=NAME, heartbeat=heartbeat, limits=limits, timeout=timeout, now=now, user=user, observed=True)
        self.ends = dict[int, ServerConnection]()
        self.changed = list[ServerConnection]()
        self.now = now
        self.tick(now)

    def tick(self, now: float, heard: float | None = None) -> Ask[int] | None:
        self.now = now
        self.ask, changed, self.due = self.core.turn(now, now if heard is None else heard)
        self.changed += changed
        return self.ask

    def connect(self, peer: Peer, now: float) -> ServerConnection:
        end = self.core.connect(peer, now)
        assert end is not None
        self.ends[peer.connection] = end
        self.tick(now)
        return end

    def refusal(self, peer: Peer) -> str:
        assert self.core.connect(peer, self.now) is None
        refused = self.core.events[-1]
        assert isinstance(refused, Refused)
        assert (refused.name, refused.peer) == (NAME, peer)
        return refused.reason

    def receive(self, connection: int, data: bytes, now: float) -> None:
        self.ends[connection].receive(data, now)
        self.tick(now)

    def attention(self) -> list[ServerConnection]:
        """The connections that changed since the last call."""
        changed, self.changed = list(dict.fromkeys(self.changed)), []
        return changed

    def forget(self, connection: int) -> None:
        self.core.disconnect(self.ends[connection])
        self.tick(self.now)

    def answered(self, continuation: Continuation[int], now: float) -> None:
        self.core.answered(continuation, now, now)
        self.tick(now)

    def failed(self, error: BaseException, now: float) -> None:
        self.core.failed(error, now)
        self.tick(now)

    def interrupted(self, now: float) -> None:
        self.core.interrupted(now)
        self.tick(now)

    def shutdown(self, now: float) -> None:
        self.core.shutdown(now)
        self.tick(now)

    def result(self) -> Result[int, HandlerFailed[int]]:
        return self.core.result()


def connect(server: Server, connection: int, now: float = 0.0) -> ServerConnection:
    end = server.connect(Peer(connection, 100 + connection), now)
    server.receive(connection, Signal.START_OK.frame, now)
    assert written(end) == Signal.START.frame
    return end


def answer(server: Server, *responses: Message, now: float = 0.0) -> Peer:
    """Answer one message: add one to the carry."""
    ask = server.ask
    assert ask is not None
    server.answered(ask[1].respond(ask[1].carry + 1, *responses), now)
    return ask[1].peer


def test_a_server_folds_the_messages_of_its_clients_in_turn() -> None:
    server = Server()
    ends = [connect(server, number) for number in (1, 2, 3)]
    for number in (1, 2, 3):
        server.receive(number, encode(ONE) * 2, 0.5)
    assert [answer(server, TWO).connection for _ in range(6)] == [1, 2, 3, 1, 2, 3]
    assert server.ask is None
    assert server.due > 0
    assert [written(end) for end in ends] == [(Signal.RECEIVED.frame + encode(TWO)) * 2] * 3
    assert server.result() == Success(6)


def test_a_server_names_only_the_connections_with_something_to_write_or_to_watch() -> None:
    server = Server()
    first, second = connect(server, 1), connect(server, 2)
    assert server.attention() == [first, second]
    server.tick(0)
    assert server.attention() == []
    server.receive(2, Signal.HEARTBEAT.frame, 0.5)
    assert server.attention() == []  # It has nothing to write, and the server still reads it.
    server.receive(2, Signal.CLOSE.frame, 0.5)
    assert server.attention() == [second]
    server.ends[1].receive(Signal.CLOSE.frame, 0.5)
    server.forget(1)
    assert server.attention() == []


def test_a_server_is_full_at_the_limit_until_a_client_leaves() -> None:
    server = Server()
    for number in (1, 2, 3):
        connect(server, number)
    assert server.refusal(Peer(4)) == "there are 3 already (limits.connections)"
    server.forget(2)
    server.connect(Peer(4), 0)


def test_another_user_gets_no_more_connections_than_the_limit() -> None:
    server = Server(heartbeat=1, limits=Limits(connections=9, connections_per_user=2), timeout=None, now=0, user=7)
    for number in (1, 2, 3):
        server.connect(Peer(number, uid=7), 0)  # The limit does not count the server's own user.
    for number in (4, 5):
        server.connect(Peer(number, uid=8), 0)
    assert server.refusal(Peer(6, uid=8)) == "its user has 2 already (limits.connections_per_user)"
    for _ in range(2):
        server.forget(4)
    server.connect(Peer(6, uid=8), 0)
    assert server.refusal(Peer(7, uid=8))
    for number in (5, 6):
        server.forget(number)
    for number in (7, 8):
        server.connect(Peer(number, uid=8), 0)
    assert server.refusal(Peer(9, uid=8))
    server.connect(Peer(10, uid=7), 0)
    server.connect(Peer(11, uid=9), 0)


def test_no_frame_is_late_because_the_server_did_not_read() -> None:
    server = Server(heartbeat=100, limits=Limits(frame=10), timeout=None, now=0)
    end = connect(server, 1)
    server.receive(1, encode(Message.text("ping"))[:5], 2)
    server.tick(5)
    assert server.due == 12
    server.tick(15, heard=5)  # The handler was slow, for example.
    server.tick(35, heard=5)
    server.tick(35)
    assert (end.state, server.due) == (ServerState.TALKING, 42)
    server.tick(41.9)
    assert end.reading
    server.tick(42)
    assert (end.state, end.fault) == (ServerState.OVER, "one frame of it took more than 10 s (limits.frame)")


def test_a_frame_that_begins_after_a_pause_of_the_server_gets_no_extra_time() -> None:
    server = Server(heartbeat=100, limits=Limits(frame=10), timeout=None, now=0)
    connect(server, 1)
    server.tick(5)
    server.tick(30, heard=5)
    server.receive(1, encode(ONE)[:5], 30)
    assert server.due == 40


def test_the_time_of_a_frame_does_not_run_until_the_server_reads_its_sender_again() -> None:
    server = Server(heartbeat=100, limits=Limits(frame=10, unsent=100), timeout=None, now=0)
    end = connect(server, 1)
    server.receive(1, encode(ONE) + encode(TWO)[:5], 0)
    answer(server, Message.text("x" * 200))
    server.tick(50)
    assert not end.reading
    end.wrote(len(end.outbox.head()), 50)
    server.tick(50)
    assert server.due == 60


def test_a_stop_answers_and_then_closes_every_client_and_folds_no_more() -> None:
    server = Server()
    first, second = connect(server, 1), connect(server, 2)
    server.receive(1, encode(ONE) * 2, 0)
    server.receive(2, encode(ONE), 0)
    ask = server.ask
    assert ask is not None
    server.answered(ask[1].respond(7, TWO).stop(8), 0)
    assert written(first) == Signal.RECEIVED.frame + encode(TWO) + Signal.CLOSE.frame
    assert written(second) == Signal.CLOSE.frame
    assert server.ask is None
    assert not server.core.accepting
    assert not server.core.over
    for number in (1, 2):
        server.receive(number, encode(ONE) + Signal.CLOSE_OK.frame, 1)
        server.forget(number)
    assert server.core.over
    assert server.result() == Success(8)


@pytest.mark.parametrize("error", [KeyError("x"), SystemExit(3)])
def test_a_failing_handler_closes_every_client_and_keeps_the_carry(error: BaseException) -> None:
    server = Server()
    first, second = connect(server, 1), connect(server, 2)
    server.receive(1, encode(ONE) * 2, 0)
    answer(server)
    assert server.ask
    server.failed(error, 0)
    assert written(first) == Signal.RECEIVED.frame + Signal.CLOSE.frame
    assert written(second) == Signal.CLOSE.frame
    assert server.result() == Failure(HandlerFailed(1, ONE, error))


def test_a_response_that_cannot_be_sent_is_the_handler_s_failure() -> None:
    server = Server()
    end = connect(server, 1)
    server.receive(1, encode(ONE), 0)
    answer(server, Message.text(Signal.CLOSE.content.decode()))
    assert written(end) == Signal.CLOSE.frame  # The server did not acknowledge the message.
    match cases(server.result()):
        case Failure(HandlerFailed(carry, message, ValueError())):
            assert (carry, message) == (0, ONE)
        case other:
            pytest.fail(f"{other}")


def test_an_answer_made_for_another_client_is_the_handler_s_failure() -> None:
    server = Server()
    ends = [connect(server, 1), connect(server, 2)]
    server.receive(1, encode(ONE), 0)
    assert server.ask
    server.answered(Continuation(5, peer=ends[1].peer), 0)
    assert [written(end) for end in ends] == [Signal.CLOSE.frame] * 2
    assert server.result().failure().carry == 0


def test_an_interrupted_message_is_neither_folded_nor_acknowledged() -> None:
    server = Server()
    end = connect(server, 1)
    server.receive(1, encode(ONE), 0)
    assert server.ask
    server.interrupted(0)
    assert written(end) == Signal.CLOSE.frame
    assert server.result() == Success(0)


def test_a_message_at_the_handler_during_a_shutdown_is_answered_before_its_client_closes() -> None:
    server = Server()
    first, second = connect(server, 1), connect(server, 2)
    server.receive(1, encode(ONE) * 2, 0)
    ask = server.ask
    assert ask is not None
    server.shutdown(0)
    assert (written(first), written(second)) == (b"", Signal.CLOSE.frame)
    server.forget(1)
    server.forget(2)
    assert not server.core.over  # the handler still has a message
    server.answered(ask[1].continue_(1), 0)
    assert server.core.over
    assert server.result() == Success(1)

    server = Server()
    end = connect(server, 1)
    server.receive(1, encode(ONE) * 2, 0)
    ask = server.ask
    assert ask is not None
    server.shutdown(0)
    server.answered(ask[1].respond(1, TWO), 0)
    assert written(end) == Signal.RECEIVED.frame + encode(TWO) + Signal.CLOSE.frame


def test_a_client_that_connects_during_the_end_is_asked_to_close() -> None:
    server = Server()
    server.shutdown(0)
    end = server.connect(Peer(1), 0)
    assert written(end) == Signal.START.frame + Signal.CLOSE.frame


def test_a_server_s_next_deadline_is_that_of_a_connection_or_the_timeout() -> None:
    server = Server(timeout=30)
    assert server.due == 30
    silent = server.connect(Peer(1), 1)
    assert server.due == 6
    idle = connect(server, 2, 1)
    assert server.due == 2
    written(silent)
    server.tick(1.5)
    assert written(idle) == b""
    server.receive(2, b"\0", 1.75)
    server.tick(2)
    assert written(idle) == b""  # A byte of it came since.
    server.tick(2.75)
    assert written(idle) == Signal.HEARTBEAT.frame
    assert not silent.over
    server.attention()
    server.tick(6)
    assert silent.over
    assert silent in server.attention()
    server.forget(1)
    server.forget(2)
    server.tick(29)
    assert server.due == 30
    assert server.core.accepting
    server.tick(30)
    assert server.core.over
    assert server.due == inf


def test_the_timeout_runs_from_the_last_answer_and_closes_every_client() -> None:
    server = Server(heartbeat=100, limits=LIMITS, timeout=30, now=0)
    ends = [connect(server, 1), connect(server, 2)]
    server.receive(1, encode(ONE), 10)
    answer(server, now=20)
    server.tick(49)
    assert server.due == 50
    assert [written(end) for end in ends] == [Signal.RECEIVED.frame, b""]
    server.tick(50)
    assert [written(end) for end in ends] == [Signal.CLOSE.frame] * 2
    assert server.due == 50 + LIMITS.drain


@given(st.integers(1, 10**9))
def test_the_number_of_a_connection_does_not_change_its_deadline(number: int) -> None:
    server = Server()
    silent = server.connect(Peer(number), 0)
    written(silent)
    server.tick(4.9)
    assert not silent.over
    server.tick(5)
    assert silent.over


@pytest.mark.parametrize("number", [2, 1000])
def test_a_client_that_leaves_does_not_remove_the_deadline_of_another(number: int) -> None:
    server = Server()
    server.connect(Peer(1), 0)
    silent = server.connect(Peer(number), 0)
    written(silent)
    server.forget(1)
    server.tick(4.9)
    assert not silent.over
    server.tick(5)
    assert silent.over


def test_a_client_that_writes_often_has_one_deadline() -> None:
    server = Server(heartbeat=1e6, limits=Limits(frame=1e3), timeout=None, now=0.0)
    server.connect(Peer(1), 0)
    frame = Signal.HEARTBEAT.frame
    for now in range(10):
        server.receive(1, frame[:9], now)
        server.receive(1, frame[9:], now)
    assert server.core.scheduled == 1
    server.receive(1, Signal.START_OK.frame, 10)
    for now in range(11, 30):
        server.receive(1, frame[:9], now)
        server.receive(1, frame[9:], now)
    assert server.core.scheduled == 1


def test_a_server_without_connections_or_timeout_has_no_deadline() -> None:
    assert Server().due == inf


def test_a_client_that_does_not_confirm_is_dropped_after_the_drain() -> None:
    server = Server()
    end = connect(server, 1)
    server.tick(10)
    server.shutdown(10)
    server.receive(1, Signal.HEARTBEAT.frame, 11)
    server.tick(11.9)
    assert not end.over
    server.tick(12)
    assert end.over


@pytest.mark.parametrize("verb", [Continuation.close, Continuation.stop])
def test_the_drain_of_a_client_starts_when_the_handler_closes_it(verb: Callable[[Continuation[int], int], Continuation[int]]) -> None:
    server = Server(heartbeat=60, limits=LIMITS, timeout=None, now=0.0)
    end = connect(server, 1)
    server.tick(9)  # The deadline of the greeting no longer applies.
    server.receive(1, encode(ONE), 10)
    ask = server.ask
    assert ask is not None
    server.answered(verb(ask[1], 1), 10)
    assert bytes(end.outbox.head()) == Signal.RECEIVED.frame + Signal.CLOSE.frame
    end.wrote(end.outbox.size, 10)
    server.tick(10)
    assert server.due == 12
    server.tick(12)
    assert end.over


def test_the_memory_for_deadlines_is_bounded_by_the_connections() -> None:
    server = Server(heartbeat=1e6, limits=LIMITS, timeout=None, now=0.0)
    connect(server, 1)
    for number in range(2, 2000):
        connect(server, number)
        server.forget(number)
    assert server.core.scheduled < 200
    server.tick(1e6)
    assert server.core.scheduled < 3


@pytest.mark.parametrize("period", [1, 4])
def test_heartbeats_that_are_due_soon_leave_together(period: int) -> None:
    server = Server(heartbeat=period, limits=Limits(handshake=100))
    ends = [connect(server, number, number / 100 * period) for number in range(1, 9)]
    server.attention()
    server.tick(1.51 * period)
    assert server.attention() == ends[:4]
    assert [written(end) for end in ends] == [Signal.HEARTBEAT.frame] * 4 + [b""] * 4
    assert server.due == 1.55 * period
    server.tick(1.55 * period)
    assert server.attention() == ends[4:]
    assert server.due == (1.51 + 1.5) * period


def test_a_heartbeat_that_is_due_soon_does_not_end_a_connection_whose_limit_is_near() -> None:
    server = Server(heartbeat=1, limits=Limits(handshake=1.51))
    idle, silent = connect(server, 1), server.connect(Peer(2), 0)
    server.tick(1.5)
    assert written(idle) == Signal.HEARTBEAT.frame
    assert not silent.over
    server.tick(1.51)
    written(silent)
    assert silent.over


def test_many_deadlines_at_once_are_handled_in_several_turns() -> None:
    server = Server(limits=Limits())
    ends = [connect(server, number) for number in range(1, 1001)]
    server.attention()
    turns = 0
    while server.attention() or not turns:
        server.tick(1)
        turns += 1
        assert server.due == (-inf if turns < 4 else 2)
    assert turns == 5
    assert {written(end) for end in ends} == {Signal.HEARTBEAT.frame}


def test_the_cost_of_a_turn_does_not_grow_with_idle_connections() -> None:
    def cost(idle: int) -> int:
        server = Server(heartbeat=100, limits=Limits())
        for number in range(2, idle + 2):
            connect(server, number)

        def visit() -> None:
            connect(server, 1)
            server.receive(1, encode(ONE), 1)
            answer(server, now=1)
            server.forget(1)

        return lines(visit)

    assert cost(500) == cost(5)


def test_a_client_that_has_left_takes_no_memory() -> None:
    server, size = Server(), 2**22
    connect(server, 1)
    tracemalloc.start()
    server.receive(1, encode(Message.octets(b"x" * size))[:-2], 0)
    server.receive(1, b"x", 0)
    assert tracemalloc.get_traced_memory()[0] > size
    server.forget(1)
    assert tracemalloc.get_traced_memory()[0] < size
    tracemalloc.stop()


def test_tiny_limits_cause_no_endless_loop() -> None:
    tiny = Limits(handshake=1e-15, drain=1e-15)
    server = Server(heartbeat=1e-15, limits=tiny, timeout=None, now=1e6)
    waiting, idle = server.core.connect(Peer(1), 1e6), server.core.connect(Peer(2), 1e6)
    assert waiting is not None
    assert idle is not None
    assert written(idle) == Signal.START.frame
    idle.receive(Signal.START_OK.frame, 1e6)
    for _ in range(3):
        server.tick(1e6)
    assert waiting.over
    assert written(idle) == Signal.HEARTBEAT.frame


def test_an_answer_after_an_interrupt_changes_nothing() -> None:
    server = Server()
    end = connect(server, 1)
    server.receive(1, encode(ONE), 0)
    ask = server.ask
    assert ask is not None
    server.interrupted(0)
    server.answered(ask[1].respond(5, TWO), 0)
    assert written(end) == Signal.CLOSE.frame
    assert server.result() == Success(0)


def test_a_server_folds_the_next_message_of_a_clogged_client_once_it_reads() -> None:
    server = Server()
    end = connect(server, 1)
    server.receive(1, encode(ONE) * 2, 0)
    answer(server, Message.text("x" * 200))
    assert server.ask is None
    end.wrote(len(end.outbox.head()), 0)
    server.tick(0)
    assert server.ask is not None


def test_the_end_of_a_stream_is_the_end_of_its_connection() -> None:
    server = Server()
    end = connect(server, 1)
    server.receive(1, encode(ONE), 0)
    server.ends[1].end()
    server.tick(0)
    answer(server)
    assert written(end) == Signal.RECEIVED.frame
    assert end.over


def test_a_client_that_sends_only_signals_gets_a_small_part_of_each_turn() -> None:
    server = Server()
    busy, other = connect(server, 1), connect(server, 2)
    server.attention()
    server.tick(0)
    assert server.due > 0
    busy.receive(Signal.HEARTBEAT.frame * 100 + Signal.CLOSE.frame, 0)
    other.receive(Signal.HEARTBEAT.frame * 40 + encode(TWO), 0)
    server.tick(0)
    assert (server.due, server.ask, server.attention()) == (-inf, None, [])
    server.tick(0.5)
    ask = server.ask
    assert ask is not None
    assert ask[1].peer == other.peer
    server.core.answered(ask[1].continue_(1), 0.5, 0.5)
    assert written(other) == Signal.RECEIVED.frame
    server.tick(0.5)
    assert server.due == -inf  # Signals of the first client still wait.
    assert busy.state is ServerState.TALKING
    server.tick(0.5)
    assert (busy.state, busy.deadline, written(busy)) == (ServerState.OVER, 0.5 + LIMITS.drain, Signal.CLOSE_OK.frame)
    assert server.due > 0


def test_a_connection_that_has_ended_gets_no_part_of_a_turn() -> None:
    server = Server()
    connect(server, 1)
    server.receive(1, Signal.HEARTBEAT.frame * 40 + encode(ONE), 0)
    assert server.due == -inf
    server.forget(1)
    assert server.due > -inf
    assert server.ask is None


def test_a_server_tells_the_events_of_its_connections_and_its_fold_in_order() -> None:
    server = Server()
    first = connect(server, 1)
    server.receive(1, encode(ONE) * 2, 0)
    ask = server.ask
    assert ask is not None
    server.core.answered(ask[1].respond(1, TWO), 3, 1)
    connect(server, 2)
    server.core.refuse(Peer(9), "it is not trusted")
    server.receive(2, encode(ONE)[:-1] + b"\0", 3)
    server.forget(2)
    server.shutdown(4)
    server.shutdown(4)
    answer(server, now=4)
    written(first)
    server.receive(1, Signal.CLOSE_OK.frame, 4)
    server.forget(1)
    *events, last = server.core.events
    expected: list[Event] = [
        Connected(NAME, first.peer),
        Folded(NAME, first.peer, ONE, (TWO,), Outcome.CONTINUE, 2),
        Connected(NAME, Peer(2, 102)),
        Refused(NAME, Peer(9), "it is not trusted"),
        Disconnected(NAME, Peer(2, 102), Departure.DROPPED, server.ends[2].fault),
        Stopping(NAME, Ending.SIGNALLED),
        Folded(NAME, first.peer, ONE, (), Outcome.CONTINUE, 0),
    ]
    assert events == expected
    assert last == Disconnected(NAME, first.peer, Departure.DISMISSED)


def test_a_server_that_breaks_tells_of_its_end_and_of_each_connection_once() -> None:
    server = Server()
    closed = connect(server, 1)
    connect(server, 2)
    server.receive(1, Signal.CLOSE.frame, 0)
    written(closed)
    server.core.events.clear()
    for _ in range(2):
        server.core.broken(Ending.BROKEN)
    assert list(server.core.events) == [
        Stopping(NAME, Ending.BROKEN),
        Disconnected(NAME, closed.peer, Departure.CLOSED),
        Disconnected(NAME, server.ends[2].peer, Departure.DROPPED, "the server ended at once"),
    ]
    assert (server.core.over, server.core.accepting) == (True, False)
    assert server.core.result() == Success(0)


@pytest.mark.parametrize("mark", [b"\xce", b"\x00"])
def test_a_large_message_is_read_into_the_room_of_its_connection(mark: bytes) -> None:
    server, message = Server(), Message.octets(b"x" * 2**16)
    ends = [connect(server, 1), connect(server, 2)]
    stream = encode(message)[:-1] + mark
    server.receive(1, stream[: 2**15], 0.5)
    server.attention()
    room = ends[0].room()
    assert room
    room[:] = stream[2**15 :]
    ends[0].filled(len(room) - 1, 0.75)
    server.tick(0.75)
    assert ends[0].deadline == 1.75
    assert server.ask is None
    room = ends[0].room()
    assert room
    room[:] = mark
    ends[0].filled(1, 0.8)
    server.tick(0.8)
    if mark == b"\xce":
        ask = server.ask
        assert ask is not None
        assert (ask[0], ask[1].peer) == (message, ends[0].peer)
        assert ends[0].deadline == 1.8
    else:
        assert (ends[0].over, ends[0].deadline, server.attention()) == (True, 0.8 + LIMITS.drain, ends[:1])


def test_a_server_tells_that_clients_can_connect() -> None:
    server = Server()
    server.core.listening()
    assert list(server.core.events) == [Listening(NAME)]


def test_an_answer_gives_the_next_message_to_ask_the_handler_for() -> None:
    server = Server()
    ends = [connect(server, 1), connect(server, 2)]
    for end in ends:
        end.receive(encode(ONE), 0)
    server.tick(0)
    asked = list[Peer]()
    ask = server.ask
    while ask is not None:
        asked.append(ask[1].peer)
        ask = server.core.answered(ask[1].continue_(ask[1].carry + 1), 0, 0)
    assert asked == [end.peer for end in ends]
    assert server.result() == Success(2)


def test_a_server_does_not_name_a_connection_that_ended_before_its_turn() -> None:
    server = Server()
    end = server.core.connect(Peer(1), 0)
    assert end is not None
    server.core.disconnect(end)
    server.tick(0)
    assert server.attention() == []


def test_the_time_until_the_first_turn_counts_for_no_frame() -> None:
    core = ServerCore(0, name=NAME, heartbeat=100, limits=Limits(frame=10), timeout=None, now=0)
    end = core.connect(Peer(1), 0)
    assert end is not None
    end.receive(Signal.START_OK.frame + encode(ONE)[:5], 5)
    assert core.turn(20, 5)[2] == 30
    assert core.turn(29.9, 29.9)[2] == 30
    assert end.reading
    core.turn(30, 30)
    assert not end.reading


@contextmanager
def scarce() -> Iterator[None]:
    """Memory for everything but large contents."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**24, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not enforce the limit of the address space")
@pytest.mark.parametrize("before", [0, 32], ids=["at a turn", "at an answer"])
def test_a_client_is_dropped_if_there_is_no_memory_for_its_message(before: int) -> None:
    """The server decodes 32 messages at once, so it decodes the one after them when it has answered the last of them."""
    large = 2**27  # More than the tests before this one can have left free.
    server = Server(limits=Limits(drain=2, message=large))
    dropped, other = connect(server, 1), connect(server, 2)
    dropped.receive(encode(ONE) * before + encode(Message.octets(bytes(large))), 1)
    with scarce():
        server.tick(1)
        for _ in range(before):
            assert answer(server, now=1) == dropped.peer
    assert server.ask is None
    assert (dropped.over, dropped.fault, dropped.deadline) == (True, "there is no memory left for what it sends", 3)
    server.receive(2, encode(TWO), 1)
    assert answer(server, now=1) == other.peer
    assert server.result() == Success(before + 1)
