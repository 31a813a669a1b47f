"""The server's end: the table of its transitions, and the consequences for one connection."""

import itertools
from collections.abc import Callable
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcfold import Continuation, Limits, Message, Peer
from ipcfold.core.protocol import SERVER_ROWS, Command, ServerEvent, ServerState, server_transition
from ipcfold.core.server_connection import ServerConnection, Shared
from ipcfold.core.wire import Encoder, Signal, encode
from ipcfold.events import Departure
from ipcfold.testing.strategies import broken_frames, messages
from tests.core.written import written

LIMITS = Limits(handshake=5, drain=2, frame=30, unsent=100, message=1000)
PEER = Peer(1, 2, 3, 4)
ONE, TWO = Message.text("one"), Message.text("two")
EVENTS: list[ServerEvent | Signal] = [*ServerEvent, *Signal]


def greeted(now: float = 0.0) -> ServerConnection:
    return ServerConnection(PEER, heartbeat=2 / 3, limits=LIMITS, now=now)


def reply(end: ServerConnection, continuation: Continuation[int], now: float) -> None:
    end.reply(Encoder(Limits()).encode(continuation.responses), continuation.outcome, now)


def talking(now: float = 0.0, limits: Limits = LIMITS) -> ServerConnection:
    end = ServerConnection(PEER, heartbeat=2 / 3, limits=limits, now=now)
    end.receive(Signal.START_OK.frame, now)
    assert end.next(now) is None
    assert written(end) == Signal.START.frame
    return end


@pytest.mark.parametrize(("state", "event"), list(itertools.product(ServerState, EVENTS)))
def test_every_state_takes_every_event(state: ServerState, event: ServerEvent | Signal) -> None:
    after, command = server_transition(state, event)
    assert isinstance(after, ServerState)
    assert isinstance(command, Command)


@pytest.mark.parametrize("accepted", [False, True])
def test_an_aborted_connection_neither_reads_nor_writes(accepted: bool) -> None:  # noqa: FBT001 - a parameter of the test
    end = talking() if accepted else greeted()
    end.receive(encode(ONE)[:9], 0)
    end.abort("no room", 1)
    assert (end.over, end.fault, end.reading, written(end)) == (True, "no room", False, b"")
    assert end.deadline == 1 + LIMITS.drain
    end.receive(encode(ONE)[9:], 2)
    assert end.next(2) is None
    assert end.over


def test_what_the_log_does_not_have_is_not_written_and_the_request_to_close_is() -> None:
    end = talking()
    end.owe(encode(ONE))
    before = end.outbox.size
    end.owe(encode(TWO))
    end.close(0)
    end.revoke(before)
    end.revoke(before + len(Signal.CLOSE.frame))  # it has no more
    assert written(end) == encode(ONE) + Signal.CLOSE.frame


@given(
    st.lists(st.sampled_from([*Signal, ServerEvent.ENDED, ServerEvent.CLOSE_WANTED, ServerEvent.BROKEN, ServerEvent.OVERDUE]), max_size=8)
)
def test_the_departure_of_a_peer_follows_from_the_last_event(happened: list[ServerEvent | Signal]) -> None:
    end, state = greeted(), ServerState.GREETED
    for event in happened:
        state, _ = server_transition(state, event)
        match event:
            case Signal():
                end.receive(event.frame, 0)
            case ServerEvent.ENDED:
                end.end()
            case ServerEvent.CLOSE_WANTED:
                end.close(0)
            case ServerEvent.OVERDUE:
                end.overdue(0)
            case _:
                end.abort("no room", 0)
        end.next(0)
        end.outbox.sent(len(end.outbox.head()))  # Bytes that wait would take the place of a heartbeat.
        if state is ServerState.OVER:
            went = {Signal.CLOSE: Departure.CLOSED, Signal.CLOSE_OK: Departure.DISMISSED, ServerEvent.ENDED: Departure.LOST}
            assert end.departure is went.get(event, Departure.DROPPED)
            assert bool(end.fault) is (end.departure is Departure.DROPPED)
            break


