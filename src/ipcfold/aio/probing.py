"""Makes the probes of a search for servers, without blocking the loop."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from returns.result import Failure, Result, Success

from ipcfold.aio.connecting import connected
from ipcfold.errors import ConnectError, ProtocolBroken, TimedOut
from ipcfold.limits import Limits
from ipcfold.local.names import Probed, Search
from ipcfold.peer import Peer, Trust
from ipcfold.result import cases

T = TypeVar("T")


async def found(search: Search[T], *, heartbeat: float, limits: Limits, trust: Trust) -> T:
    """The result of a search."""
    try:
        wanted = next(search)
        while True:
            if wanted.pause:
                await asyncio.sleep(wanted.pause)
            wanted = search.send(await _probed(wanted, heartbeat, limits, trust))
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        search.close()


async def _probed(wanted: Probed, heartbeat: float, limits: Limits, trust: Trust) -> Result[Peer, ConnectError]:
    """Connect to a server, and close in good order. A server without a lock file might not survive a client that does not close."""
    met = list[Peer]()

    def trusts(peer: Peer) -> bool:
        met.append(peer)
        return trust(peer)

    reached = await connected(wanted.name, wanted.path, heartbeat=heartbeat, limits=limits, trust=trusts, timeout=wanted.timeout)
    match cases(reached):
        case Success(process):
            await process.close()
            return Success(process.peer)
        case Failure(TimedOut() | ProtocolBroken()) if met:  # its socket has accepted, so it is there, but busy or of another kind
            return Success(met[0])
        case Failure(error):
            return Failure(error)
