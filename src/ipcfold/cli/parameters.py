"""The parameters that commands share, with what `--help` says of them, and the names that a shell completes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias, final

import attrs
from cyclopts import Parameter

from ipcfold.blocking.ipc import IPC

if TYPE_CHECKING:
    from cyclopts.completion import CompletionContext

_LONGEST: Final = 1e9  # seconds; the system's timers take no more than some times this


def _names(context: CompletionContext) -> list[str]:
    """Who listens now, in the directory that is on the line already."""
    return sorted(map(str, IPC(context["directory"].raw).processes().value_or(frozenset())))


def _check_seconds(_: object, seconds: float | None) -> None:
    if seconds is not None and not 0 <= seconds <= _LONGEST:
        raise ValueError(f"It is a number of seconds, from 0 to {_LONGEST:g}.")


def _check_count(_: object, count: int | None) -> None:
    if count is not None and count < 1:
        raise ValueError("It is at least 1.")


def _check_size(_: object, size: int | None) -> None:
    if size is not None and size < 0:
        raise ValueError("It is not below 0.")


Ipc: TypeAlias = Annotated[IPC, Parameter(parse=False)]
ServerName: TypeAlias = Annotated[str, Parameter(name="NAME", completer=_names, help="The name that the server listens under.")]
FreeName: TypeAlias = Annotated[str, Parameter(name="NAME", help="The name to listen under.")]
AsJson: TypeAlias = Annotated[bool, Parameter(name="--json", negative=(), show_default=False, help="Print JSON, for machines.")]

Content: TypeAlias = Annotated[
    str | None, Parameter(name="CONTENT", help="What to say; without it the standard input is read, unless that is a terminal.")
]


@Parameter(name="*")  # its fields are options of the command
@final
@attrs.frozen(kw_only=True)
class Source:
    """Where a content comes from that is no argument, and what it is."""

    file: Annotated[Path | None, Parameter(help="Read the content from this file.")] = None
    stdin: Annotated[bool, Parameter(name=["--stdin", "-"], negative=(), show_default=False, help="Read it from standard input.")] = False
    media_type: Annotated[
        str | None,
        Parameter(name="--type", help="The content's media type; else text/plain if it is UTF-8, or application/octet-stream."),
    ] = None


@Parameter(name="*")
@final
@attrs.frozen(kw_only=True)
class Patience:
    """How long to wait."""

    wait: Annotated[
        float | None,
        Parameter(validator=_check_seconds, help="Seconds to wait for the server if nobody listens yet; else it fails at once."),
    ] = None
    timeout: Annotated[
        float | None, Parameter(validator=_check_seconds, help="Seconds until giving up, all together; else as long as it takes.")
    ] = None


Seconds: TypeAlias = Annotated[float, Parameter(validator=_check_seconds)]
MaybeSeconds: TypeAlias = Annotated[float | None, Parameter(validator=_check_seconds)]
MaybeCount: TypeAlias = Annotated[int | None, Parameter(validator=_check_count)]
Count: TypeAlias = Annotated[int, Parameter(validator=_check_count)]
Size: TypeAlias = Annotated[int | None, Parameter(validator=_check_size)]
