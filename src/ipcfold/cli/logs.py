"""`ipcfold log` and `ipcfold replay`: show what is in the log of a server, and fold it again."""

from __future__ import annotations

import os
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter
from returns.result import Failure, Result, Success

from ipcfold.blocking.ipc import IPC
from ipcfold.cli.content import text
from ipcfold.cli.listen import imported, literal
from ipcfold.cli.output import Json, complained, note, say, say_json
from ipcfold.cli.parameters import AsJson, Ipc, MaybeCount
from ipcfold.cli.printable import shown
from ipcfold.cli.status import Complaint, Misused, Status
from ipcfold.continuation import Continuation
from ipcfold.core.functions import Handlers
from ipcfold.errors import LogCorrupt, LogError, LogUnusable, ReplayDiverged
from ipcfold.inputs import Came, Left, Woken
from ipcfold.limits import Limits
from ipcfold.local.claim import holder_of
from ipcfold.log.entry import Adopted, Began, DamagedError, Ended, Entry, decode
from ipcfold.log.journal import Reading
from ipcfold.log.replay import Replay
from ipcfold.log.sqlite import SQLiteLog
from ipcfold.message import Message, shortened
from ipcfold.peer import Name
from ipcfold.result import cases

_PAUSE: Final = 0.1  # seconds between two looks at the file
_Found = Annotated[str, Parameter(name="NAME|FILE", help="The file of a log, or the name of a running server that has one.")]


def log(
    name_or_file: _Found,
    /,
    *,
    last: Annotated[MaybeCount, Parameter(name=["--last", "-n"], help="Show only so many entries at the end.")] = None,
    follow: Annotated[bool, Parameter(name=["--follow", "-f"], negative=(), show_default=False, help="Go on with new entries.")] = False,
    peer: Annotated[int | None, Parameter(help="Show only what this process id said, and its departures.")] = None,
    since: Annotated[datetime | None, Parameter(help="Show only what came at this time or later, as in 2026-01-31T08:00.")] = None,
    media_type: Annotated[str | None, Parameter(name="--type", help="Show only messages of this media type, as in text/plain.")] = None,
    as_json: AsJson = False,
    ipc: Ipc,
) -> Status:
    """Show the entries of a log: number, time, kind, and for a message its client, media type and content."""

    def wanted(entry: Entry) -> bool:
        what = entry.what
        return (
            (peer is None or (isinstance(what, Came | Left) and what.peer.pid == peer))
            and (since is None or what.now >= since.timestamp())
            and (media_type is None or (isinstance(what, Came) and str(what.message.media_type).startswith(media_type)))
        )

    match cases(_opened(name_or_file, ipc)):
        case Failure(error):
            return complained(error)
        case Success((place, reader)):
            pass
    show = _show_json if as_json else _show
    with closing(reader):
        try:
            failed = _shown(place, reader, wanted, last, show, follow=follow)
        except KeyboardInterrupt:
            if not follow:
                raise
            return Status.DONE
    return Status.DONE if failed is None else complained(failed)


def replay(
    name_or_file: _Found,
    handler: Annotated[str, Parameter(name="MODULE:HANDLER", help="A function in a module, which may be in the working directory.")],
    /,
    *,
    carry: Annotated[str, Parameter(help="The first carry: a Python literal, or JSON.")] = "None",
    left: Annotated[str | None, Parameter(help="MODULE:FUNCTION for departures.")] = None,
    woken: Annotated[str | None, Parameter(help="MODULE:FUNCTION for alarms.")] = None,
    ipc: Ipc,
) -> Status:
    """Fold what is in a log with a handler, from its beginning, and print the carry.

    If an answer differs from the one that was given, the first such answer is printed instead, unless a server has adopted a handler later.
    """
    match cases(_functions(handler, left, woken)):
        case Failure(misused):
            return complained(misused)
        case Success(handlers):
            pass
    match cases(literal(carry)):
        case Failure(misused):
            return complained(misused)
        case Success(first):
            pass
    match cases(_opened(name_or_file, ipc)):
        case Failure(error):
            return complained(error)
        case Success((place, reader)):
            pass
    with closing(reader):
        if reader.first:
            return complained(LogUnusable(place, "its first entries were dropped", "keep them with History.KEPT to replay them"))
        folding = Replay(place, first, Limits(), left=handlers.left is not None, woken=handlers.woken is not None)
        differs: Entry | None = None  # a later entry may say that another handler was adopted
        raised: ReplayDiverged[object] | None = None
        for found in _entries(place, reader, 0):
            match cases(found):
                case Failure(damaged):
                    return complained(damaged)
                case Success((_, entry)):
                    raised = folding.feed(entry, handlers)
            differs = None if folding.diverged is None else differs or entry
            if raised is not None:
                break
        ended = raised or folding.diverged
        if ended is not None:
            if differs is not None:
                _show_difference(ended, differs, folding.answer)
            return complained(ended)
    sys.set_int_max_str_digits(0)
    say(shown(folding.carry))
    return Status.DONE


