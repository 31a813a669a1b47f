"""`ipcfold listen`: runs a server whose handler is a function of a module."""

from __future__ import annotations

import ast
import importlib
import json
import logging
import sys
from contextlib import suppress
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, cast

from cyclopts import Parameter
from returns.curry import partial
from returns.pipeline import flow
from returns.result import Failure, Result, Success

from ipcfold.blocking.ipc import IPC
from ipcfold.cli.output import complained, note, say
from ipcfold.cli.parameters import AsJson, FreeName, Ipc, MaybeSeconds
from ipcfold.cli.printable import shown
from ipcfold.cli.status import Complaint, Misused, Status
from ipcfold.errors import HandlerFailed, ListenError
from ipcfold.peer import Name
from ipcfold.result import cases, flat_map

if TYPE_CHECKING:
    from ipcfold.continuation import Handler


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
    match cases(_served(ipc, name, handler, carry, timeout)):
        case Success(carried):
            note("")  # the cursor may stand behind the ^C of the terminal
            show(carried)
            return Status.DONE
        case Failure(HandlerFailed(carry=carried) as error):
            show(carried)
            return complained(error)
        case Failure(error):
            return complained(error)


def _served(ipc: IPC, name: str, handler: str, carry: str, timeout: float | None) -> Result[object, Complaint]:
    """Run the server until it ends, and return its last carry."""
    logging.basicConfig(format="ipcfold: %(message)s")

    def serve(checked: Name) -> Result[object, Complaint]:
        return flow(literal(carry), flat_map(partial(start, checked)))

    def start(checked: Name, first: object) -> Result[object, Complaint]:
        return flow(imported(handler), flat_map(partial(run, checked, first)))

    def run(checked: Name, first: object, found: Handler[object]) -> Result[object, ListenError[object]]:
        note(f"{name}: Ctrl-C ends this server")
        return ipc.listen(checked, timeout)(first, found)

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
    """Import the function `module:name`. The working directory is searched first."""
    module, _, name = path.partition(":")
    if not (module and name):
        return Failure(Misused(f"{path!r:.80} is not MODULE:HANDLER: write the module's name, a colon, and the function's"))
    sys.path.insert(0, "")
    try:
        found: object = attrgetter(name)(importlib.import_module(module))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - importing a module runs its code, which may raise anything
        return Failure(Misused(f"the handler {path} cannot be imported: {error!r}; check that the module and the function exist"))
    if not callable(found):
        return Failure(Misused(f"{path} is {found!r:.80}, which cannot be called: name a function"))
    return Success(cast("Handler[object]", found))  # cast: only the call shows which arguments it takes


def _show(carry: object) -> None:
    say(shown(carry))


def _show_json(carry: object) -> None:
    """Print JSON. A value that JSON does not have is printed as a text, its `repr`."""
    try:
        text = json.dumps(carry, default=shown, allow_nan=False)
    except Exception:  # noqa: BLE001 - the code of a carry may raise anything
        text = json.dumps(shown(carry))
    say(text)
