"""The client's end: the table of its transitions, and the consequences for one connection."""

import itertools
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcfold import Limits, Message
from ipcfold.core.client_connection import ClientConnection
from ipcfold.core.protocol import CLIENT_ROWS, ClientEvent, ClientState, Command, client_transition
from ipcfold.core.wire import Signal, encode
from ipcfold.testing.strategies import broken_frames, cuts, messages
from tests.core.lines import lines
from tests.core.written import written

ONE, TWO, THREE = Message.text("one"), Message.text("two"), Message.text("three")
EVENTS: list[ClientEvent | Signal] = [*ClientEvent, *Signal]
ENDS = [ClientState.CLOSED, ClientState.DISMISSED, ClientState.LOST, ClientState.BROKEN, ClientState.FLOODED]


def connected(limits: Limits | None = None) -> ClientConnection:
    return ClientConnection(heartbeat=1, limits=limits or Limits(), now=0)


def send(end: ClientConnection, messages: list[Message]) -> None:
    end.send(end.encode(messages), len(messages))


def talking(limits: Limits | None = None) -> ClientConnection:
    end = connected(limits)
    end.receive(Signal.START.frame)
    assert written(end) == Signal.START_OK.frame
    return end


MOVES: dict[tuple[ClientState, ClientEvent | Signal], tuple[ClientState, Command]] = {
    (ClientState.CONNECTED, Signal.START): (ClientState.TALKING, Command.ACCEPT),
    (ClientState.CONNECTED, Signal.CLOSE): (ClientState.DISMISSED, Command.CONFIRM_CLOSE),
    (ClientState.CONNECTED, ClientEvent.CLOSE_WANTED): (ClientState.CLOSED, Command.NOTHING),
    (ClientState.CONNECTED, ClientEvent.BROKEN): (ClientState.BROKEN, Command.NOTHING),
    (ClientState.CONNECTED, ClientEvent.ENDED): (ClientState.LOST, Command.NOTHING),
    (ClientState.TALKING, Signal.RECEIVED): (ClientState.TALKING, Command.COUNT),
    (ClientState.TALKING, ClientEvent.MESSAGE): (ClientState.TALKING, Command.DELIVER),
    (ClientState.TALKING, ClientEvent.OVERDUE): (ClientState.TALKING, Command.HEARTBEAT),
    (ClientState.TALKING, Signal.CLOSE): (ClientState.DISMISSED, Command.CONFIRM_CLOSE),
    (ClientState.TALKING, ClientEvent.CLOSE_WANTED): (ClientState.CLOSING, Command.ASK_TO_CLOSE),
    (ClientState.TALKING, ClientEvent.BROKEN): (ClientState.BROKEN, Command.NOTHING),
    (ClientState.TALKING, ClientEvent.FLOODED): (ClientState.FLOODED, Command.NOTHING),
    (ClientState.TALKING, ClientEvent.ENDED): (ClientState.LOST, Command.NOTHING),
    (ClientState.CLOSING, Signal.CLOSE_OK): (ClientState.CLOSED, Command.NOTHING),
    (ClientState.CLOSING, Signal.CLOSE): (ClientState.CLOSED, Command.CONFIRM_CLOSE),
    (ClientState.CLOSING, ClientEvent.BROKEN): (ClientState.BROKEN, Command.NOTHING),
    (ClientState.CLOSING, ClientEvent.ENDED): (ClientState.LOST, Command.NOTHING),
    (ClientState.CONNECTED, ClientEvent.INTERRUPTED): (ClientState.INTERRUPTED, Command.NOTHING),
    (ClientState.TALKING, ClientEvent.INTERRUPTED): (ClientState.INTERRUPTED, Command.NOTHING),
    (ClientState.CLOSING, ClientEvent.INTERRUPTED): (ClientState.INTERRUPTED, Command.NOTHING),
}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(ClientState, EVENTS)))
def test_a_client_ignores_every_event_that_is_not_in_the_table(state: ClientState, event: ClientEvent | Signal) -> None:
    assert client_transition(state, event) == MOVES.get((state, event), (state, Command.NOTHING))


@pytest.mark.parametrize(("state", "event"), list(itertools.product(ClientState, EVENTS)))
def test_each_row_of_the_client_s_table_has_every_event_and_the_frame_to_send(state: ClientState, event: ClientEvent | Signal) -> None:
    after, command = client_transition(state, event)
    assert CLIENT_ROWS[state][event] == (after, command, command.value.frame if isinstance(command.value, Signal) else b"")