def _functions(handler: str, left: str | None, woken: str | None) -> Result[Handlers[object], Misused]:
    """The functions of these paths."""
    from ipcfold.cli.listen import function  # noqa: PLC0415 - beside `imported`, which checks the parameters of a handler

    def optional(path: str | None) -> Result[Callable[..., Continuation[object]] | None, Misused]:
        return Success(None) if path is None else function(path)

    return imported(handler).bind(
        lambda found: optional(left).bind(
            lambda leaving: optional(woken).map(lambda waking: Handlers(found, leaving, waking)),
        )
    )


def _opened(name_or_file: str, ipc: IPC) -> Result[tuple[str, Reading], Complaint]:
    """The log in this file, or that of the server of this name."""
    path = Path(name_or_file)
    if not os.path.exists(path) and Name.maybe(name_or_file).value_or(None) is not None:
        found = _log_of(Name(name_or_file), ipc)
        if found is None:
            return Failure(Misused(f"{name_or_file!r} is neither a file nor a running server with a log: name the file of the log"))
        path = found
    opened: Result[tuple[str, Reading], LogError] = SQLiteLog.of(path).bind(SQLiteLog.read).map(lambda reader: (str(path), reader))
    match cases(opened):
        case Success(found_log):
            return Success(found_log)
        case Failure(error):
            return Failure(error)


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


def _entries(place: str, reader: Reading, after: int) -> Iterator[Result[tuple[int, Entry], LogError]]:
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


def _shown(
    place: str,
    reader: Reading,
    wanted: Callable[[Entry], bool],
    last: int | None,
    show: Callable[[int, Entry], None],
    *,
    follow: bool,
) -> LogError | None:
    """Show the entries that are wanted."""
    kept, at = list[tuple[int, Entry]](), 0
    while True:
        for found in _entries(place, reader, at):
            match cases(found):
                case Failure(error):
                    return error
                case Success((number, entry)):
                    at = number
                    if not wanted(entry):
                        continue
                    if last is None:
                        show(number, entry)
                    else:
                        kept = [*kept, (number, entry)][-last:]
        for number, entry in kept:
            show(number, entry)
        kept, last = [], None
        if not follow:
            return None
        time.sleep(_PAUSE)


def _moment(now: float) -> str:
    return datetime.fromtimestamp(now).astimezone().isoformat(timespec="milliseconds")


def _kind(entry: Entry) -> str:
    return type(entry.what).__name__.lower()


def _show(at: int, entry: Entry) -> None:
    cells = [str(at), _moment(entry.what.now), _kind(entry)]
    match entry.what:
        case Came(_, peer, message):
            cells += [f"{peer.pid}", f"{peer.connection}.{entry.number}", str(message.media_type), shortened(message.content)]
        case Left(_, peer):
            cells += [f"{peer.pid}", f"{peer.connection}"]
        case Ended(_, ending):
            cells.append(ending.value)
        case Began() | Adopted() | Woken():
            pass
    say("\t".join(cells))


def _show_json(at: int, entry: Entry) -> None:
    facts: dict[str, Json] = {"at": at, "now": entry.what.now, "kind": _kind(entry)}
    match entry.what:
        case Came(_, peer, message):
            content = text(message.content)
            facts |= {"connection": peer.connection, "pid": peer.pid, "uid": peer.uid, "number": entry.number}
            facts |= {"media_type": str(message.media_type)}
            facts |= {"base64": b64encode(message.content).decode()} if content is None else {"content": content}
        case Left(_, peer):
            facts |= {"connection": peer.connection, "pid": peer.pid, "uid": peer.uid}
        case Ended(_, ending):
            facts["ending"] = ending.name.lower()
        case Began() | Adopted() | Woken():
            pass
    say_json(facts)


def _show_difference(diverged: ReplayDiverged[object], entry: Entry, answer: Continuation[object] | None) -> None:
    """Show the first answer that differs as a diff. The log has only the size and the checksum of the one before."""
    say(f"@@ entry {diverged.at}, {_moment(entry.what.now)} @@")
    if isinstance(diverged.message, Message):
        say(f" {diverged.message.media_type} {shortened(diverged.message.content)}")
    else:
        say(f" {shown(diverged.message)}")
    say(f"-an answer of {entry.digest >> 32} bytes, checksum {entry.digest & 0xFFFF_FFFF:08x}")
    if answer is None:
        say("+no alarm")
        return
    for response in answer.responses:
        say(f"+{response.media_type} {shortened(response.content)}")
    for effect in answer.effects:
        say(f"+{shown(effect, 200)}")
    say(f"+{answer.outcome.value}")
    note("the handler answers this entry in another way than when it was written")