MOVES: dict[tuple[ServerState, ServerEvent | Signal], tuple[ServerState, Command]] = {
    (ServerState.GREETED, Signal.START_OK): (ServerState.TALKING, Command.NOTHING),
    (ServerState.GREETED, ServerEvent.CLOSE_WANTED): (ServerState.CLOSING, Command.ASK_TO_CLOSE),
    (ServerState.GREETED, ServerEvent.OVERDUE): (ServerState.OVER, Command.NOTHING),
    (ServerState.GREETED, ServerEvent.BROKEN): (ServerState.OVER, Command.NOTHING),
    (ServerState.GREETED, ServerEvent.ENDED): (ServerState.OVER, Command.NOTHING),
    (ServerState.TALKING, ServerEvent.MESSAGE): (ServerState.TALKING, Command.ASK_HANDLER),
    (ServerState.TALKING, ServerEvent.FOLDED): (ServerState.TALKING, Command.ACKNOWLEDGE),
    (ServerState.TALKING, ServerEvent.OVERDUE): (ServerState.TALKING, Command.HEARTBEAT),
    (ServerState.TALKING, ServerEvent.TOLD): (ServerState.TALKING, Command.TELL),
    (ServerState.TALKING, ServerEvent.STALLED): (ServerState.OVER, Command.NOTHING),
    (ServerState.TALKING, ServerEvent.CLOSE_WANTED): (ServerState.CLOSING, Command.ASK_TO_CLOSE),
    (ServerState.TALKING, ServerEvent.BROKEN): (ServerState.OVER, Command.NOTHING),
    (ServerState.TALKING, ServerEvent.ENDED): (ServerState.OVER, Command.NOTHING),
    (ServerState.TALKING, Signal.CLOSE): (ServerState.OVER, Command.CONFIRM_CLOSE),
    (ServerState.CLOSING, Signal.CLOSE_OK): (ServerState.OVER, Command.NOTHING),
    (ServerState.CLOSING, Signal.CLOSE): (ServerState.OVER, Command.CONFIRM_CLOSE),
    (ServerState.CLOSING, ServerEvent.OVERDUE): (ServerState.OVER, Command.NOTHING),
    (ServerState.CLOSING, ServerEvent.BROKEN): (ServerState.OVER, Command.NOTHING),
    (ServerState.CLOSING, ServerEvent.ENDED): (ServerState.OVER, Command.NOTHING),
}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(ServerState, EVENTS)))
def test_a_server_ignores_every_event_that_is_not_in_the_table(state: ServerState, event: ServerEvent | Signal) -> None:
    assert server_transition(state, event) == MOVES.get((state, event), (state, Command.NOTHING))


@pytest.mark.parametrize(("state", "event"), list(itertools.product(ServerState, EVENTS)))
def test_each_row_of_the_server_s_table_has_every_event_and_the_frame_to_send(state: ServerState, event: ServerEvent | Signal) -> None:
    after, command = server_transition(state, event)
    assert SERVER_ROWS[state][event] == (after, command, command.value.frame if isinstance(command.value, Signal) else b"")


def test_a_server_greets_and_ignores_everything_until_the_client_accepts() -> None:
    end = greeted()
    assert written(end) == Signal.START.frame
    end.receive(encode(ONE) + Signal.CLOSE.frame + Signal.HEARTBEAT.frame, 1)
    assert end.next(1) is None
    end.receive(Signal.START_OK.frame + encode(TWO), 2)
    assert end.next(2) == TWO
    assert written(end) == b""


@given(messages(), st.lists(messages(), max_size=3))
def test_the_acknowledgement_leaves_after_folding_and_before_the_responses(message: Message, responses: list[Message]) -> None:
    end = talking()
    end.receive(encode(message), 1)
    assert end.next(1) == message
    assert end.waiting
    assert written(end) == b""
    reply(end, Continuation(0).respond(1, *responses), 1)
    assert not end.waiting
    assert written(end) == Signal.RECEIVED.frame + b"".join(map(encode, responses))