@given(st.lists(messages(), max_size=4))
def test_a_client_writes_all_messages_at_once_and_counts_their_acknowledgements(sent: list[Message]) -> None:
    end = talking()
    send(end, sent)
    assert written(end) == b"".join(map(encode, sent))
    for count, _ in enumerate(sent):
        assert end.acknowledged == count
        end.receive(Signal.RECEIVED.frame)
    assert end.acknowledged == end.sent == len(sent)


@given(st.data(), st.lists(st.lists(messages(), max_size=3), max_size=4))
def test_responses_arrive_in_order_however_the_stream_is_cut(data: st.DataObject, answers: list[list[Message]]) -> None:
    end = talking()
    send(end, [ONE] * len(answers))
    stream = b"".join(Signal.RECEIVED.frame + b"".join(map(encode, responses)) for responses in answers)
    for chunk in data.draw(cuts(stream)):
        end.receive(chunk)
    assert end.acknowledged == len(answers)
    assert [end.response() for responses in answers for _ in responses] == [each for responses in answers for each in responses]
    assert end.response() is None


def test_a_response_belongs_to_the_message_acknowledged_before_it() -> None:
    end = talking()
    send(end, [ONE, TWO])
    end.receive(Signal.RECEIVED.frame + encode(ONE))
    assert end.response_to(2) is None
    end.receive(Signal.RECEIVED.frame + encode(TWO) + encode(THREE))
    assert end.response_to(2) == TWO
    assert end.response() == ONE
    assert end.response_to(2) == THREE
    assert end.response_to(2) is None


@given(st.lists(st.lists(messages(), max_size=3), max_size=6), st.lists(st.integers(0, 7), max_size=20))
def test_a_client_finds_the_first_unread_response_to_each_message(answers: list[list[Message]], asked: list[int]) -> None:
    end = talking()
    send(end, [ONE] * len(answers))
    end.receive(b"".join(Signal.RECEIVED.frame + b"".join(map(encode, responses)) for responses in answers))
    unread = [(number, response) for number, responses in enumerate(answers, 1) for response in responses]
    for number in asked:
        found = next((each for each in unread if each[0] == number), None)
        assert end.response_to(number) == (found and found[1])
        if found:
            unread.remove(found)
    assert list(iter(end.response, None)) == [response for _, response in unread]


def test_the_cost_of_a_response_does_not_grow_with_the_unread_ones_before_it() -> None:
    def cost(unread: int) -> int:
        end = talking()
        send(end, [ONE, TWO])
        end.receive(Signal.RECEIVED.frame + encode(ONE) * unread + Signal.RECEIVED.frame)
        missing = lines(lambda: end.response_to(2))
        end.receive(encode(TWO))
        found = lines(lambda: end.response_to(2))
        assert end.response_to(2) is None
        return missing + found

    assert cost(1000) == cost(1)


def ended(state: ClientState) -> ClientConnection:
    """A connection that ended in this state."""
    end = talking(Limits(unread=1))
    match state:
        case ClientState.CLOSED:
            end.close()
            end.receive(Signal.CLOSE_OK.frame)
        case ClientState.DISMISSED:
            end.receive(Signal.CLOSE.frame)
        case ClientState.LOST:
            end.end()
        case ClientState.BROKEN:
            end.receive(Signal.RECEIVED.frame)
        case _:
            end.receive(encode(ONE) * 2)
            assert (end.response(), end.response()) == (ONE, ONE)
    assert end.state is state
    written(end)
    return end


@pytest.mark.parametrize("state", ENDS)
def test_a_client_that_has_ended_neither_sends_nor_reads(state: ClientState) -> None:
    end = ended(state)
    send(end, [ONE])
    end.receive(encode(ONE) + Signal.RECEIVED.frame + Signal.START.frame)
    end.tick(100)
    end.close()
    end.end()
    assert not end.open
    assert end.state is state
    assert (end.sent, end.acknowledged, end.response(), written(end)) == (0, 0, None, b"")


def test_a_client_ignores_messages_before_the_greeting() -> None:
    end = connected()
    assert end.open
    send(end, [ONE])
    end.receive(encode(ONE) + Signal.RECEIVED.frame)
    end.tick(100)
    assert (end.state, end.sent, end.response(), written(end)) == (ClientState.CONNECTED, 0, None, b"")


def test_a_client_that_is_asked_to_close_confirms_and_keeps_earlier_responses() -> None:
    end = talking()
    send(end, [ONE, TWO])
    end.receive(Signal.RECEIVED.frame + encode(ONE) + Signal.CLOSE.frame + encode(TWO))
    assert written(end).endswith(Signal.CLOSE_OK.frame)
    assert (end.state, end.acknowledged, end.response(), end.response()) == (ClientState.DISMISSED, 1, ONE, None)


