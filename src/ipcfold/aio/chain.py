"""A chain of steps that each return a `Result`, or an awaitable of one; every type checker infers what comes of it."""

from __future__ import annotations

from asyncio import Lock
from collections.abc import Awaitable, Callable, Generator
from inspect import isawaitable
from typing import Any, Generic, TypeAlias, TypeVar, final

from returns.result import Failure, Result, Success

from ipcfold.result import cases

A = TypeVar("A")
B = TypeVar("B")
E = TypeVar("E")
F = TypeVar("F")
T = TypeVar("T")
U = TypeVar("U")
A_co = TypeVar("A_co", covariant=True)
E_co = TypeVar("E_co", covariant=True)

Later: TypeAlias = Result[A, E] | Awaitable[Result[A, E]]
"""A result, or an awaitable of one."""


@final
class Pipeline(Generic[A_co, E_co]):
    """A `Result` that is still to come, with methods that go on from it. `await` runs the steps, and gives the result.

    Each method returns a new one. Each step runs once, however many pipelines go on from it. After a failure, `flat_map` and `map` do
    not call their functions; after a success, `lash` and `alt` do not. An exception of a function goes through.

    >>> import asyncio
    >>> from ipcfold import Name, aio
    >>> async def main():
    ...     return await aio.pipeline(Name.of("echo")).map(str)
    >>> asyncio.run(main())
    <Success: echo>
    """

    __slots__ = ("_lock", "_result", "_run")

    def __init__(self, run: Callable[[], Awaitable[Result[A_co, E_co]]]) -> None:
        """`pipeline` and the methods make these."""
        self._run = run
        self._lock = Lock()
        self._result: Result[A_co, E_co] | None = None

    def flat_map(self, function: Callable[[A_co], Later[B, F]]) -> Pipeline[B, E_co | F]:
        """Go on with `function` after a success; the error becomes the union of both errors.

        >>> import asyncio
        >>> from ipcfold import MediaType, Name, aio
        >>> async def main():
        ...     return await aio.pipeline(Name.of("text")).flat_map(lambda name: MediaType.of(f"{name}/plain")).map(str)
        >>> asyncio.run(main())
        <Success: text/plain>
        """

        async def run() -> Result[B, E_co | F]:
            match cases(await self):
                case Success(value):
                    return await _settled(function(value))
                case Failure(error):
                    return Failure(error)

        return Pipeline(run)

    def map(self, function: Callable[[A_co], B]) -> Pipeline[B, E_co]:
        """Replace the value of a success with what `function` returns for it."""

        async def run() -> Result[B, E_co]:
            return (await self).map(function)

        return Pipeline(run)

    def alt(self, function: Callable[[E_co], F]) -> Pipeline[A_co, F]:
        """Replace the error of a failure with what `function` returns for it."""

        async def run() -> Result[A_co, F]:
            return (await self).alt(function)

        return Pipeline(run)

    def lash(self, function: Callable[[E_co], Later[B, F]]) -> Pipeline[A_co | B, F]:
        """Go on with `function` after a failure; the value becomes the union of both values."""

        async def run() -> Result[A_co | B, F]:
            match cases(await self):
                case Success(value):
                    return Success(value)
                case Failure(error):
                    return await _settled(function(error))

        return Pipeline(run)

    async def match(self, success: Callable[[A_co], T], failure: Callable[[E_co], U]) -> T | U:
        """Return what `success` returns for the value, or what `failure` returns for the error.

        >>> import asyncio
        >>> from ipcfold import Name, aio
        >>> asyncio.run(aio.pipeline(Name.of("no name")).match(lambda name: 0, lambda error: error.value))
        'no name'
        """
        match cases(await self):
            case Success(value):
                return success(value)
            case Failure(error):
                return failure(error)

    def __await__(self) -> Generator[Any, Any, Result[A_co, E_co]]:  # Any: what a coroutine and the loop give each other
        return self._once().__await__()

    async def _once(self) -> Result[A_co, E_co]:
        if self._result is None:
            async with self._lock:
                if self._result is None:
                    self._result = await self._run()
        return self._result


def pipeline(start: Later[A, E]) -> Pipeline[A, E]:
    """A chain of steps that starts from this result, or from an awaitable of one.

    >>> import asyncio
    >>> from ipcfold import Name, aio
    >>> async def main():
    ...     return await aio.pipeline(Name.of("no name")).flat_map(aio.IPC().get)
    >>> str(asyncio.run(main()).failure())
    "'no name' is not a name: use letters, digits, '_' and '-', at least one of them"
    """
    return Pipeline(lambda: _settled(start))


async def _settled(result: Later[A, E]) -> Result[A, E]:
    if not isinstance(result, Result):
        if not isawaitable(result):
            raise TypeError(
                f"a step returns a Result or an awaitable of one, not {result!r:.80}: map and alt take functions that return plain values"
            )
        result = await result
    if not isinstance(result, Result):
        raise TypeError(f"a step returns a Result or an awaitable of one, and this awaitable gave {result!r:.80}")
    return result
