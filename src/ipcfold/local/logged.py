"""The log of a server: it is opened and folded again at the start, written before anything is acknowledged, and closed at the end."""

from __future__ import annotations

from collections.abc import Callable, Generator
from time import monotonic
from typing import Final, Generic, TypeAlias, TypeVar, final

import attrs
from returns.result import Failure, Result, Success

from ipcfold.continuation import Continuation
from ipcfold.core.fold import Ask
from ipcfold.core.server import ServerCore
from ipcfold.errors import LogEnded, LogError, LogFailed, LogTaken, LogUnusable, ReplayInterrupted
from ipcfold.events import Ending
from ipcfold.limits import Limits
from ipcfold.local.clock import Clock
from ipcfold.log.journal import Journal, Log
from ipcfold.log.recorder import Recorder
from ipcfold.log.recovery import Recovered, Recovery
from ipcfold.log.snapshots import Snapshots
from ipcfold.result import cases

C = TypeVar("C")
R = TypeVar("R")

_DYING: Final = 1.0  # seconds; the kernel drops the locks of a killed server one after the other, that of its name first
_SHOWN: Final = 80  # characters of what is no log, in an error
_PAUSE: Final = 0.001  # seconds between two attempts


@final
@attrs.frozen
class Rest:
    """Wait for so many seconds, or for the end of the process `pid`, unless that is 0."""

    seconds: float
    pid: int = 0


Starting: TypeAlias = Generator[Ask[C] | Rest, Continuation[C] | None, R]
"""How a server starts, step by step, in every shell: each step asks the handler for an input of the log, or is a rest."""


@final
class UnloggedError(Exception):
    """The log failed, and it is not known whether it has the last burst. So the server ends at once."""


@final
@attrs.frozen
class Opening(Generic[C]):
    """A log, and what a server is to do with it."""

    log: Log
    recovery: Recovery[C]
    snapshots: Snapshots[C] | None


def opening(
    given: Log | Result[Log, LogError], carry: C, snapshots: Snapshots[C] | None, limits: Limits, *, left: bool, woken: bool
) -> Result[Opening[C], LogFailed[C]]:
    """What to do with a log, or with what `SQLiteLog.of` has returned. `left`, `woken`: as for `Recovery`."""
    if isinstance(given, Result):
        match cases(given):
            case Success(usable):
                log = usable
            case Failure(refused):
                return Failure(LogFailed(carry, refused))
    else:
        log = given
    if not hasattr(log, "adopts"):  # a path, for example, which a type checker refuses, too
        why, advice = f"it is a {type(log).__name__}, and no log", "give log=SQLiteLog.of(path)"
        return Failure(LogFailed(carry, LogUnusable(repr(log)[:_SHOWN], why, advice)))
    if snapshots is not None and not hasattr(snapshots, "coder"):
        why, advice = f"snapshots is a {type(snapshots).__name__}", "give snapshots=Snapshots(codec), or Snapshots.of(write, read)"
        return Failure(LogFailed(carry, LogUnusable(log.place, why, advice)))
    recovery = Recovery(log.place, carry, snapshots, limits, left=left, woken=woken, adopts=log.adopts)
    return Success(Opening(log, recovery, snapshots))


