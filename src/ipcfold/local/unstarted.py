"""A server of any shell that has not started: how it takes its name, and makes its engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import attrs
from returns.curry import partial
from returns.pipeline import flow
from returns.result import Failure, Result, Success

from ipcfold.errors import DirectoryUnusable, NameTaken, NoServer, PathTooLong, PeerUntrusted, SystemFailure
from ipcfold.limits import Limits
from ipcfold.local.claim import Claim
from ipcfold.local.clock import SYSTEM, Clock
from ipcfold.local.credentials import same_user
from ipcfold.local.directory import prepared, socket_path
from ipcfold.local.names import Search, reached
from ipcfold.local.passed import passed
from ipcfold.local.patched import original
from ipcfold.peer import Name, Trust
from ipcfold.result import cases, flat_map

if TYPE_CHECKING:
    from ipcfold.events import Observer  # a tenth of the time to import this library, and few observe
    from ipcfold.local.engine import Engine

C = TypeVar("C")

_DYING: Final = 1.0  # seconds; the kernel drops the lock of a killed server a moment before it closes the socket


@attrs.frozen
class Unstarted:
    """A server that has not started."""

    name: Name
    timeout: float | None
    signals: tuple[int, ...]
    directory: Path | None
    heartbeat: float
    limits: Limits
    trust: Trust
    observe: Observer | None
    clock: Clock = SYSTEM

    @property
    def mode(self) -> int:
        """The mode of the socket."""
        return 0o600 if self.trust is same_user else 0o666

    def claim(self) -> Result[Claim, DirectoryUnusable | PathTooLong | NameTaken | SystemFailure]:
        """Claim the name, by its lock."""
        return flow(
            prepared(self.directory, self.trust),
            flat_map(partial(socket_path, self.name)),
            flat_map(partial(original, "listen at")),
            flat_map(partial(Claim.of, self.name)),
        )

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
        match cases((yield from reached(self.name, claim.path, self.limits.handshake, _DYING))):
            case Success(peer) | Failure(PeerUntrusted(peer=peer)):
                return Failure(NameTaken(self.name, claim.path, peer.pid))
            case Failure(NoServer()):
                return Success(claim)
            case Failure(SystemFailure() as failure):  # for example no descriptor is left, so nothing is known
                return Failure(failure)
            case Failure():  # a server is there but does not talk to this process: its name is not taken
                return Failure(NameTaken(self.name, claim.path, 0))

    def engine(self, carry: C, claim: Claim, *, left: bool, woken: bool) -> Result[Engine[C], SystemFailure]:
        """The engine of the server. `left`, `woken`: whether to ask for departures and alarms."""
        from ipcfold.local.ready import engine_of  # noqa: PLC0415 - clients never need it, and it imports much

        return engine_of(
            carry,
            claim,
            name=self.name,
            timeout=self.timeout,
            heartbeat=self.heartbeat,
            limits=self.limits,
            trust=self.trust,
            observe=self.observe,
            clock=self.clock,
            left=left,
            woken=woken,
        )
