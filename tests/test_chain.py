"""A `Pipeline` does what `Result` of `returns` does, and is an immutable value."""

import pickle
import re
from collections.abc import Callable
from typing import Any, NoReturn

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from returns.maybe import Some
from returns.result import Failure, Result, Success

from ipcfold import Name, Pipeline, pipeline
from ipcfold.pointfree import flat_map
from tests.test_result import Step, results, step, steps

Repair = Callable[[str], Result[int, str]]


def repair(error: str) -> Result[int, str]:
    return Success(len(error))


def shown(value: int) -> str:
    return str(value)


def length(error: str) -> int:
    return len(error)


repairs: st.SearchStrategy[Repair] = st.functions(like=repair, returns=results, pure=True)
numbers_to_texts = st.functions(like=shown, returns=st.text(), pure=True)
texts_to_numbers = st.functions(like=length, returns=st.integers(), pure=True)


@given(st.integers(), results, steps, steps)
def test_a_pipeline_obeys_the_laws_of_a_monad(value: int, result: Result[int, str], first: Step, second: Step) -> None:
    assert pipeline(step(value)).flat_map(first) == pipeline(first(value))
    assert pipeline(result).flat_map(step) == pipeline(result)
    nested = pipeline(result).flat_map(lambda found: pipeline(first(found)).flat_map(second).result)
    assert pipeline(result).flat_map(first).flat_map(second) == nested


@given(results, repairs, repairs)
def test_lash_obeys_the_laws_of_a_monad_over_errors(result: Result[int, str], first: Repair, second: Repair) -> None:
    def fail(error: str) -> Result[int, str]:
        return Failure(error)

    assert pipeline(result).lash(fail) == pipeline(result)
    nested = pipeline(result).lash(lambda error: pipeline(first(error)).lash(second).result)
    assert pipeline(result).lash(first).lash(second) == nested


@given(results, steps, repairs)
def test_flat_map_and_lash_agree_with_the_result(result: Result[int, str], onward: Step, mend: Repair) -> None:
    assert pipeline(result).flat_map(onward).result == result.bind(onward) == flat_map(onward)(result)
    assert pipeline(result).lash(mend).result == result.lash(mend)


@given(results, numbers_to_texts, texts_to_numbers)
def test_map_alt_and_match_agree_with_the_result(
    result: Result[int, str], of_value: Callable[[int], str], of_error: Callable[[str], int]
) -> None:
    assert pipeline(result).map(of_value).result == result.map(of_value)
    assert pipeline(result).alt(of_error).result == result.alt(of_error)
    matched = pipeline(result).match(of_value, of_error)
    assert matched == (of_value(result.unwrap()) if isinstance(result, Success) else of_error(result.failure()))


@given(results, results)
def test_pipelines_of_equal_results_are_equal(one: Result[int, str], other: Result[int, str]) -> None:
    assert (pipeline(one) == pipeline(other)) is (one == other)
    assert hash(pipeline(one)) == hash(Pipeline(one))
    assert pipeline(one) != one
    assert repr(pipeline(one)) == f"Pipeline(result={one!r})"
    assert pickle.loads(pickle.dumps(pipeline(one))) == pipeline(one)  # noqa: S301 - bytes of our own


@given(results)
def test_a_pipeline_keeps_the_very_result(result: Result[int, str]) -> None:
    assert pipeline(result).result is result


def test_a_function_that_is_not_needed_is_not_called() -> None:
    def never(found: object) -> NoReturn:
        raise AssertionError(found)

    failed: Result[int, str] = Failure("no")
    succeeded: Result[int, str] = Success(1)
    assert pipeline(failed).flat_map(never).map(never).result is failed
    assert pipeline(succeeded).lash(never).alt(never).result is succeeded
    assert pipeline(failed).match(never, length) == 2
    assert pipeline(succeeded).match(shown, never) == "1"


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(lambda function: pipeline(Success(1)).flat_map(function), id="flat_map"),
        pytest.param(lambda function: pipeline(Success(1)).map(function), id="map"),
        pytest.param(lambda function: pipeline(Failure(1)).lash(function), id="lash"),
        pytest.param(lambda function: pipeline(Failure(1)).alt(function), id="alt"),
        pytest.param(lambda function: pipeline(Success(1)).match(function, str), id="match of a success"),
        pytest.param(lambda function: pipeline(Failure(1)).match(str, function), id="match of a failure"),
    ],
)
def test_an_exception_of_a_function_goes_through(run: Callable[[Callable[[int], Any]], object]) -> None:
    expected = ZeroDivisionError("of the function")

    def fail(found: int) -> Any:
        raise expected

    with pytest.raises(ZeroDivisionError) as raised:
        run(fail)
    assert raised.value is expected


def test_a_pipeline_is_frozen_and_has_slots() -> None:
    chain = pipeline(Name.of("x"))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        chain.result = Name.of("y")  # type: ignore[misc] # which is what is tested
    assert not hasattr(chain, "__dict__")
    assert [field.name for field in attrs.fields(Pipeline)] == ["result"]


@pytest.mark.parametrize("wrong", [Name("x"), None, Some(1), pipeline(Name.of("x")), Success], ids=repr)
@pytest.mark.parametrize(
    "build",
    [
        pytest.param(pipeline, id="pipeline"),
        pytest.param(lambda no_result: pipeline(step(1)).flat_map(lambda _: no_result), id="flat_map"),
        pytest.param(lambda no_result: pipeline(Failure("no")).lash(lambda _: no_result), id="lash"),
    ],
)
def test_a_value_that_is_no_result_is_refused_with_what_to_do(build: Callable[[Result[int, str]], object], wrong: Any) -> None:
    told = f"a pipeline holds a Result, not {re.escape(repr(wrong))}: start it with .* and give flat_map and lash functions that return one"
    with pytest.raises(TypeError, match=told):
        build(wrong)
