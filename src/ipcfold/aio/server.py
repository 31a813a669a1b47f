"""A server that has not started: it takes the name, and then serves in the event loop."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, final

import attrs
from returns.pipeline import flow
from returns.result import Failure, Result, Success

from ipcfold.aio.functions import Functions, Handler, Leaving, Waking
from ipcfold.aio.probing import found
from ipcfold.aio.waiting import driven
from ipcfold.errors import HandlerFailed, ListenError, LogEnded, NameTaken, SystemFailure, UsedAfterFork
from ipcfold.local.claim import Claim
from ipcfold.local.release import surely
from ipcfold.local.unstarted import Unstarted
from ipcfold.result import cases, flat_map

if TYPE_CHECKING:
    from ipcfold.local.logged import Opening  # few servers have a log
    from ipcfold.log.snapshots import Snapshots

C = TypeVar("C")


@final
@attrs.frozen
class Server(Unstarted):
    """A server that has not started. Calling it with the first carry and the handler, and awaiting that, serves until the server ends."""

    async def __call__(
        self,
        carry: C,
        handler: Handler[C],
        left: Leaving[C] | None = None,
        woken: Waking[C] | None = None,
        *,
        snapshots: Snapshots[C] | None = None,
    ) -> Result[C, ListenError[C]]:
        """Fold the handler over every message; returns the last carry, or the error. The other arguments are as for `ipcfold.Server`.

        Each of the functions may be a plain one or an `async def`. One message is folded at a time. While a handler is awaited, the server
        goes on reading, writing, accepting and sending heartbeats. A plain function that blocks holds up the whole loop.

        When the task is cancelled, the server ends in good order, as after a signal. It then returns its carry, and the cancellation is
        over. An `async def` handler that is awaited at that moment is cancelled: its message is not folded, and not acknowledged.
        """
        functions = Functions(handler, left, woken)
        match cases(self.opening(carry, snapshots, left=left is not None, woken=woken is not None)):
            case Success(opening):
                pass
            case Failure(unusable):
                return Failure(unusable)
        try:
            return await self._placed(carry, functions, opening)
        finally:
            if opening is not None:
                opening.recovery.leave()

    async def _placed(self, carry: C, functions: Functions[C], opening: Opening[C] | None) -> Result[C, ListenError[C]]:
        match cases(self.path()):
            case Success(path):
                claimed = (
                    await self._stood_by(functions, opening, path) if self.standby else flow(Claim.of(self.name, path), flat_map(Success))
                )
            case Failure(unplaced):
                return Failure(unplaced)
        match cases(claimed):
            case Success(claim):
                return await self._claimed(carry, functions, opening, claim)
            case Failure(error):
                return Failure(error)

    async def _stood_by(
        self, functions: Functions[C], opening: Opening[C] | None, path: Path
    ) -> Result[Claim, NameTaken | SystemFailure | LogEnded[C]]:
        """The name, once it is free."""
        match cases(self.stand_by(path, opening, "ipcfold.aio.serving")):
            case Success(standby):
                pass
            case Failure(error):
                return Failure(error)
        from ipcfold.aio.signals import handled  # noqa: PLC0415 - clients never need it

        try:
            with handled(asyncio.get_running_loop(), self.signals, standby.end):
                return await driven(standby.steps(), functions, standby.end, standby.wakeup)
        finally:
            standby.wakeup.close()

    async def _claimed(self, carry: C, functions: Functions[C], opening: Opening[C] | None, claim: Claim) -> Result[C, ListenError[C]]:
        try:
            free = await found(self.free(claim), heartbeat=self.settings.heartbeat, limits=self.settings.limits, trust=self.settings.trust)
            match cases(free):
                case Success(own):
                    return await self._run(carry, functions, opening, own)
                case Failure(error):
                    return Failure(error)
        finally:
            surely(claim.release)

    async def _run(
        self, carry: C, functions: Functions[C], opening: Opening[C] | None, claim: Claim
    ) -> Result[C, HandlerFailed[C] | UsedAfterFork | SystemFailure | LogEnded[C]]:
        from ipcfold.aio.serving import Serving  # noqa: PLC0415 - clients never need it

        match cases(self.engine(carry, claim, opening, left=functions.left is not None, woken=functions.woken is not None)):
            case Success(engine):
                return await Serving(self.name, claim, engine, functions).serve(self.signals, self.mode, self.settings.heartbeat)
            case Failure(error):
                return Failure(error)
