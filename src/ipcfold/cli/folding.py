"""Folds a log with a program, entry by entry, and says which option was forgotten."""

from __future__ import annotations

from typing import Final, final

from returns.result import Failure, Result, Success

from ipcfold.cli.output import complain
from ipcfold.cli.program import Program
from ipcfold.continuation import Continuation
from ipcfold.errors import LogError, LogUnusable, ReplayDiverged
from ipcfold.inputs import Left, Woken
from ipcfold.limits import Limits
from ipcfold.log.carried import Carried
from ipcfold.log.entry import DamagedError, Entry, Snapshot, decode_snapshot, digest
from ipcfold.log.journal import Reading
from ipcfold.log.replay import Replay
from ipcfold.result import cases

_SILENT: Final = digest(Continuation(None))  # of the answer to a departure that no function has handled


@final
class Folding:
    """One program that folds a log again."""

    def __init__(self, place: str, program: Program, limits: Limits) -> None:
        self.program = program
        self.answer: Continuation[object] | None = None
        """The answer to the last entry, if it has one."""
        self.raised: BaseException | None = None
        """What the function raised, or what is wrong with its answer."""
        self.ended: ReplayDiverged[object] | None = None
        """The difference after which the replay cannot go on."""
        self._carried: Carried[object] | None = None
        handlers = program.handlers
        self.replay: Final = Replay(place, program.carry, limits, left=handlers.left is not None, woken=handlers.woken is not None)

    def watch(self, found: tuple[tuple[int, bytes], ...]) -> None:
        """Compare the carry with these snapshots, too, where it passes their places."""
        snapshots = self.program.snapshots
        self._carried = None if snapshots is None else Carried(self.replay, snapshots, found)

    def feed(self, entry: Entry) -> None:
        """Fold the next entry."""
        self._feed(entry)
        if self._carried is not None and self._carried.next == self.replay.at:
            self._carried.passed()

    def _feed(self, entry: Entry) -> None:
        replay = self.replay
        self.answer = self.raised = None
        asked = replay.take(entry)
        if asked is None:
            return
        try:
            self.answer = self.program.handlers(*asked)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - the handler may raise anything
            self.ended = replay.failed(error)
            self.raised = error
            return
        self.ended = replay.answered(asked, self.answer)
        if self.ended is not None:
            self.raised = self.ended.error

    def forgotten(self, entry: Entry) -> str:
        """Which option was forgotten, if the next entry shows it."""
        handlers = self.program.handlers
        if isinstance(entry.what, Left) and handlers.left is None and entry.digest != _SILENT:
            return "the server had a function for departures: name it with --left MODULE:FUNCTION"
        if isinstance(entry.what, Woken) and handlers.woken is None:
            return "the server had a function for alarms: name it with --woken MODULE:FUNCTION"
        return ""


def begun(place: str, reader: Reading, foldings: list[Folding]) -> Result[int, LogError]:
    """Begin all of them as far back as the log goes, with a snapshot that each can decode. Returns the number of entries before it."""
    if all(folding.program.snapshots is None for folding in foldings):
        if reader.first:
            advice = "name the snapshots of the server with --snapshots MODULE:NAME, and the replay begins with one of them"
            return Failure(LogUnusable(place, "its first entries were dropped", advice))
        return Success(0)
    match cases(reader.snapshots()):
        case Failure(error):
            return Failure(error)
        case Success(found):
            pass
    start = _start(place, reader, found, foldings)
    for folding in foldings:
        folding.watch(found)
    return start


def _start(place: str, reader: Reading, found: tuple[tuple[int, bytes], ...], foldings: list[Folding]) -> Result[int, LogError]:
    for at, record in reversed(found):
        if at and not reader.first:  # then the log has all its entries
            break
        match cases(_restored(record, foldings)):
            case Success():
                return Success(at)
            case Failure(reason):
                complain(f"the snapshot after entry {at} is left out: {reason}")
    if reader.first:
        why = "its first entries were dropped, and it has no snapshot that decodes"
        return Failure(LogUnusable(place, why, "name the snapshots that the server was given, with their older versions"))
    return Success(0)


def _restored(record: bytes, foldings: list[Folding]) -> Result[Snapshot, str]:
    """Begin all of them with this snapshot, or none of them."""
    try:
        snapshot = decode_snapshot(record)
    except DamagedError:
        return Failure("it is damaged")
    carries = list[object]()
    for folding in foldings:
        snapshots = folding.program.snapshots
        match cases(Failure("there are no snapshots for it") if snapshots is None else snapshots.decode(snapshot.carry)):
            case Success(carry):
                carries.append(carry)
            case Failure(reason):
                return Failure(f"it does not decode: {reason}")
    for folding, carry in zip(foldings, carries, strict=True):
        folding.replay.restore(snapshot, carry)
    return Success(snapshot)
