"""A chain of steps that each return a `Result`; every type checker infers what comes of it.

The module is not called `pipeline`: importing a module of that name would replace the function `ipcfold.pipeline`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar, final

import attrs
from returns.result import Failure, Result, Success

from ipcfold.result import cases, flat_map

A = TypeVar("A")
B = TypeVar("B")
E = TypeVar("E")
F = TypeVar("F")
T = TypeVar("T")
U = TypeVar("U")
A_co = TypeVar("A_co", covariant=True)
E_co = TypeVar("E_co", covariant=True)


@final
@attrs.frozen
class Pipeline(Generic[A_co, E_co]):
    """A `Result` with methods that go on from it; immutable, each method returns a new one.

    After a failure, `flat_map` and `map` do not call their functions; after a success, `lash` and `alt` do not. An
    exception of a function goes through.

    >>> from ipcfold import Name, pipeline
    >>> pipeline(Name.of("echo")).map(str).result
    <Success: echo>
    """

    result: Result[A_co, E_co]
    """The result of the steps so far."""

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.result, Result):
            raise TypeError(
                f"a pipeline holds a Result, not {self.result!r}: start it with a Result, such as Success(value) or what Name.of returns, "
                "and give flat_map and lash functions that return one; map and alt take functions that return plain values"
            )

    def flat_map(self, function: Callable[[A_co], Result[B, F]]) -> Pipeline[B, E_co | F]:
        """Go on with `function` after a success; the error becomes the union of both errors.

        >>> from ipcfold import MediaType, Name, pipeline
        >>> pipeline(Name.of("text")).flat_map(lambda name: MediaType.of(f"{name}/plain")).map(str).result
        <Success: text/plain>
        """
        return Pipeline(flat_map(function)(self.result))

    def map(self, function: Callable[[A_co], B]) -> Pipeline[B, E_co]:
        """Replace the value of a success with what `function` returns for it.

        >>> from ipcfold import Name, pipeline
        >>> pipeline(Name.of("echo")).map(lambda name: name.value.upper()).result
        <Success: ECHO>
        """
        return Pipeline(self.result.map(function))

    def alt(self, function: Callable[[E_co], F]) -> Pipeline[A_co, F]:
        """Replace the error of a failure with what `function` returns for it.

        >>> from ipcfold import Name, pipeline
        >>> pipeline(Name.of("no name")).alt(lambda error: error.value).result
        <Failure: no name>
        """
        return Pipeline(self.result.alt(function))

    def lash(self, function: Callable[[E_co], Result[B, F]]) -> Pipeline[A_co | B, F]:
        """Go on with `function` after a failure; the value becomes the union of both values.

        >>> from ipcfold import Name, pipeline
        >>> pipeline(Name.of("no name")).lash(lambda error: Name.of(error.value.replace(" ", "-"))).map(str).result
        <Success: no-name>
        """
        match cases(self.result):
            case Success() as success:
                return Pipeline(success)
            case Failure(error):
                return Pipeline(function(error))

    def match(self, success: Callable[[A_co], T], failure: Callable[[E_co], U]) -> T | U:
        """Return what `success` returns for the value, or what `failure` returns for the error.

        >>> from ipcfold import Name, pipeline
        >>> pipeline(Name.of("no name")).match(lambda name: 0, lambda error: error.value)
        'no name'
        """
        match cases(self.result):
            case Success(value):
                return success(value)
            case Failure(error):
                return failure(error)


def pipeline(result: Result[A, E]) -> Pipeline[A, E]:
    """A chain of steps that starts from this result.

    >>> from ipcfold import IPC, Name, pipeline
    >>> str(pipeline(Name.of("no name")).flat_map(IPC().get).result.failure())
    "'no name' is not a name: use letters, digits, '_' and '-', at least one of them"
    """
    return Pipeline(result)
