"""A server of any shell that has not started: how it takes its name, and makes its engine."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import attrs
from returns.curry import partial
from returns.pipeline import flow
from returns.result import Failure, Result, Success

from ipcfold.errors import DirectoryUnusable, LogError, LogFailed, NameTaken, NoServer, PathTooLong, PeerUntrusted, SystemFailure
from ipcfold.local.claim import Claim
from ipcfold.local.clock import SYSTEM, Clock
from ipcfold.local.credentials import same_user
from ipcfold.local.directory import prepared, socket_path
from ipcfold.local.names import Search, reached
from ipcfold.local.passed import passed
from ipcfold.local.patched import original
from ipcfold.peer import Name
from ipcfold.result import cases, flat_map

if TYPE_CHECKING:
    from ipcfold.events import Observer  # a tenth of the time to import this library, and few observe
    from ipcfold.limits import Limits
    from ipcfold.local.engine import Engine
    from ipcfold.local.logged import Opening  # few servers have a log
    from ipcfold.local.standby import Standby  # few servers stand by
    from ipcfold.log.journal import Log
    from ipcfold.log.snapshots import Snapshots
    from ipcfold.peer import Trust

    class Settings(Protocol):
        """The settings that an `IPC` of any shell has."""

        @property
        def directory(self) -> Path | None: ...
        @property
        def heartbeat(self) -> float: ...
        @property
        def limits(self) -> Limits: ...
        @property
        def trust(self) -> Trust: ...
        @property
        def observe(self) -> Observer | None: ...


C = TypeVar("C")

_DYING: Final = 1.0  # seconds; the kernel drops the lock of a killed server a moment before it closes the socket


@attrs.frozen
class Unstarted:
    """A server that has not started."""

    settings: Settings
    name: Name
    timeout: float | None
    signals: tuple[int, ...]
    log: Log | Result[Log, LogError] | None
    standby: bool
    clock: Clock = SYSTEM

    @property
    def mode(self) -> int:
        """The mode of the socket."""
        return 0o600 if self.settings.trust is same_user else 0o666

    def opening(self, carry: C, snapshots: Snapshots[C] | None, *, left: bool, woken: bool) -> Result[Opening[C] | None, LogFailed[C]]:
        """What to do with the log, if there is one. `left`, `woken`: whether the server has functions for departures and alarms."""
        if self.log is None:
            return Success(None)
        from ipcfold.local.logged import opening  # noqa: PLC0415 - few servers have a log

        return flow(opening(self.log, carry, snapshots, self.settings.limits, left=left, woken=woken), flat_map(Success))

    def path(self) -> Result[Path, DirectoryUnusable | PathTooLong | SystemFailure]:
        """The path of the socket."""
        return flow(
            prepared(self.settings.directory, self.settings.trust),
            flat_map(partial(socket_path, self.name)),
            flat_map(partial(original, "listen at")),
        )

    def stand_by(self, path: Path, opening: Opening[C] | None, shell: str) -> Result[Standby[C], SystemFailure]:
        """What waits until the name is free, for a server with this log, if it has one. `shell`: the module that then serves."""
        try:
            for needed in ("ipcfold.local.ready", shell):  # the time to import them is not to pass when the name is free
                import_module(needed)
            from ipcfold.local.standby import Standby  # noqa: PLC0415 - few servers stand by

            return Success(Standby(self.name, path, opening))
        except OSError as error:
            return Failure(SystemFailure("stand by for", path, error.strerror or str(error)))

    def free(self, claim: Claim) -> Search[Result[Claim, NameTaken | SystemFailure]]:
        """Find out whether the name is free: the claim, unless a server that uses no lock file listens at the path.

        If a service manager passed the socket, the claim takes it.
        """
        match cases(passed(self.name, claim.path)):
            case Success(socket):
                if socket is not None:
                    return Success(claim.adopt(socket))
            case Failure(error):
                return Failure(error)
        match cases((yield from reached(self.name, claim.path, self.settings.limits.handshake, _DYING))):
            case Success(peer) | Failure(PeerUntrusted(peer=peer)):
                return Failure(NameTaken(self.name, claim.path, peer.pid))
            case Failure(NoServer()):
                return Success(claim)
            case Failure(SystemFailure() as failure):  # for example no descriptor is left, so nothing is known
                return Failure(failure)
            case Failure():  # a server is there but does not talk to this process: its name is not taken
                return Failure(NameTaken(self.name, claim.path, 0))

    def engine(self, carry: C, claim: Claim, opening: Opening[C] | None, *, left: bool, woken: bool) -> Result[Engine[C], SystemFailure]:
        """The engine of the server, with this log, if it has one. `left`, `woken`: whether to ask for departures and alarms."""
        from ipcfold.local.ready import engine_of  # noqa: PLC0415 - clients never need it, and it imports much

        return engine_of(
            carry,
            claim,
            name=self.name,
            timeout=self.timeout,
            heartbeat=self.settings.heartbeat,
            limits=self.settings.limits,
            trust=self.settings.trust,
            observe=self.settings.observe,
            clock=self.clock,
            left=left,
            woken=woken,
            opening=opening,
        )
