"""`ipcfold salvage`: copies what can be read of a damaged log."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ipcfold.cli.output import concluded, say, say_json
from ipcfold.cli.parameters import AsJson
from ipcfold.cli.status import Status
from ipcfold.log.sqlite_salvage import Range, Salvaged, salvage


def salvage_(
    log: Annotated[Path, Parameter(name="FILE", help="The file of a damaged log. It is only read.")],
    copy: Annotated[Path, Parameter(name="COPY", help="The file of the new log, which does not exist yet.")],
    /,
    *,
    as_json: AsJson = False,
) -> Status:
    """Copy all entries of a damaged log that a server can fold to a new log, up to the last whole commit.

    The copy has no gap: it is what stands before the first missing entry, or what a
    later snapshot leads on to. Its file and those beside it belong together.
    """
    return concluded(salvage(Path(os.path.realpath(log)), copy), _show_json if as_json else _show)


def _show(found: Salvaged) -> None:
    say(f"copied: {_told(found.copied)}")
    say(f"snapshots in the copy: {', '.join(f'after entry {at}' for at in found.snapshots) or 'none'}")
    say(f"missing: {_told(found.missing)}")
    say(f"left out, because entries before them are missing: {_told(found.left_out)}")


def _told(ranges: tuple[Range, ...]) -> str:
    entries = ", ".join(f"{first} to {last}" if first < last else f"{first}" for first, last in ranges)
    return f"entries {entries}" if entries else "no entry"


def _show_json(found: Salvaged) -> None:
    say_json({"copied": found.copied, "snapshots": found.snapshots, "missing": found.missing, "left_out": found.left_out})
