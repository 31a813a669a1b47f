"""A server that stands by: it follows the log of the one that serves, and takes the name as soon as that is free."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Final, Generic, TypeVar, final

from returns.maybe import Nothing
from returns.result import Failure, Result, Success

from ipcfold.continuation import Continuation
from ipcfold.core.fold import Ask
from ipcfold.core.functions import driven
from ipcfold.errors import LogEnded, ReplayInterrupted, SystemFailure
from ipcfold.local.claim import Claim, holder_of
from ipcfold.local.duty import Duty
from ipcfold.local.logged import Opening, Rest, Starting
from ipcfold.local.signals import Handled, Wakeup
from ipcfold.peer import Name
from ipcfold.result import cases

C = TypeVar("C")

_PERIOD: Final = 0.02  # seconds between two looks at the log, and at a name that is given up by a process that lives on


@final
class Standby(Generic[C]):
    """Waits for a name."""

    def __init__(self, name: Name, path: Path, opening: Opening[C] | None) -> None:
        """`path` is that of the socket. Raises `OSError` if the system has no descriptors left."""
        self._name = name
        self._path = path
        self._opening = opening
        self._ended = False
        self.wakeup: Final = Wakeup()
        """What ends a rest."""
        self.duty: Duty | None = None
        """What to do from time to time beside waiting."""

    @property
    def accepting(self) -> bool | None:
        """Nothing while it waits; see `Ending`."""
        return False if self._ended else None

    def end(self) -> None:
        """Wait no longer; any thread may call this."""
        self._ended = True
        self.wakeup.call()

    def claim(self, signals: tuple[int, ...], handler: Callable[[Ask[C]], Continuation[C]]) -> Result[Claim, SystemFailure | LogEnded[C]]:
        """The name, once it is free. One of these signals ends the wait."""
        try:
            with Handled(signals, self.end, self.end, self.wakeup):
                claimed = driven(self.steps(), lambda step: self._rest(step) if isinstance(step, Rest) else handler(step))
        finally:
            self.wakeup.close()
        if self._ended and isinstance(claimed, Success):  # when it had just taken the name
            claimed.unwrap().release()
            return Failure(self._interrupted)
        return claimed

    @property
    def _interrupted(self) -> ReplayInterrupted:
        opening = self._opening
        return ReplayInterrupted("", 0) if opening is None else ReplayInterrupted(opening.log.place, opening.recovery.at)

    def steps(self) -> Starting[C, Result[Claim, SystemFailure | LogEnded[C]]]:
        """How to get the name, once it is free."""
        opening = self._opening
        if opening is not None:
            opening.recovery.ends = lambda: self._ended
        return (yield from self._claimed(opening))

    def _claimed(self, opening: Opening[C] | None) -> Starting[C, Result[Claim, SystemFailure | LogEnded[C]]]:
        while True:
            refused = None if opening is None else (yield from self._followed(opening))
            holder = holder_of(self._path)
            if refused is not None:
                return Failure(refused)
            if self._ended:
                return Failure(self._interrupted)
            if holder is Nothing:
                match cases(Claim.of(self._name, self._path)):
                    case Success(claim):
                        return Success(claim)
                    case Failure(error):
                        if isinstance(error, SystemFailure):
                            return Failure(error)
                        continue  # another one was quicker
            yield Rest(_PERIOD, holder.value_or(0))
            if self.duty is not None and self.duty.deadline <= (now := monotonic()) and self.duty.tick(now):
                self.end()

    def _followed(self, opening: Opening[C]) -> Starting[C, LogEnded[C] | None]:
        """Fold what the server that serves has committed."""
        recovery = opening.recovery
        if recovery.reader is None:
            recovery.reader = opening.log.read().value_or(None)
        # While there is no log, nothing is wrong. What is wrong with it shows when this server opens it.
        return None if recovery.reader is None else (yield from recovery.follow(recovery.reader))

    def _rest(self, rest: Rest) -> None:
        """Rest, until `end` is called."""
        poll = select.poll()
        poll.register(self.wakeup.stream, select.POLLIN)
        with ending(rest.pid) as descriptor:
            if descriptor is not None:
                poll.register(descriptor, select.POLLIN)
            poll.poll(rest.seconds * 1000)
        self.wakeup.read()  # also of signals that are not for this server, which would end each later rest at once


@contextmanager
def ending(pid: int) -> Iterator[int | None]:
    """A descriptor that is readable once the process has ended, where the system has one."""
    descriptor = None
    if pid not in (0, os.getpid()) and hasattr(os, "pidfd_open"):
        with suppress(OSError):
            descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)
