"""The parameters that commands share, with their help texts and completions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias, final

import attrs
from cyclopts import Parameter

from ipcfold.blocking.ipc import IPC
from ipcfold.cli.brokers import INBOX, brokers
from ipcfold.cli.trust import trusting
from ipcfold.local.credentials import same_user

if TYPE_CHECKING:
    from cyclopts.completion import CompletionContext

_LONGEST: Final = 1e9  # seconds; the timers of the system accept only a few times this


def _names(context: CompletionContext) -> list[str]:
    """The names of the running servers, in the directory or at the brokers that the command line gives."""
    servers = context["nats"].raw
    if servers:
        credentials = context["credentials"].raw
        nats = brokers("", servers, Path(credentials) if credentials else None, context["inbox"].raw or INBOX).value_or(None)
        return [] if nats is None else sorted(map(str, nats.processes().value_or(frozenset())))
    trust = trusting(context["trust"].raw or "same-user").value_or(same_user)
    return sorted(map(str, IPC(context["directory"].raw, trust=trust).processes().value_or(frozenset())))


def _check_seconds(_: object, seconds: float | None) -> None:
    if seconds is not None and not 0 <= seconds <= _LONGEST:
        raise ValueError(f"It must be a number of seconds, from 0 to {_LONGEST:g}.")


def _check_count(_: object, count: int | None) -> None:
    if count is not None and count < 1:
        raise ValueError("It must be at least 1.")


def _check_size(_: object, size: int | None) -> None:
    if size is not None and size < 0:
        raise ValueError("It must not be below 0.")


Ipc: TypeAlias = Annotated[IPC, Parameter(parse=False)]
ServerName: TypeAlias = Annotated[str, Parameter(name="NAME", completer=_names, help="The name of the server.")]
FreeName: TypeAlias = Annotated[str, Parameter(name="NAME", help="The name to listen under.")]
AsJson: TypeAlias = Annotated[bool, Parameter(name="--json", negative=(), show_default=False, help="Print JSON, for machines.")]

FirstCarry: TypeAlias = Annotated[
    str, Parameter(help="The first carry: a Python literal, JSON, or MODULE:NAME for a value or a function that makes it.")
]

Content: TypeAlias = Annotated[
    str | None, Parameter(name="CONTENT", help="The content to send; by default the standard input, unless that is a terminal.")
]


@Parameter(name="*")  # its fields are options of the command
@final
@attrs.frozen(kw_only=True)
class Source:
    """Where the content comes from if it is not an argument, and its media type."""

    file: Annotated[Path | None, Parameter(help="Read the content from this file.")] = None
    stdin: Annotated[
        bool, Parameter(name=["--stdin", "-"], negative=(), show_default=False, help="Read the content from standard input.")
    ] = False
    media_type: Annotated[
        str | None,
        Parameter(
            name="--type",
            help="The media type, or json, text, octets, msgpack or cbor; by default text/plain for UTF-8, else application/octet-stream.",
        ),
    ] = None


@Parameter(name="*")
@final
@attrs.frozen(kw_only=True)
class Patience:
    """How long to wait, in seconds."""

    wait: Annotated[
        float | None,
        Parameter(validator=_check_seconds, help="Seconds to wait until a server listens; by default the command fails at once."),
    ] = None
    timeout: Annotated[
        float | None, Parameter(validator=_check_seconds, help="Seconds that the whole command may take; by default no limit.")
    ] = None


Seconds: TypeAlias = Annotated[float, Parameter(validator=_check_seconds)]
MaybeSeconds: TypeAlias = Annotated[float | None, Parameter(validator=_check_seconds)]
MaybeCount: TypeAlias = Annotated[int | None, Parameter(validator=_check_count)]
Count: TypeAlias = Annotated[int, Parameter(validator=_check_count)]
Size: TypeAlias = Annotated[int | None, Parameter(validator=_check_size)]
