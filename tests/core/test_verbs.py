"""The verbs of a client, run by hand: what they yield, what they write, and what they return."""

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.result import Failure, Result, Success

from ipcfold import (
    ConnectionClosed,
    ConnectionLost,
    ConnectionRefused,
    Interrupted,
    Limits,
    Message,
    MessageTooLarge,
    Name,
    ProcessClosed,
    ProtocolBroken,
    ReservedMessage,
    TimedOut,
    Unacknowledged,
    UnreadExceeded,
)
from ipcfold.core.client_connection import ClientConnection
from ipcfold.core.verbs import Steps, Verbs
from ipcfold.core.wire import Signal, encode
from ipcfold.errors import Ended
from ipcfold.testing.strategies import messages
from tests.core.written import written

T = TypeVar("T")

NAME = Name("server")
LIMITS = Limits(message=50_000, drain=2.0, unread=100_000)
PING, PONG, LARGEST = Message.text("ping"), Message.text("pong"), Message.octets(b"x" * LIMITS.message)
RECEIVED = Signal.RECEIVED.frame
WRONG_MARK = encode(PING)[:-1] + b"\0"
NO_MARK = "a frame does not end in the end mark"

Happening: TypeAlias = Callable[[ClientConnection], object]
"""An event of a connection."""

ENDS: list[tuple[Happening, Ended]] = [
    (lambda connection: connection.receive(Signal.CLOSE.frame), ConnectionClosed(NAME)),
    (ClientConnection.end, ConnectionLost(NAME)),
    (ClientConnection.interrupt, Interrupted(NAME)),
    (lambda connection: connection.receive(WRONG_MARK), ProtocolBroken(NAME, NO_MARK)),
    (lambda connection: connection.receive(encode(LARGEST) * 4), UnreadExceeded(NAME, LIMITS.unread)),
]
"""How a connection can end, and the error that tells it."""

timeouts = st.sampled_from([0.0, 2.5])
ends = st.sampled_from(ENDS)


def connected() -> tuple[Verbs, ClientConnection]:
    connection = ClientConnection(heartbeat=1, limits=LIMITS, now=0)
    return Verbs(NAME, connection, LIMITS, lambda: ConnectionLost(NAME)), connection


def talking() -> tuple[Verbs, ClientConnection]:
    verbs, connection = connected()
    connection.receive(Signal.START.frame)
    assert written(connection) == Signal.START_OK.frame
    return verbs, connection


def result(steps: Steps[T]) -> T:
    """The result of a verb that waits for nothing."""
    with pytest.raises(StopIteration) as end:
        next(steps)
    found: T = end.value.value
    return found


def returned(steps: Steps[T], now: float) -> T:
    """The result of a verb whose wait is over now."""
    with pytest.raises(StopIteration) as end:
        steps.send(now)
    found: T = end.value.value
    return found


def timed_out(verbs: Verbs, count: int) -> None:
    """Ask so often, and get neither an acknowledgement nor a response in time."""
    for _ in range(count):
        asked = verbs.ask(PING, 0.0, 0.0)
        assert next(asked) == 0.0
        assert returned(asked, 0.0) == Failure(TimedOut(NAME, 0.0, "the response of"))


# Greet.


@given(st.lists(st.floats(0, 4.9)), st.floats(0, 10))
def test_a_greet_waits_for_the_greeting(looks: list[float], came: float) -> None:
    verbs, connection = connected()
    greeted = verbs.greet(2.5, 5.0)
    assert next(greeted) == 5.0
    for now in looks:
        assert greeted.send(now) == 5.0
    connection.receive(Signal.START.frame)
    assert returned(greeted, came) == Success(None)  # Also if the greeting comes at the deadline or later.
    assert written(connection) == Signal.START_OK.frame


@given(timeouts, st.floats(5, 10))
def test_a_greet_gives_up_at_its_deadline(timeout: float, late: float) -> None:
    verbs, _ = connected()
    greeted = verbs.greet(timeout, 5.0)
    assert next(greeted) == 5.0
    assert greeted.send(4.9) == 5.0
    assert returned(greeted, late) == Failure(TimedOut(NAME, timeout, "the greeting of"))


@pytest.mark.parametrize(
    ("happens", "error"),
    [
        (lambda connection: connection.receive(Signal.CLOSE.frame), ConnectionRefused(NAME)),
        (ClientConnection.end, ConnectionRefused(NAME)),
        (lambda connection: connection.receive(WRONG_MARK), ProtocolBroken(NAME, NO_MARK)),
    ],
)
def test_a_greet_fails_at_once_if_the_connection_ends(happens: Happening, error: ConnectionRefused | ProtocolBroken) -> None:
    verbs, connection = connected()
    greeted = verbs.greet(2.5, 5.0)
    assert next(greeted) == 5.0
    happens(connection)
    assert returned(greeted, 1.0) == Failure(error)


# Send.