@final
class Logged(Generic[C]):
    """The log of one server."""

    __slots__ = ("_clock", "_core", "_journal", "_log", "_opening", "_recorder", "failure", "paid", "warnings")

    def __init__(self, opening: Opening[C], core: ServerCore[C], clock: Clock) -> None:
        self._clock = clock
        self._opening = opening
        self._log = opening.log
        self._core = core
        self._journal: Journal | None = None
        self._recorder: Recorder[C] | None = None
        self.failure: LogFailed[C] | None = None
        """The failure of the log, if it has failed."""
        self.paid = 0.0
        """How many seconds the last commit took."""
        self.warnings: list[str] = []
        """What an operator should know."""

    def start(self, ends: Callable[[], bool]) -> Starting[C, Result[int, LogEnded[C]]]:
        """Fold what is in the log. Returns the largest number of a connection in it. `ends`: whether to give up."""
        recovery = self._opening.recovery
        stood_by = recovery.ends  # who ends a server that stood by may do so when that has just taken the name
        recovery.ends = lambda: stood_by() or ends()
        try:
            opened = yield from self._opened(recovery.ends)
            if recovery.ends() and isinstance(opened, Failure):
                return Failure(self.interrupted)
            match cases(opened):
                case Failure(error):
                    return Failure(LogFailed(self._core.fold.carry, error))
                case Success(journal):
                    self._journal = journal
            recovery.leave()
            match cases((yield from recovery.finish(journal))):
                case Failure(ended):
                    return Failure(ended)
                case Success(recovered):
                    return self._begun(journal, recovered, self._opening.snapshots)
        except KeyboardInterrupt:
            return Failure(self.interrupted)

    @property
    def interrupted(self) -> ReplayInterrupted:
        """The end of a start that a signal has interrupted."""
        return ReplayInterrupted(self._log.place, self._opening.recovery.at)

    def _opened(self, ends: Callable[[], bool]) -> Starting[C, Result[Journal, LogError]]:
        """The log, which a server that has just died may have for another moment."""
        until = monotonic() + _DYING
        while True:
            opened = self._log.open()
            if not isinstance(cases(opened), Failure) or not isinstance(opened.failure(), LogTaken) or monotonic() > until or ends():
                return opened
            yield Rest(_PAUSE)

    def _begun(self, journal: Journal, recovered: Recovered[C], snapshots: Snapshots[C] | None) -> Result[int, LogEnded[C]]:
        core = self._core
        core.fold.restore(recovered.carry, recovered.state)
        self.warnings += recovered.warnings
        recorder = self._recorder = Recorder(journal, core.fold, snapshots, recovered, self.warnings.append)
        core.log(recorder.record, self._clock.monotonic(), recorder.extend)
        recorder.begin(max(self._clock.time(), recovered.state.time), adopted=recovered.adopted)
        refused = recorder.commit() or (recorder.snapshot() if recovered.adopted else None)  # so that later servers begin behind it
        if refused is not None:
            return Failure(LogFailed(recovered.carry, refused))
        return Success(recovered.state.most)

    def commit(self) -> None:
        """Make durable what was folded. Raises an `UnloggedError` if nobody knows whether it is."""
        recorder = self._recorder
        if recorder is None or self.failure is not None:
            return
        if recorder.pending:
            since = self._clock.monotonic()
            refused = recorder.commit()
            self.paid = self._clock.monotonic() - since
            if refused is not None:
                self._refused(recorder, refused)
                return
            self._core.committed()

    def keep(self) -> None:
        """Take a snapshot, if one is due. What was folded is committed."""
        recorder = self._recorder
        if recorder is not None and recorder.due and self.failure is None and recorder.snapshot() is not None:
            self._refused(recorder, None)

    def _refused(self, recorder: Recorder[C], error: LogError | None) -> None:
        self.failure = recorder.failure
        if recorder.failure is not None:
            self._core.unlogged(recorder.failure.carry, self._clock.monotonic())
        if isinstance(error, LogUnusable):
            raise UnloggedError(str(error))

    def end(self, ending: Ending) -> None:
        """Note the end of the server."""
        recorder = self._recorder
        if recorder is not None and self.failure is None and recorder.end(self._clock.time(), ending) is not None:
            self.failure = recorder.failure

    def close(self) -> None:
        """Give the log up."""
        journal, self._journal, self._recorder = self._journal, None, None
        if journal is not None:
            journal.close()

    def abandon(self) -> None:
        """Note that this process is a forked child."""
        journal, self._journal, self._recorder = self._journal, None, None
        if journal is not None:
            journal.abandon()
