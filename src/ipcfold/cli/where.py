"""`ipcfold where`: shows in which directory servers and clients meet."""

from __future__ import annotations

import os

from returns.result import Failure, Success

from ipcfold.cli.output import complained, say, say_json
from ipcfold.cli.parameters import AsJson, Ipc
from ipcfold.cli.printable import printable
from ipcfold.cli.status import Status
from ipcfold.local.directory import place, usable
from ipcfold.result import cases


def where(*, as_json: AsJson = False, ipc: Ipc) -> Status:
    """Print the directory of the sockets, why it is this one, and whether it can be used.

    A directory that does not exist can be used if the first server can create it.
    """
    match cases(place(ipc.directory)):
        case Failure(error):
            return complained(error)
        case Success(found):
            problem = usable(ipc.directory, ipc.trust).swap().value_or(None)
            exists = os.path.lexists(found.path)
            if as_json:
                reason = None if problem is None else problem.reason
                say_json(
                    {"directory": str(found.path), "because": found.reason, "exists": exists, "usable": problem is None, "problem": reason}
                )
            else:
                state = "cannot be used" if problem is not None else "can be used" if exists else "can be used: the first server creates it"
                say(f"{printable(str(found.path))}\t{found.reason}\t{state}")
            return Status.DONE if problem is None else complained(problem)
