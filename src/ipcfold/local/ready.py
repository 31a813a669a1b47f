"""Makes the engine of a server, for every shell."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from returns.result import Failure, Result, Success

from ipcfold.core.server import ServerCore
from ipcfold.errors import SystemFailure
from ipcfold.limits import Limits
from ipcfold.local.claim import Claim
from ipcfold.local.clock import Clock
from ipcfold.local.credentials import own_user
from ipcfold.local.engine import Engine
from ipcfold.local.log import Log
from ipcfold.local.memory import KEPT
from ipcfold.peer import Name, Trust

if TYPE_CHECKING:
    from ipcfold.events import Observer  # few observe
    from ipcfold.local.logged import Opening  # few servers have a log

C = TypeVar("C")


def engine_of(
    carry: C,
    claim: Claim,
    *,
    name: Name,
    timeout: float | None,
    heartbeat: float,
    limits: Limits,
    trust: Trust,
    observe: Observer | None,
    clock: Clock,
    left: bool,
    woken: bool,
    opening: Opening[C] | None = None,
) -> Result[Engine[C], SystemFailure]:
    """The engine of a server that has claimed its name; `opening`: its log, if it has one. `left`, `woken`: see `ServerCore`."""
    core = ServerCore(
        carry,
        name=name,
        heartbeat=heartbeat,
        limits=limits,
        timeout=timeout,
        now=clock.monotonic(),
        user=own_user(),
        observed=observe is not None,
        left=left,
        woken=woken,
        memory=KEPT,
    )
    try:
        engine = Engine(core, claim, trust, Log(name), observe, clock)
        if opening is not None:
            from ipcfold.local.logged import Logged  # noqa: PLC0415 - few servers have a log

            engine.logged = Logged(opening, core, clock)
        return Success(engine)
    except OSError as error:
        return Failure(SystemFailure("serve at", claim.path, error.strerror or str(error)))
