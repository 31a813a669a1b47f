"""The entries of a log: how a command finds them, and how it shows one."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, TypeAlias

from cyclopts import Parameter
from returns.result import Failure, Result, Success

from ipcfold.blocking.ipc import IPC
from ipcfold.cli.content import text
from ipcfold.cli.output import Json
from ipcfold.cli.status import Complaint, Misused
from ipcfold.errors import LogCorrupt, LogError
from ipcfold.inputs import Came, Left, Woken
from ipcfold.local.claim import holder_of
from ipcfold.log.entry import Adopted, Began, DamagedError, Ended, Entry, decode
from ipcfold.log.journal import Reading
from ipcfold.log.sqlite import SQLiteLog
from ipcfold.message import Message, shortened
from ipcfold.peer import Name
from ipcfold.result import cases

LogName: TypeAlias = Annotated[str, Parameter(name="NAME|FILE", help="The file of a log, or the name of a running server that has one.")]


def opened(name_or_file: str, ipc: IPC) -> Result[tuple[str, Reading], Complaint]:
    """The log in this file, or that of the server of this name."""
    match cases(located(name_or_file, ipc)):
        case Failure(misused):
            return Failure(misused)
        case Success(path):
            pass
    read: Result[tuple[str, Reading], LogError] = SQLiteLog.of(path).bind(SQLiteLog.read).map(lambda reader: (str(path), reader))
    match cases(read):
        case Failure(error):
            return Failure(error)
        case Success(found):
            return Success(found)


def located(name_or_file: str, ipc: IPC) -> Result[Path, Misused]:
    """The file of this log."""
    path = Path(name_or_file)
    if os.path.exists(path) or Name.maybe(name_or_file).value_or(None) is None:
        return Success(path)
    found = _log_of(Name(name_or_file), ipc)
    if found is None:
        return Failure(Misused(f"{name_or_file!r} is neither a file nor a running server with a log: name the file of the log"))
    return Success(found)


def _log_of(name: Name, ipc: IPC) -> Path | None:
    """The log that the server of this name has open: a file beside which it has a lock open."""
    directory = ipc.peers().map(lambda peers: peers.get(name)).value_or(None)
    pid = 0 if directory is None else directory.pid
    if not pid:
        pid = holder_of(Path(ipc.directory or "", f"{name}.sock")).value_or(0)
    try:
        links = {os.readlink(f"/proc/{pid}/fd/{each}") for each in os.listdir(f"/proc/{pid}/fd")}
    except OSError:
        return None
    return next((Path(link) for link in sorted(links) if f"{link}.lock" in links and f"{link}-wal" in links), None)


def entries(place: str, reader: Reading, after: int) -> Iterator[Result[tuple[int, Entry], LogError]]:
    """The entries behind the first so many, with their numbers."""
    at = max(after, reader.first)
    for batch in reader.replay(at):
        match cases(batch):
            case Failure(error):
                yield Failure(error)
                return
            case Success(records):
                for record in records:
                    at += 1
                    try:
                        yield Success((at, decode(record)))
                    except DamagedError as error:
                        yield Failure(LogCorrupt(place, at - 1, str(error)))
                        return


def moment(now: float) -> str:
    """A time as people read it, with the offset of this machine's zone."""
    return datetime.fromtimestamp(now).astimezone().isoformat(timespec="milliseconds")


def kind(entry: Entry) -> str:
    """What kind of entry it is, as one word."""
    return type(entry.what).__name__.lower()


def line(at: int, entry: Entry) -> str:
    """One line, of cells with tabs between them."""
    cells = [str(at), moment(entry.what.now), kind(entry)]
    match entry.what:
        case Came(_, peer, message):
            cells += [f"{peer.pid}", f"{peer.connection}.{entry.number}", str(message.media_type), shortened(message.content)]
        case Left(_, peer):
            cells += [f"{peer.pid}", f"{peer.connection}"]
        case Ended(_, ending):
            cells.append(ending.value)
        case Began() | Adopted() | Woken():
            pass
    return "\t".join(cells)


def facts(at: int, entry: Entry) -> dict[str, Json]:
    """The same for machines."""
    known: dict[str, Json] = {"at": at, "now": entry.what.now, "kind": kind(entry)}
    match entry.what:
        case Came(_, peer, message):
            known |= {"connection": peer.connection, "pid": peer.pid, "uid": peer.uid, "number": entry.number, **said(message)}
        case Left(_, peer):
            known |= {"connection": peer.connection, "pid": peer.pid, "uid": peer.uid}
        case Ended(_, ending):
            known["ending"] = ending.name.lower()
        case Began() | Adopted() | Woken():
            pass
    return known


def said(message: Message) -> dict[str, Json]:
    """A message for machines."""
    content = text(message.content)
    coded: dict[str, Json] = {"base64": b64encode(message.content).decode()} if content is None else {"content": content}
    return {"media_type": str(message.media_type), **coded}
