"""The program of a server, as far as it decides what a log is folded to: its functions, its first carry and its snapshots."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, TypeVar, cast, final

import attrs
from cyclopts import Parameter
from returns.result import Failure, Result, Success

from ipcfold.cli.checkout import Checkout
from ipcfold.cli.importing import first_carry, function, value
from ipcfold.cli.parameters import FirstCarry
from ipcfold.cli.printable import shown
from ipcfold.cli.status import Misused
from ipcfold.continuation import Continuation
from ipcfold.core.functions import Handlers
from ipcfold.log.snapshots import Snapshots
from ipcfold.result import cases

R = TypeVar("R")


@Parameter(name="*")  # its fields are options of the command
@final
@attrs.frozen(kw_only=True)
class Options:
    """What the server was given beside its handler."""

    carry: FirstCarry = "None"
    left: Annotated[str | None, Parameter(help="MODULE:FUNCTION for departures.")] = None
    woken: Annotated[str | None, Parameter(help="MODULE:FUNCTION for alarms.")] = None
    snapshots: Annotated[str | None, Parameter(help="MODULE:NAME of the Snapshots. Then the first carry is that of the log.")] = None


@final
@attrs.frozen
class Program:
    """What a server is made of."""

    name: str
    handlers: Handlers[object]
    carry: object
    snapshots: Snapshots[object] | None

    @classmethod
    def of(cls, handler: str, options: Options) -> Result[Program, Misused]:
        """Import what these paths name, from the working directory or what is installed."""
        return _program(handler, handler, options, nullcontext)

    @classmethod
    def before(cls, against: str, handler: str, options: Options) -> Result[Program, Misused]:
        """Import the old handler `module:name` beside the other functions, or all the same paths from an old checkout."""
        if ":" in against or not Path(against).is_dir():
            return cls.of(against, options)
        checkout = Checkout(Path(against))
        found = _program(f"{Path(against) / handler}", handler, options, checkout.entered)
        module = handler.partition(":")[0]
        if isinstance(cases(found), Success) and not checkout.holds(module):
            return Failure(Misused(f"the directory {against} has no module {module!r}: name the one in which the old modules are"))
        return found


def _program(name: str, handler: str, options: Options, entered: Callable[[], AbstractContextManager[None]]) -> Result[Program, Misused]:
    def called(path: str, *given: str) -> Result[Callable[..., Continuation[object]], Misused]:
        return function(path, *given).map(lambda found: _plain(found, entered))

    def optional(path: str | None, *given: str) -> Result[Callable[..., Continuation[object]] | None, Misused]:
        return Success(None) if path is None else called(path, *given)

    def with_functions(found: Callable[..., Continuation[object]]) -> Result[Handlers[object], Misused]:
        return optional(options.left, "peer", "continuation", "carry").bind(
            lambda leaving: optional(options.woken, "continuation", "carry").map(lambda waking: Handlers(found, leaving, waking))
        )

    with entered():
        return (
            called(handler, "message", "continuation", "carry")
            .bind(with_functions)
            .bind(
                lambda handlers: first_carry(options.carry).bind(
                    lambda carry: _snapshots(options.snapshots).map(lambda snapshots: Program(name, handlers, carry, snapshots))
                )
            )
        )


def _snapshots(path: str | None) -> Result[Snapshots[object] | None, Misused]:
    if path is None:
        return Success(None)
    return value(path).bind(lambda found: _checked(path, found))


def _checked(path: str, found: object) -> Result[Snapshots[object] | None, Misused]:
    if isinstance(found, Snapshots):
        return Success(cast("Snapshots[object]", found))  # cast: only decoding shows which carries it takes
    return Failure(Misused(f"{path} is {shown(found, 80)}, and no Snapshots: name what the server got as snapshots"))


def _plain(found: Callable[..., object], entered: Callable[[], AbstractContextManager[None]]) -> Callable[..., Continuation[object]]:
    """The function as a plain one, which runs with the modules of its program."""

    def call(*given: object) -> Continuation[object]:
        with entered():
            answer = found(*given)
            if inspect.isawaitable(answer):
                answer = asyncio.run(_awaited(answer))
            return cast("Continuation[object]", answer)  # cast: the fold checks it

    return call


async def _awaited(answer: object) -> object:
    return await cast("asyncio.Future[object]", answer)  # cast: it is an awaitable of anything
