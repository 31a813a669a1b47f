"""The deadlines of a server's connections, beside a model that keeps one time a connection."""

import itertools
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcfold import Limits, Peer
from ipcfold.core.deadlines import Deadlines
from ipcfold.core.server_connection import ServerConnection

TIMES = st.integers(0, 9).map(float)


def connections(count: int) -> list[ServerConnection]:
    return [ServerConnection(Peer(number), heartbeat=1, limits=Limits(), now=0) for number in range(count)]


@given(
    st.lists(
        st.one_of(st.tuples(st.just("put"), st.integers(0, 4), TIMES), st.tuples(st.just("take"), st.integers(1, 6), TIMES)), max_size=40
    )
)
def test_each_connection_is_due_at_the_earliest_time_that_was_put(steps: list[tuple[str, int, float]]) -> None:
    deadlines, ends, model = Deadlines(), connections(5), dict[int, float]()
    for step, number, time in steps:
        if step == "put":
            deadlines.put(ends[number], time)
            model[number] = min(time, model.get(number, inf))
        else:
            taken = [end.peer.connection for end in deadlines.take(time, number)]
            passed = sorted(due for due in model.values() if due <= time)
            assert sorted(model[each] for each in taken) == passed[: len(taken)]
            assert taken or not passed
            for each in taken:
                del model[each]
        deadlines.tidy(ends, len(ends))
        assert [end.due for end in ends] == [model.get(each, inf) for each in range(5)]
        assert deadlines.next <= min(model.values(), default=inf)
    assert {end.peer.connection for end in deadlines.take(inf, 1000)} == set(model)
    assert (deadlines.next, deadlines.count) == (inf, 0)


@pytest.mark.parametrize(("most", "parts"), [(4, [4, 4, 2]), (5, [5, 5]), (10, [10])])
def test_many_connections_of_one_time_are_taken_in_parts(most: int, parts: list[int]) -> None:
    deadlines, ends = Deadlines(), connections(10)
    deadlines.put_all(ends[:4], 1)
    deadlines.put_all(ends[4:], 1)
    assert deadlines.count == 10
    for left in itertools.accumulate(parts, lambda left, part: left - part, initial=10):
        assert (deadlines.count, deadlines.next) == (left, 1 if left else inf)
        assert len(deadlines.take(1, most)) == min(most, left)


def test_outdated_times_are_removed() -> None:
    deadlines, ends = Deadlines(), connections(3)
    for time in range(100, 0, -1):
        for end in ends[:2]:
            deadlines.put(end, time)
            deadlines.tidy(ends, len(ends))
            assert deadlines.count <= 2 * len(ends) + 64
    assert deadlines.next == 1
    assert deadlines.take(1, 9) == ends[:2]
    assert deadlines.take(inf, 1000) == []