def test_closing_drops_the_responses_that_were_not_read() -> None:
    end = talking()
    send(end, [ONE])
    end.receive(Signal.RECEIVED.frame + encode(ONE))
    written(end)
    end.close()
    assert written(end) == Signal.CLOSE.frame
    end.receive(encode(ONE) + Signal.HEARTBEAT.frame + Signal.CLOSE_OK.frame)
    assert (end.state, end.response(), end.broken) == (ClientState.CLOSED, None, "")


def test_a_client_that_closes_before_the_greeting_writes_nothing() -> None:
    end = connected()
    end.close()
    assert (end.state, written(end)) == (ClientState.CLOSED, b"")


def test_a_client_sends_a_heartbeat_one_period_after_its_last_frame() -> None:
    end = talking()
    end.tick(0.9)
    assert written(end) == b""
    assert end.deadline == 1
    end.tick(1)
    assert written(end) == Signal.HEARTBEAT.frame
    end.receive(Signal.HEARTBEAT.frame)  # A frame of the server does not put it off.
    end.tick(1.9)
    assert written(end) == b""
    end.tick(2)
    assert written(end) == Signal.HEARTBEAT.frame
    send(end, [ONE])
    assert written(end) == encode(ONE)
    end.tick(2.5)
    end.tick(3.4)
    assert written(end) == b""
    end.tick(3.5)
    assert written(end) == Signal.HEARTBEAT.frame
    send(end, [ONE])
    end.tick(5)
    end.tick(7)
    assert written(end) == encode(ONE)  # The message is not written yet: it takes the place of a heartbeat.


@pytest.mark.parametrize("state", [ClientState.LOST, ClientState.BROKEN, ClientState.FLOODED])
def test_a_connection_that_fails_drops_its_unwritten_messages(state: ClientState) -> None:
    end = talking(Limits(unread=1))
    send(end, [ONE] * 5)
    match state:
        case ClientState.LOST:
            end.end()
        case ClientState.BROKEN:
            end.receive(Signal.RECEIVED.frame * 6)
        case _:
            end.receive(encode(ONE) * 2)
    assert end.state is state
    assert written(end) == b""


@given(broken_frames())
def test_a_broken_frame_ends_the_client_s_connection_with_the_reason(broken: bytes) -> None:
    end = talking()
    send(end, [ONE])
    end.receive(Signal.RECEIVED.frame + encode(ONE) + broken)
    assert end.state is ClientState.BROKEN
    assert end.broken
    assert (end.acknowledged, end.response()) == (1, ONE)


def test_an_acknowledgement_without_a_message_breaks_the_protocol() -> None:
    end = talking()
    send(end, [ONE])
    end.receive(Signal.RECEIVED.frame * 2)
    assert (end.state, end.acknowledged, end.broken) == (ClientState.BROKEN, 1, "an acknowledgement of nothing")


def test_the_memory_for_unread_responses_is_bounded() -> None:
    end = talking(Limits(unread=2000))
    send(end, [ONE])
    end.receive(Signal.RECEIVED.frame)
    for _ in range(10):  # Any number may come while the client reads each at once.
        end.receive(encode(Message.text("x" * 1500)))
        assert end.response() is not None
    end.receive(encode(Message.text("x" * 3000)))  # A single response may have any size.
    assert end.open
    end.receive(encode(ONE))
    assert end.state is ClientState.FLOODED


HEAVY = [
    pytest.param("text/" + "x" * 60_000, id="a long type"),
    pytest.param('text/x; a="' + "b " * 30_000 + '"', id="a long value"),
    pytest.param("text/x" + "; a=b" * 64, id="many parameters"),
    pytest.param("text/x" + "; a=b" * 20, id="some parameters of a short type"),
]


@pytest.mark.parametrize("media_type", HEAVY)
def test_an_unread_response_counts_the_memory_of_its_media_type(media_type: str) -> None:
    """Each response has a media type of its own, so none of them is shared."""
    unread = 400_000
    each = [encode(Message.of(media_type.replace("text/", f"text/{number}"), b"").unwrap()) for number in range(1000)]
    end, taking = talking(Limits(unread=unread)), talking(Limits(unread=unread))
    tracemalloc.start()
    for frame in itertools.takewhile(lambda _: end.open, each):
        end.receive(frame)
    memory, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert end.state is ClientState.FLOODED
    assert memory < 2 * unread
    for frame in each:
        taking.receive(frame)
        assert taking.response() is not None
    assert taking.open