@pytest.mark.parametrize("verb", [Continuation.close, Continuation.stop])
def test_closing_follows_the_responses(verb: Callable[[Continuation[int], int], Continuation[int]]) -> None:
    end = talking()
    end.receive(encode(ONE) + encode(TWO), 1)
    end.next(1)
    reply(end, verb(Continuation(0).respond(1, ONE), 1), 1)
    assert written(end) == Signal.RECEIVED.frame + encode(ONE) + Signal.CLOSE.frame
    assert end.next(1) is None  # The server does not fold the second message, so it does not acknowledge it.
    assert written(end) == b""
    assert not end.over
    end.receive(Signal.CLOSE_OK.frame, 1)
    end.next(1)
    assert (end.over, end.fault) == (True, "")


def test_a_frame_after_a_message_has_its_effect_after_the_answer() -> None:
    end = talking()
    end.receive(encode(ONE) + Signal.CLOSE.frame + encode(TWO), 1)
    end.end()
    assert end.next(1) == ONE
    assert end.reading is False  # The stream has ended, but the connection has not.
    reply(end, Continuation(0), 1)
    assert end.next(1) is None
    assert end.state is ServerState.OVER
    assert written(end) == Signal.RECEIVED.frame + Signal.CLOSE_OK.frame


def test_messages_before_the_end_of_the_stream_are_folded() -> None:
    end = talking()
    end.receive(encode(ONE), 1)
    end.end()
    assert not end.reading
    assert end.next(1) == ONE
    reply(end, Continuation(0), 1)
    assert end.next(1) is None
    assert not end.over
    assert written(end) == Signal.RECEIVED.frame
    assert end.over


@given(broken_frames())
def test_a_broken_frame_ends_the_connection_after_earlier_messages_are_folded(broken: bytes) -> None:
    end = talking()
    end.receive(encode(ONE) + broken, 1)
    assert end.next(1) == ONE
    reply(end, Continuation(0), 3)
    assert end.next(3) is None
    assert not end.reading
    assert end.deadline == 3 + LIMITS.drain  # It has time to read the rest.
    assert written(end) == Signal.RECEIVED.frame
    assert end.over
    assert end.fault.startswith("it broke the protocol: ")


def test_a_frame_may_come_byte_by_byte_within_its_time() -> None:
    end = talking()
    for second, byte in enumerate(encode(ONE)):
        assert end.next(second) is None
        end.receive(bytes([byte]), second)
    assert end.next(LIMITS.frame) == ONE


def test_a_large_message_is_read_into_the_room() -> None:
    end, message = talking(limits=Limits()), Message.octets(b"x" * 2**16)
    assert end.room() is None
    stream = memoryview(encode(message))
    end.receive(bytes(stream[: 2**15]), 1)
    assert end.next(1) is None
    at = 2**15
    while (room := end.room()) is not None:
        assert room
        room[:] = stream[at : at + len(room)]
        at += len(room)
        end.filled(len(room), 2)
    assert at == len(stream)
    assert end.deadline > 2  # Bytes came, so it is not silent.
    assert end.next(2) == message


def test_bytes_read_into_the_room_do_not_postpone_the_deadline_of_the_greeting() -> None:
    end, stream = ServerConnection(PEER, heartbeat=2 / 3, limits=Limits(handshake=5), now=0), encode(Message.octets(b"x" * 2**16))
    end.receive(stream[: 2**15], 1)
    assert end.next(1) is None
    room = end.room()
    assert room
    room[:] = stream[2**15 :]
    end.filled(len(room), 2)
    assert (end.next(2), end.deadline) == (None, 5)


def test_a_turn_handles_a_bounded_number_of_signals() -> None:
    assert not greeted().behind
    end = talking()
    end.receive(Signal.HEARTBEAT.frame * 1000 + encode(ONE), 1)
    turns = 1
    while (message := end.next(1)) is None:
        assert end.behind
        turns += 1
    assert message == ONE
    assert not end.behind
    assert 10 < turns < 50


