"""Imports the handlers, functions and values that a command line names, and reads first carries."""

from __future__ import annotations

import ast
import importlib
import json
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from inspect import isasyncgenfunction, iscoroutinefunction, isfunction, isgeneratorfunction, signature
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final, cast

from returns.curry import partial
from returns.result import Failure, Result, Success

from ipcfold.cli.printable import shown
from ipcfold.cli.status import LONGEST, Misused, place

if TYPE_CHECKING:
    from ipcfold.continuation import Handler

_GIVEN: Final = ("message", "continuation", "carry")
_NUMBERS: Final = {2: "two", 3: "three"}
_PATH: Final = re.compile(r"(?!\d)[\w.]+:(?!\d)[\w.]+")
_MOST: Final = 8  # functions that an error names


def literal(text: str) -> Result[object, Misused]:
    """Read a text as JSON, or else as a Python literal.

    >>> literal("(1, None)"), literal("[1, null]")
    (<Success: (1, None)>, <Success: [1, None]>)
    """
    for read in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return Success(read(text))
    quoted = "put a text in quotes of its own, as in --carry '\"text\"', or write MODULE:NAME"
    return Failure(Misused(f"{text!r:.80} is neither a Python literal nor JSON: {quoted}"))


def first_carry(text: str) -> Result[object, Misused]:
    """Read a first carry: JSON, a Python literal, or the path of a value, as in `module:NAME`."""
    return value(text) if _PATH.fullmatch(text) else literal(text)


def value(path: str) -> Result[object, Misused]:
    """Import the value `module:name`, or call the function there."""
    return _found(path).bind(partial(_called, path))


def _called(path: str, found: object) -> Result[object, Misused]:
    if not callable(found):
        return Success(found)
    try:
        return Success(found())
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - it is the program's code
        return Failure(Misused(f"{path} raised {shown(error, LONGEST)}{place(error)}: name a value, or a function of no arguments"))


def imported(path: str) -> Result[Handler[object], Misused]:
    """Import the function `module:name`, which handles messages. The working directory is searched first."""
    return _found(path).bind(partial(_checked, path)).bind(partial(_plain, path))


def function(path: str, *given: str) -> Result[Callable[..., object], Misused]:
    """Import a function of a server that is called with these. It may be `async def`."""
    return _found(path).bind(lambda found: _checked(path, found, given))


def _found(path: str) -> Result[object, Misused]:
    module, _, name = path.partition(":")
    if module.endswith(".py"):
        return Failure(Misused(f"{path!r:.80} names a file: name its module, as in {Path(module).stem}:{name or 'HANDLER'}"))
    if not (all(module.split(".")) and all(name.split("."))):
        return Failure(Misused(f"{path!r:.80} is not MODULE:HANDLER: write the module's name, a colon, and the function's"))
    search()
    try:
        found = importlib.import_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - importing a module runs its code, which may raise anything
        return Failure(Misused(f"{path} cannot be imported: {_unimportable(module, error)}"))
    return _function(path, found, name)


def search() -> None:
    """Search the working directory first, unless another one was put before it."""
    if "" not in sys.path:
        sys.path.insert(0, "")


def _unimportable(module: str, error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name is not None and f"{module}.".startswith(f"{error.name}."):
        return f"there is no module {error.name!r:.80}; check its name; it must be in the working directory, installed, or on PYTHONPATH"
    if isinstance(error, SyntaxError):
        at = f" at {error.filename}:{error.lineno}" if error.filename else ""
        return f"its module has a syntax error{at} ({shown(error.msg, LONGEST)}); correct it"
    return f"importing its module raised {shown(error, LONGEST)}{place(error)}; correct that, or install what is missing"


def _function(path: str, module: ModuleType, name: str) -> Result[object, Misused]:
    try:
        return Success(attrgetter(name)(module))
    except KeyboardInterrupt:
        raise
    except AttributeError:
        others = [key for key, value in vars(module).items() if isfunction(value) and value.__module__ == module.__name__]
        known = f"its functions are {', '.join(others[:_MOST])}" if others else "it defines no function"
        return Failure(Misused(f"{path} cannot be imported: the module has no {name!r:.80}; {known}"))
    except BaseException as error:  # noqa: BLE001 - a module may define `__getattr__`
        return Failure(Misused(f"{path} cannot be imported: getting it raised {shown(error, LONGEST)}; correct that"))


def _plain(path: str, found: Handler[object]) -> Result[Handler[object], Misused]:
    if any(check(found) or check(type(found).__call__) for check in (iscoroutinefunction, isasyncgenfunction, isgeneratorfunction)):
        return Failure(Misused(f"{path} is async or a generator: name a plain function, which returns a Continuation"))
    return Success(found)


def _checked(path: str, found: object, given: tuple[str, ...] = _GIVEN) -> Result[Handler[object], Misused]:
    """The handler, if it can be called with a message, a continuation and a carry."""
    if not callable(found):
        return Failure(Misused(f"{path} is {shown(found, 80)}, which cannot be called: name a function"))
    try:
        parameters = signature(found)
    except Exception:  # noqa: BLE001 - a function in C may have no signature, and then only the call shows what it takes
        return Success(cast("Handler[object]", found))  # cast: as above
    try:
        parameters.bind(*given)
    except TypeError as error:
        takes = f"{path} takes {shown(str(parameters), LONGEST)[1:-1]}, but a handler is called with {', '.join(given)} ({error})"
        return Failure(Misused(f"{takes}: give it these {_NUMBERS[len(given)]} parameters"))
    return Success(cast("Handler[object]", found))  # cast: only the call shows which types it takes
