"""A server that has not started: it takes the name, and then serves in the event loop."""

from __future__ import annotations

from typing import TypeVar, final

import attrs
from returns.result import Failure, Result, Success

from ipcfold.aio.functions import Functions, Handler, Leaving, Waking
from ipcfold.aio.probing import found
from ipcfold.errors import HandlerFailed, ListenError, SystemFailure, UsedAfterFork
from ipcfold.local.claim import Claim
from ipcfold.local.release import surely
from ipcfold.local.unstarted import Unstarted
from ipcfold.result import cases

C = TypeVar("C")


@final
@attrs.frozen
class Server(Unstarted):
    """A server that has not started. Calling it with the first carry and the handler, and awaiting that, serves until the server ends."""

    async def __call__(
        self, carry: C, handler: Handler[C], left: Leaving[C] | None = None, woken: Waking[C] | None = None
    ) -> Result[C, ListenError[C]]:
        """Fold the handler over every message; returns the last carry, or the error. `left` and `woken` are as for `ipcfold.Server`.

        Each of the functions may be a plain one or an `async def`. One message is folded at a time. While a handler is awaited, the server
        goes on reading, writing, accepting and sending heartbeats. A plain function that blocks holds up the whole loop.

        When the task is cancelled, the server ends in good order, as after a signal. It then returns its carry, and the cancellation is
        over. An `async def` handler that is awaited at that moment is cancelled: its message is not folded, and not acknowledged.
        """
        functions = Functions(handler, left, woken)
        match cases(self.claim()):
            case Success(claim):
                return await self._claimed(carry, functions, claim)
            case Failure(error):
                return Failure(error)

    async def _claimed(self, carry: C, functions: Functions[C], claim: Claim) -> Result[C, ListenError[C]]:
        try:
            free = await found(self.free(claim), heartbeat=self.heartbeat, limits=self.limits, trust=self.trust)
            match cases(free):
                case Success(own):
                    return await self._run(carry, functions, own)
                case Failure(error):
                    return Failure(error)
        finally:
            surely(claim.release)

    async def _run(self, carry: C, functions: Functions[C], claim: Claim) -> Result[C, HandlerFailed[C] | UsedAfterFork | SystemFailure]:
        from ipcfold.aio.serving import Serving  # noqa: PLC0415 - clients never need it

        match cases(self.engine(carry, claim, left=functions.left is not None, woken=functions.woken is not None)):
            case Success(engine):
                return await Serving(self.name, claim, engine, functions).serve(self.signals, self.mode, self.heartbeat)
            case Failure(error):
                return Failure(error)
