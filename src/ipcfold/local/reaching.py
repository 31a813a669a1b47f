"""The first steps of a client of any shell to the socket of a server, and why they fail."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

from returns.result import Failure, Result, Success

from ipcfold.errors import NoServer, SystemFailure
from ipcfold.local.claim import is_fresh, is_socket
from ipcfold.local.patched import original
from ipcfold.peer import Name
from ipcfold.result import cases


def stream_for(name: Name, path: Path) -> Result[socket.socket, NoServer | SystemFailure]:
    """A socket to connect to this path with, if there is a socket at the path."""
    match cases(original("connect to", path)):
        case Failure(patched):
            return Failure(patched)
        case Success():
            pass
    try:
        if not is_socket(path):  # this check costs a fifth of an attempt to connect, which matters while waiting
            return Failure(NoServer(name, path))
    except OSError as error:
        return Failure(SystemFailure("look at", path, error.strerror or str(error)))
    try:
        return Success(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    except OSError as error:
        return Failure(SystemFailure("make a socket for", path, error.strerror or str(error)))


def unreached(name: Name, path: Path, error: OSError) -> NoServer | SystemFailure:
    """Why connecting to this path failed."""
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return NoServer(name, path)
    if error.errno == errno.EACCES and is_fresh(path):  # its server has bound it, and will set its mode and listen
        return NoServer(name, path)
    return SystemFailure("connect to", path, error.strerror or str(error))
