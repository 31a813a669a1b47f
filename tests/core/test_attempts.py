"""How `IPC.wait` tries again: close attempts at a new socket, and rare ones at an old one or at none. The clock is the test's."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from returns.result import Failure

from ipcfold import Name
from ipcfold.core.verbs import Attempts, Standing
from ipcfold.errors import ConnectionRefused, NoServer, TimedOut

NAME = Name("server")
ABSENT = NoServer(NAME, Path("/run/ipcfold/server.sock"))
WINDOW = 0.05  # seconds for which a socket is new

moments = st.floats(0, 1000)
files = st.builds(Standing, st.tuples(st.integers(), st.integers(), st.integers()), st.floats(0, 1e9))


def waiting(now: float) -> Attempts:
    return Attempts(NAME, None, 5.0, now)


def pauses(attempts: Attempts, standing: Standing | None, now: float, until: float) -> list[float]:
    """The pauses of a wait to which nothing happens."""
    found = list[float]()
    while now < until:
        pause = attempts.failed(ABSENT, standing, now).unwrap()
        assert pause.watch
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
def test_a_wait_looks_rarely_at_a_socket_that_was_old_before(now: float, age: float) -> None:
    assert min(pauses(waiting(now), Standing((1, 2, 3), age), now, now + 1)) > 0.2


@given(
    moments, st.floats(0, 10), files, st.lists(st.sampled_from([ABSENT, ConnectionRefused(NAME), TimedOut(NAME, 1.0, "the greeting of")]))
)
def test_no_pause_is_longer_than_the_timeout(
    now: float, timeout: float, standing: Standing, errors: list[NoServer | ConnectionRefused | TimedOut]
) -> None:
    attempts, deadline, last = Attempts(NAME, timeout, 5.0, now), now + timeout, now
    for error in errors:
        if now >= deadline:
            break
        last = attempts.failed(error, standing, now).unwrap().until
        assert now <= last <= deadline
        now = last
    refused = errors and isinstance(errors[-1], ConnectionRefused)
    if not refused:
        assert isinstance(attempts.failed(ABSENT, None, deadline), Failure)
