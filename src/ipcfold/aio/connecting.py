"""Connects to a server without blocking the loop."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Final

from returns.result import Failure, Result, Success

from ipcfold.aio.channel import Channel
from ipcfold.aio.client import Process
from ipcfold.core.verbs import Verbs
from ipcfold.errors import ConnectError, NoServer, PeerUntrusted, SystemFailure, TimedOut
from ipcfold.limits import Limits
from ipcfold.local.clock import SYSTEM, Clock
from ipcfold.local.credentials import peer_of, trusted
from ipcfold.local.directory import reachable
from ipcfold.local.names import loss
from ipcfold.local.reaching import stream_for, unreached
from ipcfold.local.stream import shut
from ipcfold.peer import Name, Peer, Trust
from ipcfold.result import cases

_PAUSE: Final = 0.001  # seconds between two attempts to connect while the backlog is full, of which the kernel tells nothing
_LONGEST_PAUSE: Final = 0.032  # seconds; the same, while it stays full


async def connected(
    name: Name, path: Path, *, heartbeat: float, limits: Limits, trust: Trust, timeout: float, clock: Clock = SYSTEM
) -> Result[Process, ConnectError]:
    """A connection to the server at this path that has greeted within `timeout` seconds. A task that is cancelled leaves nothing of it."""
    deadline = clock.monotonic() + timeout
    match cases(stream_for(name, path)):
        case Failure(unmade):
            return Failure(unmade)
        case Success(made):
            stream = made
    channel: Channel | None = None
    greeted = False
    try:
        stream.setblocking(False)
        match cases(await _reached(stream, name, path, timeout, deadline, clock)):
            case Failure(missed):
                return Failure(missed)
            case Success(peer) if not trusted(trust, peer):
                return Failure(PeerUntrusted(name, peer))
            case Success(peer):
                pass
        channel = Channel(asyncio.get_running_loop(), stream, heartbeat, limits, clock)
        connection = channel.connection
        verbs = Verbs(name, connection, limits, lambda: loss(name, path, peer, connection.largest))
        match cases(await channel.run(verbs.greet(timeout, deadline))):
            case Success():
                greeted = True
                return Success(Process(name, path, peer, channel, verbs))
            case Failure(ungreeted):
                return Failure(ungreeted)
    finally:
        if channel is None:
            shut(stream)
        elif not greeted:
            channel.drop()


async def _reached(
    stream: socket.socket, name: Name, path: Path, timeout: float, deadline: float, clock: Clock
) -> Result[Peer, NoServer | TimedOut | SystemFailure]:
    """Connect, and return the server's peer credentials.

    A full backlog is no failure: the kernel asks to try again later, and tells nothing of when.
    """
    pause = _PAUSE
    while True:
        try:
            with reachable(path) as address:
                stream.connect(address)
            stream.getpeername()  # this fails if the socket is not connected
            return Success(peer_of(stream, 0))
        except BlockingIOError:
            left = deadline - clock.monotonic()
            if left <= 0:
                return Failure(TimedOut(name, timeout, "a place in the backlog of"))
        except OSError as error:
            return Failure(unreached(name, path, error))
        await asyncio.sleep(min(pause, left))
        pause = min(2 * pause, _LONGEST_PAUSE)
