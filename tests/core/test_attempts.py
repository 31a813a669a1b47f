"""How `IPC.wait` tries again: close attempts at a new socket, and rare ones at an old one or at none. The clock is the test's."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from returns.result import Failure, Success

from ipcfold import Name, PathTooLong
from ipcfold.core.verbs import Attempts, Pause, Standing
from ipcfold.errors import ConnectionRefused, NoServer, TimedOut

NAME = Name("server")
ABSENT = NoServer(NAME, Path("/run/ipcfold/server.sock"))
REFUSED = ConnectionRefused(NAME)
HANDSHAKE = 5.0
WINDOW = 0.05  # seconds for which a socket is new

moments = st.floats(0, 1000)
files = st.builds(Standing, st.tuples(st.integers(), st.integers(), st.integers()), st.floats(0, 1e9))


def waiting(now: float) -> Attempts:
    return Attempts(NAME, None, HANDSHAKE, now)


def pauses(attempts: Attempts, standing: Standing | None, now: float, until: float) -> list[float]:
    """The pauses of a wait to which nothing happens."""
    found = list[float]()
    while now < until:
        pause = attempts.failed(ABSENT, standing, now).unwrap()
        assert pause.watch
        assert pause.until > now
        found.append(pause.until - now)
        now = pause.until
    return found


@given(moments, st.none() | files)
def test_a_wait_for_nobody_looks_a_few_times_a_second(now: float, standing: Standing | None) -> None:
    assert len(pauses(waiting(now), standing, now, now + 10)) <= 10 * 4 + WINDOW * 1000 + 2


@given(moments, files)
def test_a_wait_looks_often_at_a_socket_that_appears_meanwhile(now: float, new: Standing) -> None:
    attempts = waiting(now)
    attempts.failed(ABSENT, None, now)
    assert max(pauses(attempts, new, now + 1, now + 1 + WINDOW * 0.9)) <= 0.002


@given(moments, files, files)
def test_a_wait_looks_often_at_a_socket_that_replaces_an_old_one(now: float, old: Standing, new: Standing) -> None:
    attempts = waiting(now)
    pauses(attempts, old, now, now + 1)
    often = max(pauses(attempts, new, now + 2, now + 2 + WINDOW * 0.9)) <= 0.002
    assert often == (new != old)


@given(moments, st.floats(2 * WINDOW, 1e9))
@example(0.0, WINDOW)
def test_a_wait_looks_rarely_at_a_socket_that_was_old_before(now: float, age: float) -> None:
    assert min(pauses(waiting(now), Standing((1, 2, 3), age), now, now + 1)) > 0.2


@given(moments, st.floats(0, 10), files, st.lists(st.sampled_from([ABSENT, REFUSED, TimedOut(NAME, 1.0, "the greeting of")])))
def test_no_pause_is_longer_than_the_timeout(
    now: float, timeout: float, standing: Standing, errors: list[NoServer | ConnectionRefused | TimedOut]
) -> None:
    attempts, deadline, last = Attempts(NAME, timeout, HANDSHAKE, now), now + timeout, now
    for error in errors:
        if now >= deadline:
            break
        last = attempts.failed(error, standing, now).unwrap().until
        assert now <= last <= deadline
        now = last
    refused = errors and isinstance(errors[-1], ConnectionRefused)
    if not refused:
        assert isinstance(attempts.failed(ABSENT, None, deadline), Failure)


@given(moments, st.floats(0, 10), st.floats(0, 20))
def test_an_attempt_takes_no_longer_than_the_handshake_or_the_rest_of_the_timeout(now: float, timeout: float, elapsed: float) -> None:
    longest = Attempts(NAME, timeout, HANDSHAKE, now).timeout(now + elapsed)
    assert 0.0 <= longest <= HANDSHAKE
    assert longest == pytest.approx(min(HANDSHAKE, timeout - elapsed) if elapsed < timeout else 0.0, abs=1e-9)
    assert waiting(now).timeout(now + elapsed) == HANDSHAKE


@given(moments, st.integers(1, 8))
def test_the_pauses_after_refusals_double_until_the_longest(now: float, count: int) -> None:
    attempts = waiting(now)
    for expected in [0.02, 0.04, 0.08, 0.16, 0.32, 0.32, 0.32, 0.32][:count]:
        assert attempts.failed(REFUSED, None, now) == Success(Pause(now + expected, watch=False))
    attempts.failed(ABSENT, None, now)  # The server is gone, and the next one may have a place.
    assert attempts.failed(REFUSED, None, now) == Success(Pause(now + 0.02, watch=False))


@given(moments, st.sampled_from([0.0, 2.5]))
def test_a_wait_that_ends_says_what_it_waited_for(now: float, timeout: float) -> None:
    attempts, end = Attempts(NAME, timeout, HANDSHAKE, now), now + timeout
    backlog = TimedOut(NAME, 1.0, "a place in the backlog of")
    for error in ABSENT, backlog:
        assert attempts.failed(error, None, end) == Failure(TimedOut(NAME, timeout, "the server"))
    assert attempts.failed(REFUSED, None, end) == Failure(REFUSED)
    assert attempts.failed(backlog, None, end) == Failure(REFUSED)  # That attempt had no time for a refusal.


def test_another_attempt_follows_a_place_in_the_backlog_that_did_not_come() -> None:
    attempts = Attempts(NAME, 1.0, HANDSHAKE, 0.0)
    assert attempts.failed(TimedOut(NAME, 1.0, "a place in the backlog of"), None, 0.5) == Success(Pause(0.51, watch=False))


def test_no_attempt_follows_an_error_that_time_does_not_mend() -> None:
    long = PathTooLong(Path("/x"), 107)
    assert waiting(0.0).failed(long, None, 0.0) == Failure(long)
