"""Two helpers for `returns`: `flat_map` collects error types, and `cases` lets type checkers narrow a `match`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast, overload

from returns.maybe import Maybe
from returns.result import Failure, Result, Success

from ipcfold.draft import draft_of

A = TypeVar("A")
B = TypeVar("B")
E = TypeVar("E")
F = TypeVar("F")


@overload
def flat_map(function: Callable[[A], Result[B, F]]) -> Callable[[Result[A, E]], Result[B, E | F]]: ...
@overload
def flat_map(function: Callable[[A], Maybe[B]]) -> Callable[[Maybe[A]], Maybe[B]]: ...
def flat_map(function: Callable[[Any], Any]) -> Callable[[Any], Any]:  # Any: the overloads declare the types
    """Call `function` with the value of a success; the error type is the union of both.

    `returns.pointfree.bind` requires one error type for the whole pipeline.

    >>> from returns.pipeline import flow
    >>> from ipcfold import Name
    >>> flow(Name.of("echo"), flat_map(lambda name: Success(str(name))))
    <Success: echo>
    """
    return lambda container: container.bind(function)


def cases(result: Result[A, E]) -> Success[A] | Failure[E]:
    """The same result, typed as `Success | Failure`, so that a type checker narrows `match` and finds missing cases.

    >>> from ipcfold import Name
    >>> match cases(Name.of("no name")):
    ...     case Success(name):
    ...         print(name)
    ...     case Failure(error):
    ...         print(error.value)
    no name
    """
    return cast("Success[A] | Failure[E]", result)  # cast: every Result is one of the two, but the class does not declare that


def success(value: A) -> Success[A]:
    """`Success(value)`, made faster."""
    made = _Draft()
    made._inner_value = value  # noqa: SLF001 - the only slot of `returns`, which `Success.__init__` sets
    made.__class__ = Success
    result: Success[A] = made
    return result


_Draft: Final = draft_of(Success)