@given(st.integers(0, 2), st.lists(messages(), min_size=1, max_size=4), st.none() | ends)
def test_a_send_waits_until_all_its_messages_are_acknowledged(
    pending: int, said: list[Message], end: tuple[Happening, Ended] | None
) -> None:
    verbs, connection = talking()
    timed_out(verbs, pending)
    written(connection)
    sent = verbs.send(tuple(said))
    assert next(sent) is None
    assert written(connection) == b"".join(map(encode, said))
    for _ in range(pending + len(said) - 1):
        connection.receive(RECEIVED)
        assert sent.send(0.0) is None
    connection.receive(RECEIVED)
    if end is not None:
        end[0](connection)  # The server has folded all of them, so this is not a failure.
    assert returned(sent, 0.0) == Success(None)


@given(st.data(), st.integers(0, 2), st.lists(messages(), min_size=1, max_size=4), ends)
def test_a_send_that_the_end_of_the_connection_ends_counts_its_acknowledged_messages(
    data: st.DataObject, pending: int, said: list[Message], end: tuple[Happening, Ended]
) -> None:
    happens, ended = end
    verbs, connection = talking()
    timed_out(verbs, pending)
    sent = verbs.send(tuple(said))
    assert next(sent) is None
    acknowledged = data.draw(st.integers(0, pending + len(said) - 1))
    connection.receive(RECEIVED * acknowledged)
    assert sent.send(0.0) is None
    happens(connection)
    assert returned(sent, 0.0) == Failure(Unacknowledged(max(0, acknowledged - pending), len(said), ended))


def test_a_send_of_nothing_writes_nothing() -> None:
    verbs, connection = talking()
    assert result(verbs.send(())) == Success(None)
    assert written(connection) == b""


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (Message.octets(b"x" * 50_001), MessageTooLarge(50_001, 50_000)),
        (Message.text("innmind/ipc:heartbeat"), ReservedMessage(Message.text("innmind/ipc:heartbeat"))),
    ],
)
def test_nothing_is_sent_if_one_message_must_not_be_sent(message: Message, error: MessageTooLarge | ReservedMessage) -> None:
    verbs, connection = talking()
    assert result(verbs.send((PING, message))) == Failure(error)
    assert result(verbs.ask(message, None, None)) == Failure(error)
    assert (written(connection), connection.sent) == (b"", 0)


# Wait.


@given(st.lists(messages(), max_size=4), st.lists(messages(), max_size=4))
def test_a_wait_takes_the_next_response(first: list[Message], later: list[Message]) -> None:
    verbs, connection = talking()
    connection.receive(b"".join(map(encode, first)))
    for response in first:
        assert result(verbs.wait(None, None)) == Success(response)
    for response in later:
        waited = verbs.wait(None, None)
        assert next(waited) is None
        assert waited.send(1e9) is None
        connection.receive(encode(response))
        assert returned(waited, 1e9) == Success(response)


@given(timeouts, st.floats(5, 10))
def test_a_wait_gives_up_at_its_deadline(timeout: float, late: float) -> None:
    verbs, _ = talking()
    waited = verbs.wait(timeout, 5.0)
    assert next(waited) == 5.0
    assert waited.send(4.9) == 5.0
    assert returned(waited, late) == Failure(TimedOut(NAME, timeout, "a response of"))


def test_a_wait_takes_a_response_that_comes_at_its_deadline() -> None:
    verbs, connection = talking()
    waited = verbs.wait(1.0, 5.0)
    assert next(waited) == 5.0
    connection.receive(encode(PONG))
    assert returned(waited, 5.0) == Success(PONG)


@given(ends)
def test_a_wait_says_how_the_connection_ended_once_the_responses_are_read(end: tuple[Happening, Ended]) -> None:
    happens, ended = end
    verbs, connection = talking()
    connection.receive(encode(PONG))
    happens(connection)
    *responses, last = [result(verbs.wait(None, None)) for _ in range(6)]  # More responses than any of the ends leaves.
    assert responses[0] == Success(PONG)
    assert last == Failure(ended)


def test_a_wait_ends_when_the_connection_does() -> None:
    verbs, connection = talking()
    waited = verbs.wait(None, None)
    assert next(waited) is None
    connection.interrupt()
    assert returned(waited, 0.0) == Failure(Interrupted(NAME))


# Ask.


@given(st.lists(st.lists(messages(), max_size=2), max_size=2), st.lists(st.tuples(messages(), messages()), max_size=3), messages())
def test_an_ask_takes_the_first_response_to_its_own_message(
    earlier: list[list[Message]], asks: list[tuple[Message, Message]], second: Message
) -> None:
    verbs, connection = talking()
    for responses in earlier:
        sent = verbs.send((PING,))
        assert next(sent) is None
        connection.receive(RECEIVED + b"".join(map(encode, responses)))
        assert returned(sent, 0.0) == Success(None)
    written(connection)
    for message, response in asks:
        asked = verbs.ask(message, None, None)
        assert next(asked) is None
        assert written(connection) == encode(message)
        assert asked.send(1e9) is None
        connection.receive(RECEIVED)
        assert asked.send(1e9) is None
        connection.receive(encode(response) + encode(second))
        assert returned(asked, 1e9) == Success(response)
    for response in [each for responses in earlier for each in responses] + [second] * len(asks):
        assert result(verbs.wait(None, None)) == Success(response)
    assert connection.response() is None


