"""The verbs of a client, run by hand: what they yield, and what they return."""

from pathlib import Path
from typing import TypeVar

import pytest
from returns.result import Failure, Success

from ipcfold import ConnectionLost, Interrupted, Limits, Message, Name, PathTooLong, TimedOut
from ipcfold.core.client_connection import ClientConnection
from ipcfold.core.verbs import Attempts, Steps, Verbs
from ipcfold.core.wire import Signal, encode

T = TypeVar("T")
NAME = Name("server")
PING, PONG = Message.text("ping"), Message.text("pong")


def talking() -> tuple[Verbs, ClientConnection]:
    connection = ClientConnection(heartbeat=1, limits=Limits(), now=0)
    connection.receive(Signal.START.frame)
    return Verbs(NAME, connection, Limits(), lambda: ConnectionLost(NAME)), connection


def returned(steps: Steps[T], now: float) -> T:
    with pytest.raises(StopIteration) as end:
        steps.send(now)
    result: T = end.value.value
    return result


def test_an_ask_that_an_exception_ends_drops_its_response() -> None:
    verbs, connection = talking()
    asked = verbs.ask(PING, None, None)
    assert next(asked) is None
    asked.close()
    connection.receive(Signal.RECEIVED.frame + encode(PONG))
    assert connection.response() is None


def test_an_ask_takes_a_response_that_comes_at_its_deadline() -> None:
    verbs, connection = talking()
    asked = verbs.ask(PING, 1.0, 5.0)
    assert next(asked) == 5.0
    assert asked.send(4.0) == 5.0
    connection.receive(Signal.RECEIVED.frame + encode(PONG))
    assert returned(asked, 5.0) == Success(PONG)


def test_a_wait_gives_up_at_its_deadline() -> None:
    verbs, _ = talking()
    waited = verbs.wait(1.0, 5.0)
    assert next(waited) == 5.0
    assert returned(waited, 5.0) == Failure(TimedOut(NAME, 1.0, "a response of"))


def test_a_verb_says_that_the_connection_was_interrupted() -> None:
    verbs, connection = talking()
    waited = verbs.wait(None, None)
    assert next(waited) is None
    connection.interrupt()
    assert returned(waited, 0.0) == Failure(Interrupted(NAME))


def test_another_attempt_follows_a_place_in_the_backlog_that_did_not_come() -> None:
    attempts = Attempts(NAME, 1.0, 5.0, 0.0)
    assert isinstance(attempts.failed(TimedOut(NAME, 1.0, "a place in the backlog of"), None, 0.5), Success)
    assert attempts.failed(TimedOut(NAME, 1.0, "a place in the backlog of"), None, 1.0) == Failure(TimedOut(NAME, 1.0, "the server"))


def test_no_attempt_follows_an_error_that_time_does_not_mend() -> None:
    long = PathTooLong(Path("/x"), 107)
    assert Attempts(NAME, None, 5.0, 0.0).failed(long, None, 0.0) == Failure(long)
