"""The commands, and their common part: the socket directory, exit statuses, and errors of one line instead of a traceback.

Each command is a function of a module, which is imported when the command is called.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

from cyclopts import App, CycloptsError, Parameter, UnusedCliTokensError
from returns.result import Failure, Result, Success

from ipcfold.accelerator import accelerated
from ipcfold.blocking.ipc import IPC
from ipcfold.cli.brokers import INBOX, brokers
from ipcfold.cli.interrupt import interruptible
from ipcfold.cli.output import complain, complained, lossless
from ipcfold.cli.status import Misused, Status
from ipcfold.cli.trust import trusting
from ipcfold.result import cases
from ipcfold.version import VERSION

_COMMANDS: Final = {
    "list": "show:list_",
    "watch": "show:watch",
    "where": "where:where",
    "ask": "talk:ask",
    "send": "talk:send",
    "listen": "listen:listen",
    "log": "logs:log",
    "replay": "replay:replay",
    "salvage": "salvage:salvage_",
    "ping": "ping:ping",
    "bench": "bench:bench",
    "demo": "demo:demo",
    "completion": "completion:completion",
}
_INCOMPLETE: Final = "check that this user may read all files of ipcfold, and try again"
_STATUSES: Final = ", ".join(f"{status:d} {status.name.lower().replace('_', ' ')}" for status in Status)


app: Final = App(
    name="ipcfold",
    help="Talk to the servers of ipcfold on this machine.",
    help_format="plaintext",
    help_epilogue=f"Exit status: {_STATUSES}.",
    version=f"{VERSION} ({'accelerated' if accelerated else 'pure Python'})",
    version_flags=("--version", "-V"),
    result_action="return_value",
    exit_on_error=False,
    print_error=False,
    suppress_keyboard_interrupt=False,
)
for _place, (_name, _function) in enumerate(_COMMANDS.items()):
    _usage = f"Usage: ipcfold {_name} [OPTIONS] NAME [CONTENT]" if _name in {"ask", "send", "bench"} else None  # cyclopts would write ARGS
    app.command(f"ipcfold.cli.{_function}", name=_name, sort_key=_place, help_epilogue="", usage=_usage)


@app.meta.default
def _launch(
    *words: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    directory: Annotated[Path | None, Parameter(help="The directory of the sockets; by default that of this user.")] = None,
    trust: Annotated[
        str, Parameter(help="Whom to trust: same-user (this user and root), any, or more users by id or name, with commas between.")
    ] = "same-user",
    nats: Annotated[
        str | None, Parameter(help="NATS brokers instead of sockets, as nats://127.0.0.1:4222; several with commas between them.")
    ] = None,
    credentials: Annotated[Path | None, Parameter(help="With --nats: the file of credentials of this user.")] = None,
    inbox: Annotated[str, Parameter(help="With --nats: the first token of the subjects where this user may listen.")] = INBOX,
    replicas: Annotated[int, Parameter(help="With --nats: how many brokers keep the stream that listen makes, if there is none.")] = 1,
) -> int:
    if not words:
        _describe()
        app.help_print()
        return Status.MISUSED
    command, bound, unparsed = app.parse_args(words)
    match cases(_finder(directory, trust) if nats is None else brokers(words[0], nats, credentials, inbox, replicas)):
        case Failure(error):
            return complained(error)
        case Success(finder):
            given = {"ipc": finder} if "ipc" in unparsed else {}
            with interruptible():
                return command(*bound.args, **bound.kwargs, **given) or 0


def _finder(directory: Path | None, trust: str) -> Result[IPC, Misused]:
    return trusting(trust).map(lambda rule: IPC(directory, trust=rule))


def run(words: Sequence[str]) -> int:
    """Run the command that these arguments name, and return the exit status."""
    for stream, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, stream) is None:  # it is closed, and the next file opened must not get its descriptor
            setattr(sys, stream, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - it stays open
    try:
        lossless()
        status = _heard(words)
        sys.stdout.flush()
    except BrokenPipeError:
        status = Status.UNHEARD
    except OSError as error:  # only imports and writing the output raise: other system errors are in a Failure
        if error.filename is None:
            complain(f"could not write to the standard output: {error.strerror}; check where it goes")
        else:
            complain(f"could not load the command: {error}; {_INCOMPLETE}")
        status = Status.SYSTEM
    except ModuleNotFoundError:  # an extra is missing
        raise
    except ImportError as error:
        complain(f"could not load the command: {error}; {_INCOMPLETE}")
        status = Status.SYSTEM
    for output in (sys.stdout, sys.stderr):
        try:
            output.flush()
        except OSError:  # it is reported already, or cannot be; without this the interpreter would flush again at exit, and fail
            os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())
    return status


def _heard(words: Sequence[str]) -> int:
    try:
        if {"--help", "-h"} & set(words):
            _describe()
        return app.meta(words) or Status.DONE
    except UnusedCliTokensError as error:
        more = " ".join(error.unused_tokens or ())
        return complained(Misused(f"unexpected argument {more!r}: put content of several words in quotes, see `ipcfold --help`"))
    except CycloptsError as error:
        command = " ".join(["ipcfold", *(error.command_chain or ())])
        return complained(Misused(f"{' '.join(str(error).split())} See `{command} --help`"))
    except KeyboardInterrupt:
        return Status.INTERRUPTED
    except SystemExit as end:
        if end.code == 1:  # rich exits with 1 on a BrokenPipeError
            return Status.UNHEARD
        raise


def _describe() -> None:
    """Prepare the help."""
    app.resolved_commands()  # imports the commands, because the help shows their docstrings
    if not sys.stdout.isatty():
        app.help_formatter = "plain"
