"""A server that has not started: it takes the name, and then serves in the event loop."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar, final

import attrs
from returns.curry import partial
from returns.pipeline import flow
from returns.result import Failure, Result, Success

from ipcfold.aio.functions import Functions, Handler, Leaving, Waking
from ipcfold.aio.probing import found
from ipcfold.aio.waiting import driven
from ipcfold.errors import (
    HandlerFailed,
    ListenError,
    LogEnded,
    LogError,
    LogFailed,
    NameTaken,
    NoServer,
    PeerUntrusted,
    SystemFailure,
    UsedAfterFork,
)
from ipcfold.limits import Limits
from ipcfold.local.claim import Claim
from ipcfold.local.credentials import same_user
from ipcfold.local.directory import prepared, socket_path
from ipcfold.local.names import reached
from ipcfold.local.passed import passed
from ipcfold.local.patched import original
from ipcfold.local.release import surely
from ipcfold.peer import Name, Trust
from ipcfold.result import cases, flat_map

if TYPE_CHECKING:
    from ipcfold.events import Observer  # a tenth of the time to import this library, and few observe
    from ipcfold.local.logged import Opening  # few servers have a log
    from ipcfold.log.journal import Log
    from ipcfold.log.snapshots import Snapshots

C = TypeVar("C")

_DYING: Final = 1.0  # seconds; the kernel drops the lock of a killed server a moment before it closes the socket


@final
@attrs.frozen
class Server:
    """A server that has not started. Calling it with the first carry and the handler, and awaiting that, serves until the server ends."""

    name: Name
    timeout: float | None
    signals: tuple[int, ...]
    directory: Path | None
    heartbeat: float
    limits: Limits
    trust: Trust
    observe: Observer | None
    log: Log | Result[Log, LogError] | None = None
    standby: bool = False

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
        match cases(self._opening(carry, functions, snapshots)):
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
        placed = flow(
            prepared(self.directory, self.trust),
            flat_map(partial(socket_path, self.name)),
            flat_map(partial(original, "listen at")),
        )
        match cases(placed):
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

    def _opening(self, carry: C, functions: Functions[C], snapshots: Snapshots[C] | None) -> Result[Opening[C] | None, LogFailed[C]]:
        """What to do with the log, if there is one."""
        if self.log is None:
            return Success(None)
        from ipcfold.local.logged import opening  # noqa: PLC0415 - few servers have a log

        left, woken = functions.left is not None, functions.woken is not None
        return flow(opening(self.log, carry, snapshots, self.limits, left=left, woken=woken), flat_map(Success))

    async def _stood_by(
        self, functions: Functions[C], opening: Opening[C] | None, path: Path
    ) -> Result[Claim, NameTaken | SystemFailure | LogEnded[C]]:
        """The name, once it is free."""
        try:
            from ipcfold.aio.serving import handled  # noqa: PLC0415 - clients never need it
            from ipcfold.local import ready  # noqa: F401, PLC0415 - the time to import it is not to pass when the name is free
            from ipcfold.local.standby import Standby  # noqa: PLC0415 - few servers stand by

            standby = Standby(self.name, path, opening)
        except OSError as error:
            return Failure(SystemFailure("stand by for", path, error.strerror or str(error)))
        try:
            with handled(asyncio.get_running_loop(), self.signals, standby.end):
                return await driven(standby.steps(), functions, standby.end, standby.wakeup)
        finally:
            standby.wakeup.close()

    async def _claimed(self, carry: C, functions: Functions[C], opening: Opening[C] | None, claim: Claim) -> Result[C, ListenError[C]]:
        try:
            match cases(await self._free(claim)):
                case Success(own):
                    return await self._run(carry, functions, opening, own)
                case Failure(error):
                    return Failure(error)
        finally:
            surely(claim.release)

    async def _free(self, claim: Claim) -> Result[Claim, NameTaken | SystemFailure]:
        """The claim, with the socket that a service manager passed for it, if there is one."""
        match cases(passed(self.name, claim.path)):
            case Success(socket):
                return await self._unshared(claim) if socket is None else Success(claim.adopt(socket))
            case Failure(error):
                return Failure(error)

    async def _unshared(self, claim: Claim) -> Result[Claim, NameTaken | SystemFailure]:
        """The claim, unless a server that uses no lock file listens at the path."""
        search = reached(self.name, claim.path, self.limits.handshake, _DYING)
        match cases(await found(search, heartbeat=self.heartbeat, limits=self.limits, trust=self.trust)):
            case Success(peer) | Failure(PeerUntrusted(peer=peer)):
                return Failure(NameTaken(self.name, claim.path, peer.pid))
            case Failure(NoServer()):
                return Success(claim)
            case Failure(SystemFailure() as error):  # for example no descriptor is left, so nothing is known
                return Failure(error)
            case Failure():  # a server is there but does not talk to this process: its name is not taken
                return Failure(NameTaken(self.name, claim.path, 0))

    async def _run(
        self, carry: C, functions: Functions[C], opening: Opening[C] | None, claim: Claim
    ) -> Result[C, HandlerFailed[C] | UsedAfterFork | SystemFailure | LogEnded[C]]:
        # Clients never need these modules.
        from ipcfold.aio.serving import Serving  # noqa: PLC0415 - clients never need it
        from ipcfold.local.ready import engine_of  # noqa: PLC0415 - clients never need it

        ready = engine_of(
            carry,
            claim,
            name=self.name,
            timeout=self.timeout,
            heartbeat=self.heartbeat,
            limits=self.limits,
            trust=self.trust,
            observe=self.observe,
            left=functions.left is not None,
            woken=functions.woken is not None,
            opening=opening,
        )
        match cases(ready):
            case Success(engine):
                mode = 0o600 if self.trust is same_user else 0o666
                return await Serving(self.name, claim, engine, functions).serve(self.signals, mode, self.heartbeat)
            case Failure(error):
                return Failure(error)
