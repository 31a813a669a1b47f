"""`flat_map` obeys the laws of a monad, for both containers, and `cases` is the identity."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from returns.maybe import Maybe, Nothing, Some
from returns.result import Failure, Result, Success

from ipcfold import cases
from ipcfold.pointfree import flat_map

Step = Callable[[int], Result[int, str]]
MaybeStep = Callable[[int], Maybe[int]]


def step(value: int) -> Result[int, str]:
    return Success(value)


def maybe_step(value: int) -> Maybe[int]:
    return Some(value)


results: st.SearchStrategy[Result[int, str]] = st.integers().map(Success) | st.text().map(Failure)
maybes: st.SearchStrategy[Maybe[int]] = st.integers().map(Some) | st.just(Nothing)
steps: st.SearchStrategy[Step] = st.functions(like=step, returns=results, pure=True)
maybe_steps: st.SearchStrategy[MaybeStep] = st.functions(like=maybe_step, returns=maybes, pure=True)


@given(st.integers(), results, steps, steps)
def test_flat_map_obeys_the_laws_of_a_monad_for_results(value: int, result: Result[int, str], first: Step, second: Step) -> None:
    def both(found: int) -> Result[int, str]:
        return flat_map(second)(first(found))

    assert flat_map(first)(step(value)) == first(value)
    assert flat_map(step)(result) == result
    assert flat_map(second)(flat_map(first)(result)) == flat_map(both)(result)


@given(st.integers(), maybes, maybe_steps, maybe_steps)
def test_flat_map_obeys_the_laws_of_a_monad_for_maybes(value: int, maybe: Maybe[int], first: MaybeStep, second: MaybeStep) -> None:
    def both(found: int) -> Maybe[int]:
        return flat_map(second)(first(found))

    assert flat_map(first)(maybe_step(value)) == first(value)
    assert flat_map(maybe_step)(maybe) == maybe
    assert flat_map(second)(flat_map(first)(maybe)) == flat_map(both)(maybe)


@given(results)
def test_cases_returns_the_same_result(result: Result[int, str]) -> None:
    assert cases(result) is result
