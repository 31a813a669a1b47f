"""A steady client gives identities, waits for as long as it may, and gives up what a server does not take."""

from typing import final

import attrs
import pytest
from returns.maybe import Maybe, Nothing, Some
from returns.result import Failure, Result, Success

from ipcfold import AskError, ConnectionClosed, ConnectionDropped, ConnectionLost, Message, Name, TimedOut, Unacknowledged
from ipcfold.core.steady import Effort, Steadiness

NAME, ONE = Name("server"), Message.text("one")
LOST, CLOSED, DROPPED = ConnectionLost(NAME), ConnectionClosed(NAME), ConnectionDropped(NAME, 7, 100)


@final
@attrs.frozen(eq=False)
class Connection:
    closed: bool = False
    epoch: Maybe[int] = attrs.field(factory=lambda: Some(7))


FIRST, SECOND = Connection(), Connection()


@final
class Client(Steadiness[Connection]):
    def connected(self, process: Connection) -> "Client":
        self._process = process
        return self

    def tries_again(self, error: AskError, effort: Effort | None = None, process: Connection = FIRST) -> bool:
        refused: Result[None, AskError] = Failure(error)
        return self._again(effort or self._effort((ONE,)), process, refused)

    def succeeds(self, effort: Effort) -> None:
        done: Result[None, AskError] = Success(None)
        assert not self._again(effort, FIRST, done)


def steady(timeout: float | None = None) -> Client:
    return Client(NAME, timeout).connected(FIRST)


def test_each_message_gets_another_identity_unless_it_has_one() -> None:
    client, other = steady(), steady()
    given = [each._identified(Message.text("one")).identity.unwrap() for each in (client, client, other)]  # noqa: SLF001 - for the shells
    assert len(set(given)) == 3
    assert client._identified(Message.text("one").identified("mine")).identity.unwrap() == "mine"  # noqa: SLF001 - as above


@pytest.mark.parametrize(
    ("timeout", "own", "wanted"), [(None, None, None), (5.0, None, 5.0), (None, 3.0, 3.0), (5.0, 3.0, 3.0), (2.0, 3.0, 2.0)]
)
def test_the_shorter_of_two_timeouts_counts(timeout: float | None, own: float | None, wanted: float | None) -> None:
    assert steady(timeout)._patience(own) == wanted  # noqa: SLF001 - as above


def test_the_time_that_is_left_is_never_negative() -> None:
    client = steady()
    assert client._effort(()).left(1.0) is None  # noqa: SLF001 - as above
    effort = client._effort((), 2.0, 1.0)  # noqa: SLF001 - as above
    assert (effort.left(1.0), effort.left(2.5), effort.left(4.0)) == (2.0, 0.5, 0.0)


def test_another_connection_is_tried_when_one_ends_and_not_for_other_failures() -> None:
    client = steady()
    for error in (LOST, CLOSED, Unacknowledged(0, 1, LOST)):
        assert all(client.tries_again(error) for _ in range(10))
    assert not client.tries_again(TimedOut(NAME, 1.0, "the response of"))


def test_a_connection_that_has_ended_is_given_up_and_its_epoch_is_unknown() -> None:
    client, over = steady(), Connection(closed=True)
    assert client.epoch == Some(7)
    assert client.tries_again(LOST, process=over)  # another verb has connected meanwhile
    assert client.epoch == Some(7)
    assert client.connected(over).tries_again(LOST, process=over)
    assert client.epoch is Nothing


def test_what_a_server_drops_three_times_is_given_up() -> None:
    client = steady()
    assert [client.tries_again(Unacknowledged(0, 1, DROPPED)) for _ in range(3)] == [True, True, False]
    client = steady()
    tries = [client.tries_again(Unacknowledged(done, 9, DROPPED)) for done in (0, 0, 1, 0, 0)]
    assert tries == [True, True, True, True, False]


def test_only_what_is_not_acknowledged_is_sent_again() -> None:
    client = steady()
    effort = client._effort((ONE, ONE, ONE))  # noqa: SLF001 - as above
    every = effort.messages
    assert client.tries_again(Unacknowledged(0, 3, LOST), effort)
    assert effort.messages == every
    assert client.tries_again(Unacknowledged(2, 3, LOST), effort)
    assert effort.messages == every[2:]


def test_an_acknowledgement_ends_a_row_of_drops_and_a_message_that_comes_does_not() -> None:
    client = steady()
    assert [client.tries_again(DROPPED) for _ in range(2)] == [True, True]
    client.succeeds(client._effort(()))  # noqa: SLF001 - as above
    assert not client.tries_again(DROPPED)
    client.succeeds(client._effort((ONE,)))  # noqa: SLF001 - as above
    assert client.tries_again(DROPPED)


def test_many_verbs_on_one_connection_notice_its_end_and_count_it_once() -> None:
    client = steady()
    assert client.tries_again(DROPPED)
    client.connected(SECOND)
    assert all(client.tries_again(DROPPED) for _ in range(5))
