"""Connects to a server, and finds out whether one is there."""

from __future__ import annotations

import errno
import os
import socket
import struct
from pathlib import Path
from time import monotonic
from typing import Final
from weakref import WeakSet

from returns.result import Failure, Result, Success

from ipcfold.accelerator import accelerate
from ipcfold.blocking.client import Process, forked_before
from ipcfold.blocking.driver import Driver
from ipcfold.core.verbs import Verbs
from ipcfold.errors import ConnectError, PeerUntrusted, ProtocolBroken, TimedOut
from ipcfold.limits import Limits
from ipcfold.local.credentials import peer_of, trusted
from ipcfold.local.directory import reachable
from ipcfold.local.names import Probe, loss
from ipcfold.local.reaching import stream_for, unreached
from ipcfold.local.stream import LONGEST_SLEEP, shut
from ipcfold.peer import Name, Peer, Trust
from ipcfold.result import cases

_connecting: Final[WeakSet[socket.socket]] = WeakSet()
"""The sockets of this process, from before a connection has its `Process`."""


@accelerate("connect")
def connected(name: Name, path: Path, *, heartbeat: float, limits: Limits, trust: Trust, timeout: float) -> Result[Process, ConnectError]:
    """A connection to the server at this path that has greeted within `timeout` seconds."""
    deadline, owner = monotonic() + timeout, os.getpid()
    match cases(stream_for(name, path)):
        case Failure(unmade):
            return Failure(unmade)
        case Success(made):
            stream = made
    _connecting.add(stream)
    try:
        # The kernel keeps these timeouts, so that reads need no extra system call. The first limits how long connecting
        # may block while the backlog is full, the second how long a read may block before a heartbeat is due.
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(timeout))
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(heartbeat))
        stream.settimeout(None)  # socket.setdefaulttimeout has no effect on these sockets
        with reachable(path) as address:
            stream.connect(address)
        stream.getpeername()  # this fails if a signal interrupted connect, which then seems to have succeeded
        peer = peer_of(stream, 0)
    except OSError as error:
        shut(stream)
        if isinstance(error, BlockingIOError) or error.errno == errno.ENOTCONN:
            return Failure(TimedOut(name, timeout, "a place in the backlog of"))
        return Failure(unreached(name, path, error))
    accepted = trusted(trust, peer)
    if os.getpid() != owner:  # the predicate is the user's code
        shut(stream)
        return forked_before(path)
    if not accepted:
        shut(stream)
        return Failure(PeerUntrusted(name, peer))
    return process_of(name, path, peer, Driver(stream, heartbeat, limits), limits).greeted(path, timeout, deadline)


def process_of(name: Name, path: Path, peer: Peer, driver: Driver, limits: Limits) -> Process:
    """A connection to the server at this path, which has not greeted yet."""
    connection = driver.connection
    return Process(name, path, peer, driver, Verbs(name, connection, limits, lambda: loss(name, path, peer, connection.largest)))


def _timeval(seconds: float) -> bytes:
    """A `struct timeval`, at least one microsecond, because zero means no limit."""
    microseconds = max(1, round(min(seconds, LONGEST_SLEEP) * 1e6))
    return struct.pack("@ll", microseconds // 1_000_000, microseconds % 1_000_000)


def probe(heartbeat: float, limits: Limits, trust: Trust) -> Probe:
    """Connects to a server and closes in good order. A server without a lock file might not survive a client that does not close."""

    def server(name: Name, path: Path, timeout: float) -> Result[Peer, ConnectError]:
        met = list[Peer]()

        def trusts(peer: Peer) -> bool:
            met.append(peer)
            return trust(peer)

        reached = connected(name, path, heartbeat=heartbeat, limits=limits, trust=trusts, timeout=timeout)
        match cases(reached):
            case Success(process):
                process.close()
                return Success(process.peer)
            case Failure(TimedOut() | ProtocolBroken()) if met:  # its socket has accepted, so it is there, but busy or of another kind
                return Success(met[0])
            case Failure(error):
                return Failure(error)

    return server


def _abandon() -> None:
    """Close a forked child's copies, as `client` does with those of connections."""
    for stream in list(_connecting):
        shut(stream)


os.register_at_fork(after_in_child=_abandon)
