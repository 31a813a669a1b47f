"""`ipcfold listen`: runs a server whose handler is a function of a module."""

from __future__ import annotations

import ast
import importlib
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from inspect import isasyncgenfunction, iscoroutinefunction, isfunction, isgeneratorfunction, signature
from operator import attrgetter
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Final, cast

from cyclopts import Parameter
from returns.curry import partial
from returns.pipeline import flow
from returns.result import Failure, Result, Success

from ipcfold.blocking.ipc import IPC
from ipcfold.cli.log import logged
from ipcfold.cli.output import complain, complained, note, say
from ipcfold.cli.parameters import AsJson, FreeName, Ipc, MaybeSeconds
from ipcfold.cli.printable import shown
from ipcfold.cli.status import LONGEST, Complaint, Misused, Status, place
from ipcfold.errors import HandlerFailed, ListenError
from ipcfold.peer import Name
from ipcfold.result import cases, flat_map

if TYPE_CHECKING:
    from ipcfold.continuation import Continuation, Handler

_GIVEN: Final = ("message", "continuation", "carry")
_MOST: Final = 8  # functions that an error names


def listen(
    name: FreeName,
    handler: Annotated[str, Parameter(name="MODULE:HANDLER", help="A function in a module, which may be in the working directory.")],
    /,
    *,
    carry: Annotated[str, Parameter(help="The first carry: a Python literal, or JSON.")] = "None",
    timeout: Annotated[MaybeSeconds, Parameter(help="Seconds without a message after which the server stops.")] = None,
    as_json: AsJson = False,
    ipc: Ipc,
) -> Status:
    """Fold a handler over every message, and print the last carry.

    The server ends when the handler stops it, at Ctrl-C, SIGTERM or SIGHUP, or after the timeout.
    """
    show = _show_json if as_json else _show
    served = _served(ipc, name, handler, carry, timeout)
    sys.set_int_max_str_digits(0)  # a long number is shown, too
    match cases(served):
        case Success(carried):
            note("")  # the cursor may stand behind the ^C of the terminal
            _shown(show, carried)
            return Status.DONE
        case Failure(HandlerFailed(carry=carried) as error):
            _shown(show, carried)
            return complained(error)
        case Failure(error):
            return complained(error)


def _served(ipc: IPC, name: str, handler: str, carry: str, timeout: float | None) -> Result[object, Complaint]:
    """Run the server until it ends, and return its last carry."""

    def serve(checked: Name) -> Result[object, Complaint]:
        return flow(literal(carry), flat_map(partial(start, checked)))

    def start(checked: Name, first: object) -> Result[object, Complaint]:
        return flow(imported(handler), flat_map(partial(run, checked, first)))

    def run(checked: Name, first: object, found: Handler[object]) -> Result[object, ListenError[object]]:
        note(f"{name}: Ctrl-C ends this server")
        return ipc.listen(checked, timeout)(first, found)

    with logged():  # before the module of the handler can configure another log
        return flow(Name.of(name), flat_map(serve))


def literal(text: str) -> Result[object, Misused]:
    """Read a text as JSON, or else as a Python literal.

    >>> literal("(1, None)"), literal("[1, null]")
    (<Success: (1, None)>, <Success: [1, None]>)
    """
    for read in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return Success(read(text))
    return Failure(Misused(f"{text!r:.80} is neither a Python literal nor JSON: put a text in quotes of its own, as in --carry '\"text\"'"))


def imported(path: str) -> Result[Handler[object], Misused]:
    """Import the function `module:name`, which handles messages. The working directory is searched first."""
    return _found(path).bind(partial(_checked, path))


def function(path: str) -> Result[Callable[..., Continuation[object]], Misused]:
    """Import another function, of whatever parameters."""
    return _found(path).bind(lambda found: Success(found) if callable(found) else Failure(Misused(f"{path} cannot be called")))


def _found(path: str) -> Result[object, Misused]:
    module, _, name = path.partition(":")
    if module.endswith(".py"):
        return Failure(Misused(f"{path!r:.80} names a file: name its module, as in {Path(module).stem}:{name or 'HANDLER'}"))
    if not (all(module.split(".")) and all(name.split("."))):
        return Failure(Misused(f"{path!r:.80} is not MODULE:HANDLER: write the module's name, a colon, and the function's"))
    sys.path.insert(0, "")
    try:
        found = importlib.import_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - importing a module runs its code, which may raise anything
        return Failure(Misused(f"the handler {path} cannot be imported: {_unimportable(module, error)}"))
    return _function(path, found, name)


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
        return Failure(Misused(f"the handler {path} cannot be imported: the module has no {name!r:.80}; {known}"))
    except BaseException as error:  # noqa: BLE001 - a module may define `__getattr__`
        return Failure(Misused(f"the handler {path} cannot be imported: getting it raised {shown(error, LONGEST)}; correct that"))


def _checked(path: str, found: object) -> Result[Handler[object], Misused]:
    """The handler, if it can be called with a message, a continuation and a carry."""
    if not callable(found):
        return Failure(Misused(f"{path} is {shown(found, 80)}, which cannot be called: name a function"))
    if any(check(found) or check(type(found).__call__) for check in (iscoroutinefunction, isasyncgenfunction, isgeneratorfunction)):
        return Failure(Misused(f"{path} is async or a generator: name a plain function, which returns a Continuation"))
    try:
        parameters = signature(found)
    except Exception:  # noqa: BLE001 - a function in C may have no signature, and then only the call shows what it takes
        return Success(cast("Handler[object]", found))  # cast: as above
    try:
        parameters.bind(*_GIVEN)
    except TypeError as error:
        takes = f"{path} takes {shown(str(parameters), LONGEST)[1:-1]}, but a handler is called with {', '.join(_GIVEN)} ({error})"
        return Failure(Misused(f"{takes}: give it these three parameters"))
    return Success(cast("Handler[object]", found))  # cast: only the call shows which types it takes


def _shown(show: Callable[[object], None], carry: object) -> None:
    """Show the carry, on the standard error if the standard output does not take it."""
    try:
        show(carry)
    except BrokenPipeError:  # nobody wants it
        raise
    except OSError:
        complain(f"the last carry is {shown(carry)}")
        raise


def _show(carry: object) -> None:
    say(shown(carry))


def _show_json(carry: object) -> None:
    """Print JSON. A value that JSON does not have is printed as a text, its `repr`."""
    try:
        text = json.dumps(carry, default=shown, allow_nan=False)
    except Exception:  # noqa: BLE001 - the code of a carry may raise anything
        text = json.dumps(shown(carry))
    say(text)
