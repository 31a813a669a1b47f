"""The log of a server: it is opened and folded again at the start, written before anything is acknowledged, and closed at the end."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, time
from typing import Generic, TypeVar, final

from returns.result import Failure, Result, Success

from ipcfold.core.functions import Handlers
from ipcfold.core.server import ServerCore
from ipcfold.errors import LogEnded, LogError, LogFailed, LogUnusable, ReplayInterrupted
from ipcfold.events import Ending
from ipcfold.limits import Limits
from ipcfold.log.journal import Journal, Log
from ipcfold.log.recorder import Recorder
from ipcfold.log.replay import recover
from ipcfold.log.snapshots import Snapshots
from ipcfold.result import cases

C = TypeVar("C")


@final
class UnloggedError(Exception):
    """The log failed, and it is not known whether it has the last burst. So the server ends at once."""


@final
class Logged(Generic[C]):
    """The log of one server."""

    __slots__ = ("_core", "_journal", "_log", "_recorder", "failure", "paid", "warnings")

    def __init__(self, log: Log, core: ServerCore[C]) -> None:
        self._log = log
        self._core = core
        self._journal: Journal | None = None
        self._recorder: Recorder[C] | None = None
        self.failure: LogFailed[C] | None = None
        """The failure of the log, if it has failed."""
        self.paid = 0.0
        """How many seconds the last commit took."""
        self.warnings: list[str] = []
        """What an operator should know."""

    def start(
        self, handlers: Handlers[C], snapshots: Snapshots[C] | None, limits: Limits, ends: Callable[[], bool]
    ) -> Result[int, LogEnded[C]]:
        """Fold what is in the log. Returns the largest number of a connection in it. `ends`: whether to give up."""
        try:
            match cases(self._log.open()):
                case Failure(error):
                    return Failure(LogFailed(self._core.fold.carry, error))
                case Success(journal):
                    self._journal = journal
            return self._recovered(journal, handlers, snapshots, limits, ends)
        except KeyboardInterrupt:
            return Failure(ReplayInterrupted(self._log.place, 0))

    def _recovered(
        self, journal: Journal, handlers: Handlers[C], snapshots: Snapshots[C] | None, limits: Limits, ends: Callable[[], bool]
    ) -> Result[int, LogEnded[C]]:
        core, log = self._core, self._log
        found = recover(log.place, journal, core.fold.carry, handlers, snapshots, limits, adopts=log.adopts, ends=ends)
        match cases(found):
            case Failure(error):
                return Failure(error)
            case Success(recovered):
                core.fold.restore(recovered.carry, recovered.state)
        self.warnings += recovered.warnings
        recorder = self._recorder = Recorder(journal, core.fold, snapshots, recovered, self.warnings.append)
        core.log(recorder.record, monotonic())
        recorder.begin(max(time(), recovered.state.time), adopted=recovered.adopted)
        refused = recorder.commit()
        if refused is not None:
            return Failure(LogFailed(recovered.carry, refused))
        return Success(recovered.state.most)

    def commit(self) -> None:
        """Make durable what was folded. Raises an `UnloggedError` if nobody knows whether it is."""
        recorder = self._recorder
        if recorder is None or self.failure is not None:
            return
        if recorder.pending:
            since = monotonic()
            refused = recorder.commit()
            self.paid = monotonic() - since
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
            self._core.unlogged(recorder.failure.carry, monotonic())
        if isinstance(error, LogUnusable):
            raise UnloggedError(str(error))

    def end(self, ending: Ending) -> None:
        """Note the end of the server."""
        recorder = self._recorder
        if recorder is not None and self.failure is None and recorder.end(time(), ending) is not None:
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
