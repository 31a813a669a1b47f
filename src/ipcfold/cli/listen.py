"""`ipcfold listen`: runs a server whose handler is a function of a module."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from returns.curry import partial
from returns.pipeline import flow
from returns.result import Failure, Result, Success

from ipcfold.blocking.ipc import IPC
from ipcfold.cli.importing import first_carry, imported
from ipcfold.cli.log import logged
from ipcfold.cli.output import complain, complained, note, say
from ipcfold.cli.parameters import AsJson, FirstCarry, FreeName, Ipc, MaybeSeconds
from ipcfold.cli.printable import shown
from ipcfold.cli.status import LONGEST, Complaint, Status, place
from ipcfold.errors import HandlerFailed, ListenError
from ipcfold.errors.brokers import HandlerRaised
from ipcfold.peer import Name
from ipcfold.result import cases, flat_map

if TYPE_CHECKING:
    from ipcfold.continuation import Handler


def listen(
    name: FreeName,
    handler: Annotated[str, Parameter(name="MODULE:HANDLER", help="A function in a module, which may be in the working directory.")],
    /,
    *,
    carry: FirstCarry = "None",
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
            return complained(error if isinstance(ipc, IPC) else _at_broker(name, error))
        case Failure(error):
            return complained(error)


def _at_broker(name: str, failed: HandlerFailed[object]) -> HandlerRaised:
    """The error that says what to do over NATS, where the message stays in the stream, and the first carry is always the same."""
    return HandlerRaised(Name(name), f"{shown(failed.error, LONGEST)}{place(failed.error)}")


def _served(ipc: IPC, name: str, handler: str, carry: str, timeout: float | None) -> Result[object, Complaint]:
    """Run the server until it ends, and return its last carry."""

    def serve(checked: Name) -> Result[object, Complaint]:
        return flow(first_carry(carry), flat_map(partial(start, checked)))

    def start(checked: Name, first: object) -> Result[object, Complaint]:
        return flow(imported(handler), flat_map(partial(run, checked, first)))

    def run(checked: Name, first: object, found: Handler[object]) -> Result[object, ListenError[object]]:
        note(f"{name}: Ctrl-C ends this server")
        return ipc.listen(checked, timeout)(first, found)

    with logged():  # before the module of the handler can configure another log
        return flow(Name.of(name), flat_map(serve))


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
