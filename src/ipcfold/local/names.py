"""Finds the names that have a server: by the lock of each name, or else by connecting to its socket.

A socket that accepts a connection has a server, also if the server sends no greeting, as while its handler runs.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Generator
from pathlib import Path
from time import monotonic
from typing import Final, TypeAlias, TypeVar, final

import attrs
from returns.maybe import Maybe, Nothing, Some
from returns.result import Failure, Result, Success

from ipcfold.errors import (
    ConnectError,
    ConnectionDropped,
    ConnectionLost,
    ConnectionRefused,
    DirectoryUnusable,
    NoServer,
    PeerUntrusted,
    SystemFailure,
)
from ipcfold.local.claim import holder_of, is_held_by, is_socket
from ipcfold.local.directory import socket_path
from ipcfold.peer import Name, Peer
from ipcfold.result import cases

_GLANCE: Final = 0.1  # seconds that a server without a lock file has to greet, so that the connection to it is closed in good order
_GLIMPSE: Final = 0.002  # seconds between two attempts to reach a server that may be ending
_CONCLUSIVE: Final = frozenset(
    map(os.strerror, (errno.ENOTSOCK, errno.EPROTOTYPE))
)  # the errors that mean that no server of this kind is there

T = TypeVar("T")

Probe: TypeAlias = Callable[[Name, Path, float], Result[Peer, ConnectError]]
"""Connects to the socket of a name, waits at most so many seconds for the greeting, closes, and returns the server's peer credentials."""


@final
@attrs.frozen
class Probed:
    """A probe to make, after a pause in seconds."""

    name: Name
    path: Path
    timeout: float
    pause: float


Search: TypeAlias = Generator[Probed, Result[Peer, ConnectError], T]
"""A search for servers. It yields the probes that it needs and gets their results, so that every shell makes them in its own way."""


def found(search: Search[T], probe: Probe) -> T:
    """The result of a search, with probes that block."""
    try:
        wanted = next(search)
        while True:
            if wanted.pause > 0:  # the first probe waits for nothing
                time.sleep(wanted.pause)
            wanted = search.send(probe(wanted.name, wanted.path, wanted.timeout))
    except StopIteration as end:
        result: T = end.value
        return result


def listening(directory: Path) -> Search[Result[dict[Name, Peer], DirectoryUnusable]]:
    """The servers that listen now, by name. Of the holder of a lock only the pid is known."""
    try:
        files = os.listdir(directory)
    except FileNotFoundError:
        return Success({})
    except OSError as error:
        return Failure(DirectoryUnusable(directory, f"it cannot be read: {error.strerror}"))
    names = (Name.maybe(file.removesuffix(".sock")).value_or(None) for file in files if file.endswith(".sock"))
    servers = dict[Name, Peer]()
    for name in names:
        if name is not None:
            match cases((yield from listener(name, directory))):
                case Failure(hidden):
                    return Failure(hidden)
                case Success(peer):
                    servers |= {name: peer.unwrap()} if peer is not Nothing else {}
    return Success(servers)


def listener(name: Name, directory: Path) -> Search[Result[Maybe[Peer], DirectoryUnusable]]:
    """The server that listens under the name now, if any."""
    path = socket_path(name, directory).value_or(None)
    try:
        if path is None or not is_socket(path):
            return Success(Nothing)
    except OSError as error:
        return Failure(_hidden(name, directory, error.strerror or str(error)))
    holder = holder_of(path)
    if holder is not Nothing:
        return Success(holder.map(lambda pid: Peer(pid=pid)))
    match cases((yield from reached(name, path, _GLANCE, _GLANCE))):
        case Success(peer):
            return Success(Some(peer))
        case Failure(NoServer() | PeerUntrusted()):
            return Success(Nothing)
        case Failure(SystemFailure(reason=reason)) if reason in _CONCLUSIVE:
            return Success(Nothing)
        case Failure(SystemFailure(reason=reason)):  # the attempt failed on this side, so nothing is known
            return Failure(_hidden(name, directory, reason))
        case Failure():  # the backlog is full, or the server refuses each client
            return Success(Some(Peer()))


def reached(name: Name, path: Path, timeout: float, patience: float) -> Search[Result[Peer, ConnectError]]:
    """The result of a probe. A server that ends may refuse, so each refusal is followed by another probe, for `patience` seconds."""
    deadline, pause = monotonic() + patience, 0.0
    while True:
        result = yield Probed(name, path, timeout, pause)
        match cases(result):
            case Failure(ConnectionRefused()) if monotonic() < deadline:
                pause = _GLIMPSE
            case _:
                return result


def _hidden(name: Name, directory: Path, reason: str) -> DirectoryUnusable:
    return DirectoryUnusable(directory, f"whether anybody listens under {str(name)!r} cannot be seen: {reason}")


def loss(name: Name, path: Path, peer: Peer, largest: int) -> ConnectionLost | ConnectionDropped:
    """The error for a server whose stream ended. It is only a hint, because the kernel reuses process ids."""
    return ConnectionDropped(name, peer.pid, largest) if is_held_by(peer.pid, path) else ConnectionLost(name)
