"""`ipcfold log`: shows what is in the log of a server."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from fnmatch import fnmatchcase
from math import inf
from pathlib import Path
from typing import Annotated, Final, final

import attrs
from cyclopts import Parameter
from returns.result import Failure, Result, Success

from ipcfold.cli import times
from ipcfold.cli.content import SHORT
from ipcfold.cli.entries import LogName, entries, facts, line, opened
from ipcfold.cli.output import complained, say, say_json
from ipcfold.cli.parameters import AsJson, Ipc, MaybeCount
from ipcfold.cli.status import Misused, Status
from ipcfold.errors import LogError
from ipcfold.inputs import Came, Left
from ipcfold.log.entry import Entry
from ipcfold.log.journal import Reading
from ipcfold.log.sqlite import SQLiteLog, writable
from ipcfold.message import Message
from ipcfold.result import cases

_PAUSE: Final = 0.1  # seconds between two looks at the file


@final
@attrs.frozen
class Wanted:
    """Which entries to show."""

    peer: int | None
    since: float
    until: float
    media_type: str | None

    def __call__(self, entry: Entry) -> bool:
        """Whether to show this one."""
        what = entry.what
        return (
            self.since <= what.now < self.until
            and (self.peer is None or (isinstance(what, Came | Left) and what.peer.pid == self.peer))
            and (self.media_type is None or (isinstance(what, Came) and _is_of(what.message, self.media_type)))
        )


def _is_of(message: Message, wanted: str) -> bool:
    """Whether the media type of the message begins so, or has this short name."""
    media_type = str(message.media_type)
    return fnmatchcase(media_type, f"{wanted.lower()}*") or media_type == SHORT.get(wanted)


def log(
    name_or_file: LogName,
    /,
    *,
    last: Annotated[MaybeCount, Parameter(name=["--last", "-n"], help="Show only so many entries at the end.")] = None,
    follow: Annotated[bool, Parameter(name=["--follow", "-f"], negative=(), show_default=False, help="Go on with new entries.")] = False,
    peer: Annotated[int | None, Parameter(help="Show only what this process id said, and its departures.")] = None,
    since: Annotated[str | None, Parameter(help="Show only what came then or later: 2026-01-31, 08:00, or 2026-01-31T08:00Z.")] = None,
    until: Annotated[str | None, Parameter(help="Show only what came then or earlier; a date is the whole day.")] = None,
    media_type: Annotated[
        str | None, Parameter(name="--type", help="Show only messages whose media type begins so, as text/plain or text/*, or json.")
    ] = None,
    as_json: AsJson = False,
    ipc: Ipc,
) -> Status:
    """Show the entries of a log: number, time, kind, and for a message its client, media type and content."""
    match cases(_wanted(peer, since, until, media_type)):
        case Failure(misused):
            return complained(misused)
        case Success(wanted):
            pass
    match cases(opened(name_or_file, ipc)):
        case Failure(error):
            return complained(error)
        case Success((place, reader)):
            pass
    show = _show_json if as_json else _show
    try:
        failed = _shown(place, reader, wanted, last, show, follow=follow)
    except KeyboardInterrupt:
        if not follow:
            raise
        return Status.DONE
    return Status.DONE if failed is None else complained(failed)


def _wanted(peer: int | None, since: str | None, until: str | None, media_type: str | None) -> Result[Wanted, Misused]:
    begins: Result[float, Misused] = Success(-inf) if since is None else times.since(since)
    ends: Result[float, Misused] = Success(inf) if until is None else times.until(until)
    return begins.bind(lambda first: ends.map(lambda end: Wanted(peer, first, end, media_type)))


def _shown(
    place: str,
    reader: Reading,
    wanted: Wanted,
    last: int | None,
    show: Callable[[int, Entry], None],
    *,
    follow: bool,
) -> LogError | None:
    """Show the entries that are wanted, and close the log."""
    at = 0
    try:
        while True:
            kept = deque[tuple[int, Entry]](maxlen=last)
            for found in entries(place, reader, at):
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
                            kept.append((number, entry))
            for number, entry in kept:
                show(number, entry)
            last = None
            if not follow or time.time() >= wanted.until:
                return None
            time.sleep(_PAUSE)
            if not writable(Path(place).parent):  # there SQLite may read the file as it was when it was opened
                match cases(SQLiteLog(Path(place)).read()):
                    case Failure(error):
                        return error
                    case Success(fresh):
                        reader.close()
                        reader = fresh
    finally:
        reader.close()


def _show(at: int, entry: Entry) -> None:
    say(line(at, entry))


def _show_json(at: int, entry: Entry) -> None:
    say_json(facts(at, entry))
