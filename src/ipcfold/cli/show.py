"""`ipcfold list` and `ipcfold watch`: show the running servers."""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pwd import getpwuid
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

from cyclopts import Parameter
from returns.maybe import Nothing
from returns.result import Failure, Result, Success

from ipcfold.blocking.ipc import IPC
from ipcfold.cli.output import Json, complained, concluded, console, in_order, note, say, say_json, watched
from ipcfold.cli.parameters import AsJson, Ipc, Seconds
from ipcfold.cli.status import Status
from ipcfold.errors import DirectoryUnusable
from ipcfold.local.discovery import ServerInfo, listeners
from ipcfold.peer import NOBODY
from ipcfold.result import cases

if TYPE_CHECKING:
    from rich.table import Table

    from ipcfold.nats import NATS, LookError  # few use it

Listeners: TypeAlias = tuple[ServerInfo, ...]

_UNKNOWN: Final = "-"


def list_(*, as_json: AsJson = False, ipc: Ipc) -> Status:
    """List the running servers.

    The columns are name, process id, user, connections and start. A - stands for a value that the system does not report.
    """
    return concluded(_found(ipc), _show_json if as_json else _show)


def _found(ipc: IPC | NATS) -> Result[Listeners, DirectoryUnusable | LookError]:
    """The servers that listen now. Over NATS, nothing but their names is known."""
    if isinstance(ipc, IPC):
        return listeners(ipc)
    return ipc.processes().map(lambda names: tuple(ServerInfo(name, NOBODY, 0.0, Nothing) for name in sorted(names, key=str)))


def watch(
    *,
    interval: Annotated[Seconds, Parameter(help="Seconds between two updates.")] = 1.0,
    as_json: AsJson = False,
    ipc: Ipc,
) -> Status:
    """List the running servers after each change, until Ctrl-C."""
    try:
        if watched() and not as_json:
            return complained(_live(ipc, interval))
        return complained(_changes(ipc, interval, _show_json if as_json else _show_block))
    except KeyboardInterrupt:  # the normal end of this command
        return Status.DONE


def _live(ipc: IPC, interval: float) -> DirectoryUnusable | LookError:
    """Keep a table on the terminal up to date, until an error, which is returned."""
    from rich.live import Live  # noqa: PLC0415 - only for a terminal

    with in_order(), Live(console=console(), auto_refresh=False) as live:
        return _changes(ipc, interval, lambda found: live.update(_table(found), refresh=True))


def _changes(ipc: IPC, interval: float, show: Callable[[Listeners], None]) -> DirectoryUnusable | LookError:
    """Show the running servers after each change, until an error, which is returned."""
    before: Listeners | None = None
    while True:
        match cases(_found(ipc)):
            case Failure(error):
                return error
            case Success(found):
                if found != before:
                    show(found)
                before = found
        _rest(interval)


def _rest(seconds: float) -> None:
    """Wait. Raise `BrokenPipeError` when the reader of the output has closed it, because without a change no write would notice."""
    sys.stdout.flush()
    reader = select.poll()
    reader.register(sys.stdout, 0)  # no events, because poll always reports a closed pipe
    if reader.poll(seconds * 1000):
        raise BrokenPipeError


def _show(found: Listeners) -> None:
    if not watched():
        for listener in found:
            say("\t".join(_cells(listener)))
    elif found:
        console().print(_table(found))
    else:
        note("nobody listens")


def _show_block(found: Listeners) -> None:
    """Print the list and an empty line, which separates it from the next list."""
    say("".join("\t".join(_cells(listener)) + "\n" for listener in found))


def _show_json(found: Listeners) -> None:
    say_json([_facts(listener) for listener in found])


def _table(found: Listeners) -> Table:
    from rich.table import Table  # noqa: PLC0415 - only for a terminal

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("NAME", overflow="fold")
    table.add_column("PID", justify="right", no_wrap=True)
    table.add_column("USER", overflow="fold")
    table.add_column("CONNECTIONS", justify="right", no_wrap=True)
    table.add_column("SINCE", no_wrap=True)
    if not found:
        table.caption, table.caption_justify = "nobody listens", "left"
    for listener in found:
        name, pid, user, connections, _ = _cells(listener)
        since = _UNKNOWN if not listener.since else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(listener.since))
        table.add_row(name, pid, user, connections, since)
    return table


def _cells(listener: ServerInfo) -> tuple[str, str, str, str, str]:
    peer = listener.peer
    return (
        str(listener.name),
        str(peer.pid or _UNKNOWN),
        _user(peer.uid) or _UNKNOWN,
        listener.connections.map(str).value_or(_UNKNOWN),
        _moment(listener.since) or _UNKNOWN,
    )


def _facts(listener: ServerInfo) -> Json:
    peer = listener.peer
    return {
        "name": str(listener.name),
        "pid": peer.pid or None,
        "uid": None if peer.uid == NOBODY.uid else peer.uid,
        "user": _user(peer.uid),
        "connections": listener.connections.value_or(None),
        "since": _moment(listener.since),
    }


def _moment(since: float) -> str | None:
    return None if not since else datetime.fromtimestamp(since).astimezone().isoformat(timespec="seconds")


def _user(uid: int) -> str | None:
    """The user's name, or the user id if the system knows no name; `None` if the user is not known."""
    if uid == NOBODY.uid:
        return None
    try:
        return getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