def test_a_frame_may_not_take_longer_than_its_limit() -> None:
    end = talking(10)
    frame = encode(Message.octets(b"x" * 100))
    end.receive(frame[:1], 10)
    assert end.next(10) is None
    for now in range(11, 10 + int(LIMITS.frame)):  # Single bytes do not postpone the deadline.
        end.receive(frame[now - 10 : now - 9], now)
        assert end.next(now) is None
        end.overdue(now)
        assert end.reading
    assert end.deadline == 10 + LIMITS.frame
    written(end)
    end.overdue(end.deadline)
    assert (end.over, end.fault) == (True, "one frame of it took more than 30 s (limits.frame)")


def test_every_frame_has_the_whole_time_of_the_limit() -> None:
    """This holds also where every read ends in the middle of a frame."""
    frame = encode(ONE)
    end = talking()
    end.receive(frame[:3], 0)
    assert end.next(0) is None
    for number in range(1, 5):
        now = number * (LIMITS.frame - 1)
        end.receive(frame[3:] + frame[:3], now)
        assert end.next(now) == ONE
        reply(end, Continuation(0), now)
        assert end.next(now) is None
        written(end)
        end.overdue(now + 1)
        assert end.state is ServerState.TALKING
    signals = talking()
    signals.receive(frame[:3], 0)
    assert signals.next(0) is None
    signals.receive(frame[3:], 1)
    assert signals.next(1) == ONE
    reply(signals, Continuation(0), 1)
    assert signals.next(1) is None
    written(signals)
    assert signals.deadline == 2  # Only the heartbeat is due.
    signals.receive(Signal.HEARTBEAT.frame[:9], 5)
    assert signals.next(5) is None
    signals.receive(Signal.HEARTBEAT.frame[9:] + Signal.HEARTBEAT.frame[:9], 30)
    assert signals.next(30) is None
    signals.overdue(40)
    assert signals.reading
    signals.overdue(60)
    assert not signals.reading


def test_the_time_of_a_frame_does_not_run_while_the_server_does_not_read_its_sender() -> None:
    end = talking()
    end.receive(encode(ONE) + encode(TWO)[:4], 0)
    assert end.next(0) == ONE
    end.overdue(100)  # The message waits for its turn.
    assert end.reading
    reply(end, Continuation(0), 200)
    assert end.next(200) is None
    written(end)
    end.overdue(229)
    assert end.reading
    end.overdue(230)
    assert not end.reading


def test_a_server_neither_reads_nor_folds_a_peer_that_does_not_read() -> None:
    end = talking()
    end.receive(encode(ONE) * 3, 1)
    assert end.next(1) == ONE
    reply(end, Continuation(0).respond(0, Message.text("x" * 100)), 1)
    assert not end.reading
    assert end.next(1) is None
    assert end.state is ServerState.TALKING
    written(end)
    assert end.reading
    assert end.next(1) == ONE


def test_the_unwritten_bytes_may_reach_the_limit() -> None:
    end = talking()
    end.outbox.add(b"x" * LIMITS.unsent)
    assert end.reading
    end.receive(encode(ONE) + encode(TWO), 1)
    assert end.next(1) == ONE
    end.outbox.add(b"x")
    assert not end.reading
    assert end.next(1) is None


def test_a_server_sends_a_heartbeat_one_period_after_the_client_s_last_byte() -> None:
    end = talking(10)
    assert end.deadline == 11
    end.receive(b"\x00", 10.5)
    assert end.deadline == 11.5
    end.overdue(11.5)
    assert written(end) == Signal.HEARTBEAT.frame
    assert end.deadline == 12.5
    end.overdue(12.5)
    end.overdue(13.5)
    assert written(end) == Signal.HEARTBEAT.frame  # The server adds no second heartbeat while the first is unwritten.
    assert end.deadline == 14.5


def test_a_heartbeat_of_a_client_delays_that_of_the_server_and_is_no_event() -> None:
    end = talking(10)
    end.told = False
    end.receive(Signal.HEARTBEAT.frame, 10.5)
    assert end.deadline == 11.5
    assert not end.told
    assert end.next(10.5) is None


BEAT = Signal.HEARTBEAT.frame