@given(st.booleans(), timeouts, st.floats(5, 10))
def test_an_ask_that_gives_up_knows_whether_its_message_was_folded(folded: bool, timeout: float, late: float) -> None:  # noqa: FBT001 - a parameter of the test
    verbs, connection = talking()
    asked = verbs.ask(PING, timeout, 5.0)
    assert next(asked) == 5.0
    if folded:
        connection.receive(RECEIVED)
    assert asked.send(4.9) == 5.0
    assert returned(asked, late) == Failure(TimedOut(NAME, timeout, "the response of", int(folded)))
    connection.receive((b"" if folded else RECEIVED) + encode(Message.text("late")) + encode(PONG))
    assert (connection.response(), connection.response()) == (PONG, None)  # Only the late response is dropped.


def test_an_ask_takes_a_response_that_comes_at_its_deadline() -> None:
    verbs, connection = talking()
    asked = verbs.ask(PING, 1.0, 5.0)
    assert next(asked) == 5.0
    assert asked.send(4.0) == 5.0
    connection.receive(RECEIVED + encode(PONG))
    assert returned(asked, 5.0) == Success(PONG)


def test_an_ask_that_an_exception_ends_drops_its_response() -> None:
    verbs, connection = talking()
    asked = verbs.ask(PING, None, None)
    assert next(asked) is None
    asked.close()
    connection.receive(RECEIVED + encode(PONG))
    assert connection.response() is None


@given(ends, st.booleans())
def test_an_ask_says_how_the_connection_ended_and_whether_its_message_was_folded(end: tuple[Happening, Ended], folded: bool) -> None:  # noqa: FBT001 - a parameter of the test
    happens, ended = end
    verbs, connection = talking()
    asked = verbs.ask(PING, None, None)
    assert next(asked) is None
    if folded:
        connection.receive(RECEIVED)
        assert asked.send(0.0) is None
    happens(connection)
    if not folded:
        assert returned(asked, 0.0) == Failure(Unacknowledged(0, 1, ended))
    elif isinstance(ended, UnreadExceeded):  # The first of the many responses answers this message.
        assert returned(asked, 0.0) == Success(LARGEST)
    else:
        assert returned(asked, 0.0) == Failure(ended)


# Close.


@given(st.floats(0, 1e6), st.sampled_from([(Signal.CLOSE_OK, b""), (Signal.CLOSE, Signal.CLOSE_OK.frame)]))
def test_a_close_waits_for_the_confirmation(now: float, confirmed: tuple[Signal, bytes]) -> None:
    confirmation, answer = confirmed
    verbs, connection = talking()
    closing = verbs.close(now)
    assert next(closing) == now + LIMITS.drain
    assert (verbs.closed, written(connection)) == (False, Signal.CLOSE.frame)
    assert closing.send(now) == now + LIMITS.drain
    connection.receive(confirmation.frame)
    assert returned(closing, now + 1) == Success(None)
    assert (verbs.closed, written(connection)) == (True, answer)


@given(st.floats(0, 1e6))
def test_a_close_gives_up_after_the_drain(now: float) -> None:
    verbs, _ = talking()
    closing = verbs.close(now)
    assert next(closing) == now + LIMITS.drain
    assert closing.send(now + LIMITS.drain - 0.1) == now + LIMITS.drain
    assert returned(closing, now + LIMITS.drain) == Failure(TimedOut(NAME, LIMITS.drain, "the confirmation to close of"))
    assert verbs.closed is True


@given(ends)
def test_a_close_of_a_connection_that_ended_says_how_unless_the_server_closed_it(end: tuple[Happening, Ended]) -> None:
    happens, ended = end
    verbs, connection = talking()
    happens(connection)
    expected: Result[None, Ended] = Success(None) if isinstance(ended, ConnectionClosed) else Failure(ended)
    assert result(verbs.close(0.0)) == expected
    assert verbs.closed is True


def test_a_close_says_that_the_connection_ended_before_the_confirmation() -> None:
    verbs, connection = talking()
    closing = verbs.close(0.0)
    assert next(closing) == LIMITS.drain
    connection.end()
    assert returned(closing, 1.0) == Failure(ConnectionLost(NAME))


def test_no_verb_writes_or_reads_after_a_close() -> None:
    verbs, connection = talking()
    closing = verbs.close(0.0)
    assert next(closing) == LIMITS.drain
    connection.receive(Signal.CLOSE_OK.frame)
    assert returned(closing, 1.0) == Success(None)
    written(connection)
    for steps in verbs.send((PING,)), verbs.wait(None, None), verbs.ask(PING, None, None):
        assert result(steps) == Failure(ProcessClosed(NAME))
    assert result(verbs.close(5.0)) == Success(None)
    assert written(connection) == b""
