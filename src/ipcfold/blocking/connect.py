"""Connects: opens a socket to the path, checks the peer credentials, and waits for the greeting."""

from __future__ import annotations

import errno
import socket
import struct
from pathlib import Path
from time import monotonic

from returns.result import Failure, Result

from ipcfold.blocking.client import Process
from ipcfold.blocking.driver import Driver
from ipcfold.errors import ConnectError, NoServer, PeerUntrusted, SystemFailure, TimedOut
from ipcfold.limits import Limits
from ipcfold.local.credentials import peer_of, trusted
from ipcfold.local.directory import reachable
from ipcfold.local.stream import LONGEST_SLEEP
from ipcfold.peer import Name, Trust


def connected(name: Name, path: Path, *, heartbeat: float, limits: Limits, trust: Trust, timeout: float) -> Result[Process, ConnectError]:
    """A connection to a server that has greeted within `timeout` seconds."""
    deadline = monotonic() + timeout
    try:
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    except OSError as error:
        return Failure(SystemFailure("make a socket for", path, error.strerror or str(error)))
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
    except (FileNotFoundError, ConnectionRefusedError):
        stream.close()
        return Failure(NoServer(name, path))
    except BlockingIOError:
        stream.close()
        return Failure(TimedOut(name, timeout, "a place in the backlog of"))
    except OSError as error:
        stream.close()
        if error.errno == errno.ENOTCONN:
            return Failure(TimedOut(name, timeout, "a place in the backlog of"))
        return Failure(SystemFailure("connect to", path, error.strerror or str(error)))
    if not trusted(trust, peer):
        stream.close()
        return Failure(PeerUntrusted(name, peer))
    return Process(name, peer, path, Driver(stream, heartbeat, limits), limits).greeted(deadline, timeout)


def _timeval(seconds: float) -> bytes:
    """A `struct timeval`, at least one microsecond, because zero means for ever."""
    microseconds = max(1, round(min(seconds, LONGEST_SLEEP) * 1e6))
    return struct.pack("@ll", microseconds // 1_000_000, microseconds % 1_000_000)