def test_a_response_that_is_read_makes_room_for_another() -> None:
    end = talking(Limits(unread=3 * 256))
    empty = encode(Message.octets(b""))
    end.receive(empty * 3)
    assert end.response() is not None
    end.receive(empty)
    assert end.open
    end.receive(empty)
    assert end.state is ClientState.FLOODED


@pytest.mark.parametrize("media_type", ["text/plain", "application/json", "TEXT/plain"])
def test_usual_media_types_count_nothing(media_type: str) -> None:
    end = talking(Limits(unread=300 * 256))
    end.receive(encode(Message.of(media_type, b"").unwrap()) * 300)
    assert end.open
    end.receive(encode(Message.of(media_type, b"").unwrap()))
    assert end.state is ClientState.FLOODED


@pytest.mark.parametrize(
    ("media_type", "weight"),
    [
        ("text/plain", 256), ("text/" + "x" * 251, 256), ("text/" + "x" * 252, 256 + 2 * 257),
        ("text/x; a=b", 256 + 2 * 11 + 128), ("text/x; a=b; c=d", 256 + 2 * 16 + 2 * 128),
    ],
)  # fmt: skip
def test_a_response_counts_the_memory_that_it_takes(media_type: str, weight: int) -> None:
    size = 300
    response = encode(Message.of(media_type, b"x" * size).unwrap())
    enough, too_little = talking(Limits(unread=2 * (size + weight))), talking(Limits(unread=2 * (size + weight) - 1))
    for end in (enough, too_little):
        end.receive(response * 2)
    assert (enough.open, too_little.open) == (True, False)


def test_reading_all_responses_makes_room_for_as_many_again() -> None:
    size = 300
    end = talking(Limits(unread=2 * (size + 256)))  # A response counts its content and 256 bytes.
    for _ in range(3):
        end.receive(encode(Message.text("x" * size)) * 2)
        assert end.open
        assert end.response() is not None
        assert end.response_to(0) is not None
    end.receive(encode(Message.text("x" * size)) + encode(Message.text("x" * (size + 1))))
    assert end.state is ClientState.FLOODED


def test_a_large_response_is_read_into_the_room() -> None:
    end, response = talking(), Message.octets(b"x" * 2**16)
    assert end.room() is None
    send(end, [ONE])
    stream = memoryview(Signal.RECEIVED.frame + encode(response))
    end.receive(bytes(stream[: 2**15]))
    at = 2**15
    while (room := end.room()) is not None:
        assert room
        room[:] = stream[at : at + len(room)]
        at += len(room)
        end.filled(len(room))
    assert at == len(stream)
    assert end.response_to(1) == response


def test_an_interrupted_client_neither_writes_nor_reads() -> None:
    end = talking()
    send(end, [ONE, TWO])
    end.interrupt()
    assert (end.state, end.open) == (ClientState.INTERRUPTED, False)
    send(end, [ONE])
    end.receive(Signal.RECEIVED.frame + encode(TWO))
    assert (written(end), end.acknowledged, end.response()) == (b"", 0, None)


def test_a_client_knows_the_size_of_the_largest_message_it_sent() -> None:
    end = talking()
    assert end.largest == 0
    send(end, [Message.octets(b"x" * size) for size in (3, 7, 5)])
    assert end.largest == 7


def test_a_client_drops_only_the_response_to_an_ask_that_timed_out() -> None:
    end = talking()
    send(end, [ONE, ONE, ONE])
    end.disown(1)
    end.disown(2)
    end.receive(Signal.RECEIVED.frame + encode(Message.text("late")) + encode(Message.text("second")))
    end.receive(Signal.RECEIVED.frame + Signal.RECEIVED.frame + encode(Message.text("third")))
    assert [end.response(), end.response(), end.response()] == [Message.text("second"), Message.text("third"), None]


@given(st.lists(st.integers(0, 2), max_size=20))
def test_responses_to_asks_that_timed_out_never_exceed_the_limit(counts: list[int]) -> None:
    end = ClientConnection(heartbeat=1, limits=Limits(unread=600), now=0)
    end.receive(Signal.START.frame)
    large = Message.text("x" * 300)
    for number, count in enumerate(counts, 1):
        send(end, [ONE])
        end.disown(number)
        end.receive(Signal.RECEIVED.frame + encode(large) * count)
        assert end.response() == (large if count == 2 else None)
        assert end.open


def test_asks_that_got_no_response_take_no_memory() -> None:
    end = talking()
    tracemalloc.start()
    for number in range(1, 3000):
        end.send([], 1)
        end.disown(number)
        end.receive(Signal.RECEIVED.frame)
    assert tracemalloc.get_traced_memory()[0] < 20_000
    tracemalloc.stop()
