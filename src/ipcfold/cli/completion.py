"""`ipcfold completion`: the script that makes a shell complete commands, options and the names of servers."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from ipcfold.cli.output import say
from ipcfold.cli.status import Status


def completion(shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(name="SHELL", help="Which shell it is for.")], /) -> Status:
    """Print the script that makes a shell complete all this.

    It completes commands, options, files, and the names of who listens.
    """
    from ipcfold.cli.app import app  # noqa: PLC0415 - which imports this module

    say(app.generate_completion(shell=shell))
    return Status.DONE
