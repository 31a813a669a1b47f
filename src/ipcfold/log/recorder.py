"""Writes what a server folds to its log, in bursts, and takes snapshots."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, final

from returns.result import Failure, Success

from ipcfold.continuation import Continuation
from ipcfold.core.fold import Fold
from ipcfold.errors import LogError, LogFailed
from ipcfold.events import Ending
from ipcfold.inputs import Left, Woken
from ipcfold.log.entry import Adopted, Began, Ended, Entry, Snapshot, encode, encode_snapshot, folded
from ipcfold.log.journal import Journal
from ipcfold.log.recovery import Recovered
from ipcfold.log.snapshots import History, Snapshots
from ipcfold.message import Message
from ipcfold.result import cases

C = TypeVar("C")


@final
class Recorder(Generic[C]):
    """Writes what a fold folds to a log."""

    __slots__ = ("_append", "_carry", "_fold", "_journal", "_kept", "_last", "_replayed", "_snapshots", "_warn", "failure", "pending")

    def __init__(
        self,
        journal: Journal,
        fold: Fold[C, Any],  # Any: of whatever form its responses have
        snapshots: Snapshots[C] | None,
        recovered: Recovered[C],
        warn: Callable[[str], object] = lambda _: None,
    ) -> None:
        """`warn` gets a sentence for the operator."""
        self._journal = journal
        self._append = journal.append
        self._fold = fold
        self._snapshots = snapshots
        self._warn = warn
        self._replayed = recovered.began, recovered.digest
        self._carry = recovered.carry  # the last one that is in the log
        self._kept = recovered.kept  # the entries before the last snapshot, if there is one
        self._last = recovered.kept or 0  # the same for the last attempt
        self.pending = False
        """Whether something is not committed."""
        self.failure: LogFailed[C] | None = None
        """The failure of the log, if it has failed."""

    def begin(self, now: float, *, adopted: bool) -> None:
        """Note that a server starts, at that time in seconds since the epoch; `adopted`: with a handler that answers differently."""
        if self._journal.count == 0:
            self.snapshot()  # a later server begins with this carry, whatever it is given
        if adopted:
            since, of_answers = self._replayed
            self._note(Adopted(now, since), of_answers)
        self._fold.start(now)
        self._note(Began(now))

    def record(self, what: Message | Left | Woken, given: Continuation[C], answer: Continuation[C]) -> None:
        """Add an input and its answer."""
        self.pending = True  # first, because the memory may not suffice, or code of the program may raise
        self._append(folded(what, given, answer))

    def extend(self, data: bytes, count: int) -> None:
        """Add so many records, each after its size."""
        self.pending = True
        self._journal.extend(data, count)

    def _note(self, what: Adopted | Began | Ended, of_answers: int = 0) -> None:
        self.pending = True
        self._append(encode(Entry(what, 0, of_answers)))

    def commit(self) -> LogError | None:
        """Make everything durable that was recorded. Returns the failure, if there is one; then the fold is to end with `failure`."""
        if self.failure is not None:
            return self.failure.reason
        if not self.pending:
            return None
        carry = self._fold.carry
        match cases(self._journal.commit()):
            case Success():
                self.pending, self._carry = False, carry
                return None
            case Failure(error):
                self.failure = LogFailed(self._carry, error)
                return error

    @property
    def due(self) -> bool:
        """Whether to take a snapshot, now that everything is committed."""
        snapshots = self._snapshots
        return snapshots is not None and self._journal.count - self._last >= snapshots.every

    def snapshot(self) -> LogError | None:
        """Keep the carry, if everything is committed. Returns the failure of the log, if there is one."""
        snapshots, state = self._snapshots, self._fold.state
        if snapshots is None or state is None or self.pending or self.failure is not None:
            return None
        match cases(snapshots.encode(self._fold.carry)):
            case Failure(reason):
                self._last = self._journal.count  # it is tried again after as many entries
                self._warn(f"the carry does not encode, so the log gets no snapshot of it: {reason}")
                return None
            case Success(message):
                record = encode_snapshot(Snapshot(self._journal.count, message, state))
        keep = self._kept or 0 if snapshots.history is History.DROPPED else 0
        match cases(self._journal.snapshot(self._journal.count, record, keep)):
            case Failure(error):
                self.failure = LogFailed(self._carry, error)
                return error
            case Success():
                self._kept = self._last = self._journal.count
                return None

    def end(self, now: float, ending: Ending) -> LogError | None:
        """Note that the server ends, at that time in seconds since the epoch."""
        if self.failure is not None:
            return None
        self._note(Ended(now, ending))
        # After a failure of other code, the log may have an entry more than the carry.
        return self.commit() or (None if ending is Ending.BROKEN else self.snapshot())
