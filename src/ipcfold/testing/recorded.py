"""Logs of servers in tests: what another handler makes of them, and the scripts that they are."""

from __future__ import annotations

from contextlib import closing
from typing import Final, TypeAlias, TypeVar

from returns.result import Failure, Result, Success

from ipcfold.continuation import Handler, Leaving, Waking
from ipcfold.core.functions import Handlers, driven
from ipcfold.errors import LogCorrupt, LogEnded, LogError, LogFailed
from ipcfold.inputs import Came, Left, Woken
from ipcfold.limits import Limits
from ipcfold.log.entry import DamagedError, Entry, decode
from ipcfold.log.journal import Log
from ipcfold.log.recovery import Recovery
from ipcfold.log.snapshots import Snapshots
from ipcfold.result import cases
from ipcfold.testing.script import Elapse, Kill, Send, Step

C = TypeVar("C")

_ROUNDED: Final = 1e-6  # seconds; times since the epoch are so exact, and an alarm must not ring behind the next message

Logged: TypeAlias = Log | Result[Log, LogError]
"""A log, or what `SQLiteLog.of` returns."""


def replayed(
    handler: Handler[C],
    log: Logged,
    carry: C,
    *,
    left: Leaving[C] | None = None,
    woken: Waking[C] | None = None,
    snapshots: Snapshots[C] | None = None,
    limits: Limits | None = None,
) -> Result[C, LogEnded[C]]:
    """Fold what is in a log, and check each answer against the one that was given. Returns the carry, or the first difference.

    A server may write to the log meanwhile. The other arguments are those of the server. With `snapshots` the carry is checked, too, at
    each snapshot that the log has. Then the carry with which the log began counts, if the log has that one.

    >>> from ipcfold import Message
    >>> from ipcfold.log import MemoryLog
    >>> def count(message, continuation, counter):
    ...     return continuation.respond(counter + 1, Message.text(f"{counter + 1}"))
    >>> replayed(count, MemoryLog(), 0)
    <Success: 0>
    """
    usable = log if isinstance(log, Result) else Success(log)
    match cases(usable.bind(lambda opened: opened.read().map(lambda reader: (opened.place, reader)))):
        case Failure(error):
            return Failure(LogFailed(carry, error))
        case Success((place, reader)):
            pass
    handlers = Handlers(handler, left, woken)
    recovery = Recovery(place, carry, snapshots, limits or Limits(), left=left is not None, woken=woken is not None, whole=True)
    with closing(reader):
        ended = driven(recovery.follow(reader), lambda asked: handlers(*asked))
    return Success(recovery.carry) if ended is None else Failure(ended)


def inputs(log: Logged) -> Result[tuple[Came | Left | Woken, ...], LogError]:
    """What a server with this log has folded. `fold` takes it, with any handler."""
    return _entries(log).map(lambda entries: tuple(entry.what for entry in entries if isinstance(entry.what, Came | Left | Woken)))


def recorded(log: Logged) -> Result[list[Step], LogError]:
    """A script of what the clients of a server with this log did, at the same times. `simulate` plays it, with any handler.

    The clients have the numbers of their connections as names. Each of them dies where it left. The server rings its alarms itself, if the
    `epoch` of the simulation is the time of the first input. Each rings when it is due: also one that was late, because no server ran.
    """
    return inputs(log).map(_script)


def _script(found: tuple[Came | Left | Woken, ...]) -> list[Step]:
    steps, elapsed, late = list[Step](), 0.0, 0.0
    for each in found:
        seconds = each.now - found[0].now - elapsed
        if isinstance(each, Woken):  # an alarm that another one asked for is late with it
            late += _ROUNDED
            seconds += late
        if seconds > 0.0:
            steps.append(Elapse(seconds))
            elapsed += seconds
        match each:
            case Came(_, peer, message):
                steps.append(Send(f"client {peer.connection}", message))
            case Left(_, peer):
                steps.append(Kill(f"client {peer.connection}"))
            case Woken():  # the server rings it by itself
                pass
    return steps


def _entries(log: Logged) -> Result[list[Entry], LogError]:
    usable = log if isinstance(log, Result) else Success(log)
    match cases(usable.bind(lambda opened: opened.read().map(lambda reader: (opened.place, reader)))):
        case Failure(error):
            return Failure(error)
        case Success((place, reader)):
            pass
    entries = list[Entry]()
    with closing(reader):
        for batch in reader.replay(0):
            match cases(batch):
                case Failure(error):
                    return Failure(error)
                case Success(records):
                    try:
                        entries += map(decode, records)
                    except DamagedError as error:
                        return Failure(LogCorrupt(place, len(entries), str(error)))
    return Success(entries)
