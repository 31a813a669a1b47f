"""A steady client gives identities, waits for as long as it may, and gives up what a server does not take."""

import pytest

from ipcfold import ConnectionClosed, ConnectionDropped, ConnectionLost, Message, Name, TimedOut, Unacknowledged
from ipcfold.core.steady import Steadiness, left

NAME = Name("server")
LOST, CLOSED, DROPPED = ConnectionLost(NAME), ConnectionClosed(NAME), ConnectionDropped(NAME, 7, 100)


def steady(timeout: float | None = None) -> Steadiness[str]:
    made = Steadiness[str](NAME, timeout)
    made._process = "first"  # noqa: SLF001 - the shell connects
    return made


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
    assert (left(None, 1.0), left(3.0, 1.0), left(1.0, 3.0)) == (None, 2.0, 0.0)


def test_another_connection_is_tried_when_one_ends_and_not_for_other_failures() -> None:
    client = steady()
    for error in (LOST, CLOSED, Unacknowledged(0, 1, LOST)):
        for _ in range(10):
            assert client._again("first", error, 0)  # noqa: SLF001 - as above
    assert not client._again("first", TimedOut(NAME, 1.0, "the response of"), 0)  # noqa: SLF001 - as above


def test_what_a_server_drops_three_times_is_given_up() -> None:
    client = steady()
    assert [client._again("first", Unacknowledged(0, 1, DROPPED), 0) for _ in range(3)] == [True, True, False]  # noqa: SLF001 - as above
    client = steady()
    tries = [client._again("first", Unacknowledged(done, 9, DROPPED), done) for done in (0, 0, 1, 0, 0)]  # noqa: SLF001 - as above
    assert tries == [True, True, True, True, False]


def test_many_verbs_on_one_connection_notice_its_end_and_count_it_once() -> None:
    client = steady()
    assert client._again("first", DROPPED, 0)  # noqa: SLF001 - as above
    client._process = "second"  # noqa: SLF001 - as above
    assert all(client._again("first", DROPPED, 0) for _ in range(5))  # noqa: SLF001 - as above
