"""The continuation: what its methods say adds up, and none of them changes what it was said of."""

from collections.abc import Callable

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcfold import Continuation, Message, Outcome, Peer
from ipcfold.testing.strategies import messages

Verb = Callable[[Continuation[int], int], Continuation[int]]

OUTCOMES: dict[Verb, Outcome] = {
    Continuation.continue_: Outcome.CONTINUE,
    Continuation.close: Outcome.CLOSE,
    Continuation.stop: Outcome.STOP,
}


def verbs() -> st.SearchStrategy[Verb]:
    def responding(responses: list[Message]) -> Verb:
        return lambda continuation, carry: continuation.respond(carry, *responses)

    return st.sampled_from(list(OUTCOMES)) | st.lists(messages(), max_size=3).map(responding)


@given(st.lists(st.tuples(verbs(), st.integers())))
def test_the_verbs_of_a_continuation_compose(said: list[tuple[Verb, int]]) -> None:
    start = Continuation(0, peer=Peer(1, 2, 3, 4))
    continuation, outcome, responses = start, Outcome.CONTINUE, 0
    for verb, carry in said:
        before = continuation
        continuation = verb(before, carry)
        assert continuation.carry == carry
        assert continuation.peer == start.peer
        assert continuation.responses[: len(before.responses)] == before.responses
        alone = verb(Continuation(0, peer=start.peer), carry)
        responses += len(alone.responses)
        outcome = OUTCOMES.get(verb, outcome)
        assert continuation.outcome is outcome
    assert len(continuation.responses) == responses
    assert start == Continuation(0, peer=Peer(1, 2, 3, 4))


def test_a_continuation_responds_then_stops() -> None:
    bye = Message.text("bye")
    assert Continuation(0).respond(1, bye).stop(2) == Continuation(2, (bye,), Outcome.STOP)


def test_a_continuation_is_immutable() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        Continuation(0).carry = 1  # type: ignore[misc]  # what this test is about


def test_a_continuation_shows_what_it_was_given() -> None:
    told = Continuation(0, now=5.0, number=7).defer(1)
    assert repr(told).endswith("now=5.0, number=7, effects=(Defer(),))")


@given(st.floats(allow_nan=False), st.integers(), st.integers())
def test_an_evolved_continuation_keeps_what_it_was_given(now: float, number: int, carry: int) -> None:
    told = Continuation(0, now=now, number=number).wake(0, now)
    changed = attrs.evolve(told, carry=carry)
    assert (changed.now, changed.number, changed.effects) == (now, number, told.effects)
    assert changed == told.continue_(carry)
