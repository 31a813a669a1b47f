"""`ipcfold completion`: prints a completion script for a shell."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from ipcfold.cli.output import say
from ipcfold.cli.status import Status


def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(name="SHELL", help="The shell that the script is for.")], /
) -> Status:
    """Print a completion script for a shell.

    It completes commands, options, files, and the names of running servers.
    """
    from ipcfold.cli.app import app  # noqa: PLC0415 - that module imports this one

    say(app.generate_completion(shell=shell))
    return Status.DONE