@given(st.lists(st.tuples(st.sampled_from([BEAT, BEAT[:9], BEAT[9:]]), st.booleans()), max_size=4))
def test_bytes_that_equal_a_heartbeat_are_part_of_the_frame_around_them(middle: list[tuple[bytes, bool]]) -> None:
    end, content = talking(), b"".join(chunk for chunk, _ in middle)
    frame = encode(Message.octets(content))
    end.receive(frame[: -1 - len(content)], 1)
    for chunk, decoded in middle:
        end.receive(chunk, 1)
        assert not decoded or end.next(1) is None
    end.receive(frame[-1:], 1)
    end.receive(BEAT, 1)
    assert end.next(1) == Message.octets(content)


def test_a_client_that_does_not_accept_the_greeting_in_time_is_dropped() -> None:
    end = greeted(10)
    end.receive(b"\x00", 14)
    assert end.deadline == 15
    end.overdue(15)
    assert (end.over, end.fault) == (True, "it did not accept the greeting within 5 s (limits.handshake)")
    assert not end.reading


def test_a_client_that_is_asked_to_close_gets_its_responses_however_slowly_it_reads() -> None:
    end = talking(10)
    end.receive(encode(ONE), 10)
    end.next(10)
    reply(end, Continuation(0).respond(0, Message.text("x" * 200)).close(0), 10)
    assert end.deadline == 10 + LIMITS.frame
    end.outbox.head()
    for now in (35, 60, 85):
        end.wrote(50, now)
        assert end.deadline == now + LIMITS.frame
    end.wrote(end.outbox.size, 2000)
    assert end.deadline == 2002  # The time to confirm starts now.


def test_a_client_that_is_asked_to_close_and_reads_nothing_is_dropped() -> None:
    end = talking(10)
    end.receive(encode(ONE), 10)
    end.next(10)
    reply(end, Continuation(0).respond(0, Message.text("x" * 200)).close(0), 10)
    end.overdue(end.deadline)
    assert (end.over, end.fault) == (True, "it read nothing of what waited for it for 30 s (limits.frame)")


def test_a_client_that_reads_the_last_frame_has_time_for_it() -> None:
    end = talking(10)
    end.receive(Signal.CLOSE.frame, 20)
    end.next(20)
    assert end.deadline == 22
    end.outbox.head()
    end.wrote(1, 21.5)
    assert end.deadline == 23.5


def test_no_client_gets_more_time_than_the_drain_when_the_server_ends() -> None:
    end = talking(10)
    end.receive(encode(ONE), 10)
    end.next(10)
    reply(end, Continuation(0).respond(0, Message.text("x" * 200)).close(0), 10)
    end.drain(20)
    end.outbox.head()
    end.wrote(1, 21)
    end.receive(Signal.CLOSE.frame, 21.5)
    end.next(21.5)
    assert end.deadline == 22
    end.overdue(22)
    assert end.over


def test_a_client_that_does_not_confirm_in_time_is_dropped() -> None:
    end = talking(10)
    end.close(20)
    assert written(end) == Signal.CLOSE.frame
    assert end.deadline == 22
    end.receive(Signal.HEARTBEAT.frame, 21)
    assert end.next(21) is None
    assert end.deadline == 22
    end.overdue(22)
    assert (end.over, end.fault) == (True, "it did not confirm the end within 2 s (limits.drain)")


def test_a_client_that_does_not_read_the_last_frame_in_time_is_dropped() -> None:
    end = talking(10)
    end.receive(Signal.CLOSE.frame, 20)
    end.next(20)
    assert not end.over
    end.overdue(end.deadline)
    assert (end.over, end.fault) == (True, "it did not read the rest within 2 s (limits.drain)")


Step = Callable[[ServerConnection, float], object]


def hears(data: bytes) -> Step:
    def hear(end: ServerConnection, now: float) -> None:
        end.receive(data, now)
        if not end.waiting:
            end.next(now)

    return hear


def answers(end: ServerConnection, now: float) -> None:
    if end.waiting:
        reply(end, Continuation(0).respond(0, ONE).close(0), now)


