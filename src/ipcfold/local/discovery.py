"""The servers that listen, with facts from the system: process, user, start time and number of connections."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol, final

import attrs
from returns.maybe import Maybe, Nothing
from returns.result import Result

from ipcfold.errors import DirectoryUnusable
from ipcfold.local.claim import epoch_of
from ipcfold.local.connections import File, accepted, file_of
from ipcfold.local.directory import located, socket_path
from ipcfold.peer import Name, Peer, Trust


@final
@attrs.frozen
class ServerInfo:
    """A server that listens now.

    - `peer`: its process (pid 0 where the system does not tell) and its user.
    - `since`: when it began to listen, in seconds since the epoch.
    - `epoch`: when its fold began, in nanoseconds since the epoch. A server with a log goes on with the fold of the one before, so it has
      the same. A server without one begins anew, and has another. `Nothing`: it is no server of this library.
    - `connections`: how many accepted connections are open; `Nothing` where the system does not tell. This is so outside Linux, and
      if the server is in another network namespace.
    """

    name: Name
    peer: Peer
    since: float
    connections: Maybe[int]
    epoch: Maybe[int] = Nothing


class Finder(Protocol):
    """An object that finds servers: the `IPC` of a shell."""

    @property
    def directory(self) -> Path | None:
        """As `IPC` has it."""

    @property
    def trust(self) -> Trust:
        """As `IPC` has it."""

    def peers(self) -> Result[dict[Name, Peer], DirectoryUnusable]:
        """The servers that listen now, by name."""


def listeners(ipc: Finder) -> Result[tuple[ServerInfo, ...], DirectoryUnusable]:
    """The servers that listen now, ordered by name."""
    connections = accepted()  # counted first, because finding a server without a lock file connects to it
    return located(ipc.directory, ipc.trust).bind(
        lambda directory: ipc.peers().map(
            lambda peers: tuple(found for name in sorted(peers) for found in _described(name, peers[name], directory, connections))
        )
    )


def _described(name: Name, peer: Peer, directory: Path, connections: Mapping[File, int]) -> Iterator[ServerInfo]:
    """The facts about one server, or none if it has withdrawn its name meanwhile."""
    path = socket_path(name, directory).unwrap()
    try:
        status = os.lstat(path)
    except OSError:
        return
    count = connections.get(file_of(status))
    known = peer if peer.uid >= 0 else Peer(0, peer.pid, status.st_uid, status.st_gid)
    yield ServerInfo(name, known, status.st_mtime, Maybe.from_optional(count), epoch_of(peer.pid, path))
