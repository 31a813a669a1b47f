"""Refuses to work in a process whose sockets, `select` or threads gevent or eventlet has replaced.

Their sockets ignore the timeouts that the kernel keeps, their `select` lacks what waits for many sockets, and their threads run only
while another one waits. With the original ones a verb would stop all green threads, and wait for ever for a server among them.
"""

from __future__ import annotations

import select
import socket
import threading
from functools import lru_cache
from pathlib import Path
from typing import Final

from returns.result import Failure, Result, Success

from ipcfold.errors import SystemFailure

_PATCHING: Final = ("gevent", "eventlet")
_ADVICE: Final = "use ipcfold in another process, or patch with socket=False, select=False and thread=False"


def original(action: str, path: Path) -> Result[Path, SystemFailure]:
    """The path, if this process has the sockets, the `select` and the threads of Python."""
    patched = _patched(socket.socket, select.select, threading.get_ident)
    return Failure(SystemFailure(action, path, f"{patched} of this process", _ADVICE)) if patched else Success(path)


def is_original() -> bool:
    """Whether nothing is replaced. The accelerator asks."""
    return not _patched(socket.socket, select.select, threading.get_ident)


@lru_cache(maxsize=4)  # each attempt to connect asks
def _patched(*parts: object) -> str:
    """The package that has replaced one of these parts, and which one; empty if they are those of Python."""
    for part, there in zip(("sockets", "select", "threads"), parts, strict=True):
        package = str(getattr(there, "__module__", "")).partition(".")[0]
        if package in _PATCHING:
            return f"{package} has replaced the {part}"
    return ""
