"""The errors that a shell over unix sockets adds: they tell of paths, processes and users."""

from __future__ import annotations

from pathlib import Path
from typing import final

import attrs

from ipcfold.cause import Cause
from ipcfold.peer import Name, Peer


@final
@attrs.frozen(repr=False, eq=False)
class DirectoryUnusable(Cause):
    """The socket directory is missing, belongs to another user, is open to other users, or cannot be read now."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"the directory {self.path} cannot be used: {self.reason}"


@final
@attrs.frozen(repr=False, eq=False)
class PathTooLong(Cause):
    """The path of the socket has more bytes than the operating system allows (`limit`)."""

    path: Path
    limit: int

    def __str__(self) -> str:
        return f"the path {self.path} is longer than the {self.limit} bytes a socket may have: use a shorter directory or name"


@final
@attrs.frozen(repr=False, eq=False)
class NameTaken(Cause):
    """Another server holds the name; `pid` is its process id, or 0 if the system does not report it."""

    name: Name
    path: Path
    pid: int

    def __str__(self) -> str:
        holder = f"process {self.pid}" if self.pid else "another process"
        return f"the name {str(self.name)!r} is held by {holder} at {self.path}: end that server first, or use another name"


@final
@attrs.frozen(repr=False, eq=False)
class NoServer(Cause):
    """No server listens under the name."""

    name: Name
    path: Path

    def __str__(self) -> str:
        return f"nobody listens under {str(self.name)!r} at {self.path}: start its server, or use wait to wait for it"


@final
@attrs.frozen(repr=False, eq=False)
class PeerUntrusted(Cause):
    """`trust` refused the server's process or user."""

    name: Name
    peer: Peer

    def __str__(self) -> str:
        return (
            f"the server {str(self.name)!r} is process {self.peer.pid} of user {self.peer.uid}, who is not trusted: "
            "run it as the same user, or allow that one with IPC(trust=...)"
        )


@final
@attrs.frozen(repr=False, eq=False)
class ConnectionDropped(Cause):
    """The stream ended without a close, but the server's process (`pid`) still holds the name. Most likely this end exceeded a limit.

    This is a hint, not a proof: that process may also have ended the server and listened again. `largest` is the size of
    the largest message sent, in bytes. The server may have folded messages that it did not acknowledge.
    """

    name: Name
    pid: int
    largest: int

    def __str__(self) -> str:
        return (
            f"the server {str(self.name)!r} dropped this connection, and process {self.pid} still has the name: a message (the largest "
            f"sent has {self.largest} bytes) is over limits.message there, or was under way for longer than limits.frame, or this end "
            "did not read for as long, or did not read what it was told (limits.unsent); the server logs which"
        )


@final
@attrs.frozen(repr=False, eq=False)
class UsedAfterFork(Cause):
    """A forked child used a connection or a server that its parent process (`pid`) made."""

    name: Name
    pid: int

    def __str__(self) -> str:
        return f"{str(self.name)!r} belongs to process {self.pid}, which forked this one: connect or listen again in this process"


@final
@attrs.frozen(repr=False, eq=False)
class SystemFailure(Cause):
    """The operating system refused an action; `reason` is its own error text.

    Or this process cannot do it: `advice` says what to do instead.
    """

    action: str
    path: Path
    reason: str
    advice: str = "check that path, and this user's permissions and limits"

    def __str__(self) -> str:
        return f"could not {self.action} {self.path}: {self.reason}; {self.advice}"
