"""Two helpers for `returns`: a `flat_map` that widens the error, and `cases`, which lets `match` be typed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast, overload

from returns.maybe import Maybe
from returns.result import Failure, Result, Success

A = TypeVar("A")
B = TypeVar("B")
E = TypeVar("E")
F = TypeVar("F")


@overload
def flat_map(function: Callable[[A], Result[B, F]]) -> Callable[[Result[A, E]], Result[B, E | F]]: ...
@overload
def flat_map(function: Callable[[A], Maybe[B]]) -> Callable[[Maybe[A]], Maybe[B]]: ...
def flat_map(function: Callable[[Any], Any]) -> Callable[[Any], Any]:  # Any: the overloads are the types
    """Go on with `function` after a success; the error becomes the union of both errors.

    `returns.pointfree.bind` wants one error type throughout a pipeline; this one collects them.

    >>> from returns.pipeline import flow
    >>> from ipcfold import Name
    >>> flow(Name.of("echo"), flat_map(lambda name: Success(str(name))))
    <Success: echo>
    """
    return lambda container: container.bind(function)


def cases(result: Result[A, E]) -> Success[A] | Failure[E]:
    """The same result, typed as what it can be, so that `match` narrows it and is checked for missing cases.

    >>> from ipcfold import Name
    >>> match cases(Name.of("no name")):
    ...     case Success(name):
    ...         print(name)
    ...     case Failure(error):
    ...         print(error.value)
    no name
    """
    return cast("Success[A] | Failure[E]", result)  # cast: every Result is one of the two, which its class cannot say