def writes(end: ServerConnection, now: float) -> None:
    while end.outbox.size:
        end.wrote(len(end.outbox.head()), now)


STEPS: list[Step] = [
    hears(Signal.START_OK.frame), hears(encode(ONE)), hears(encode(ONE)[:9]), hears(encode(ONE)[9:]), hears(Signal.CLOSE.frame),
    hears(Signal.CLOSE_OK.frame), answers, writes, ServerConnection.close, ServerConnection.drain, ServerConnection.overdue,
]  # fmt: skip


@given(
    st.sampled_from([hears(b""), hears(Signal.START_OK.frame)]),
    st.lists(st.tuples(st.sampled_from([0.0, 0.5, 3.0]), st.sampled_from(STEPS)), max_size=12),
)
def test_a_connection_tells_when_its_deadline_comes_nearer(first: Step, steps: list[tuple[float, Step]]) -> None:
    """A caller that reads the deadline only after `moved` may be early, never late."""
    end, now, known = ServerConnection(PEER, heartbeat=100, limits=LIMITS, now=0), 0.0, inf
    for wait, step in [(0.0, first), *steps]:
        now += wait
        step(end, now)
        if end.moved:
            end.moved, known = False, end.deadline
        assert known <= end.deadline


def test_an_answer_for_a_connection_that_has_ended_writes_nothing() -> None:
    end = talking()
    end.receive(encode(ONE), 1)
    end.next(1)
    end.close(1)
    assert written(end) == Signal.CLOSE.frame
    reply(end, Continuation(0).respond(0, ONE), 1)
    end.close(1)
    assert written(end) == b""


def turn(end: ServerConnection, now: float) -> None:
    """The connection handles its events, as the core lets it do."""
    end.told = False
    if not end.waiting:
        end.next(now)


TELLING: list[Step] = [
    lambda end, now: end.receive(Signal.START_OK.frame, now), lambda end, now: end.receive(encode(ONE), now),
    lambda end, _: end.end(), lambda end, _: end.unheard(), lambda end, now: end.abort("no room", now),
    lambda end, _: end.owe(b"rest"),
]  # fmt: skip
QUIET: list[Step] = [writes, answers, ServerConnection.close, ServerConnection.drain, ServerConnection.overdue]


@given(st.lists(st.sampled_from([*TELLING, *QUIET, turn]), max_size=12))
def test_a_connection_with_events_is_named_once_until_the_core_handles_them(steps: list[Step]) -> None:
    shared = Shared()
    end = ServerConnection(PEER, heartbeat=1, limits=LIMITS, now=0, shared=shared)
    for now, step in enumerate(steps):
        if step is turn:
            shared.changed.clear()
        step(end, now)
        assert end.told or step not in TELLING
        assert shared.changed == ([end] if end.told else [])


@pytest.mark.parametrize(("unsent", "told"), [(LIMITS.unsent - 1, False), (LIMITS.unsent, False), (LIMITS.unsent + 1, True)])
def test_a_write_is_an_event_for_the_core_only_if_the_server_reads_the_client_again(unsent: int, told: bool) -> None:  # noqa: FBT001 - a parameter of the test
    end = talking()
    end.told = False  # The core has handled the greeting.
    end.outbox.add(b"x" * unsent)
    assert end.reading is not told
    end.outbox.head()
    end.wrote(1, 0)
    assert (end.told, end.reading) == (told, True)


def test_bytes_that_a_shell_wrote_in_part_are_written_after_those_that_wait() -> None:
    end = greeted()
    end.owe(b"the rest of an answer")
    assert written(end) == Signal.START.frame + b"the rest of an answer"


def test_what_is_left_of_an_answer_is_written_after_the_rest() -> None:
    shared = Shared()
    end = ServerConnection(PEER, heartbeat=1, limits=LIMITS, now=0.0, shared=shared)
    shared.changed.clear()
    end.told = False
    end.owe(b"left of an answer")
    end.owe(b", and of the next one")
    assert written(end) == Signal.START.frame + b"left of an answer, and of the next one"
    assert shared.changed == [end]  # named once, so that the core looks after it
