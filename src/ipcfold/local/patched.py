"""Refuses to work in a process whose sockets, `select` or threads gevent or eventlet has replaced.

Their sockets ignore the timeouts that the kernel keeps, their `select` lacks what waits for many sockets, and their threads run only
while another one waits. With the original ones a verb would stop all green threads, and wait for ever for a server among them.
"""

from __future__ import annotations

import select
import socket
import threading
from pathlib import Path
from typing import Final

from returns.result import Failure, Result, Success

from ipcfold.errors import SystemFailure

_PATCHING: Final = ("gevent", "eventlet")
_ADVICE: Final = "use ipcfold in another process, or patch with socket=False, select=False and thread=False"


def original(action: str, path: Path) -> Result[Path, SystemFailure]:
    """The path, if this process has the sockets, the `select` and the threads of Python."""
    for part, there in (("sockets", socket.socket), ("select", select.select), ("threads", threading.get_ident)):
        package = str(there.__module__).partition(".")[0]
        if package in _PATCHING:
            return Failure(SystemFailure(action, path, f"{package} has replaced the {part} of this process", _ADVICE))
    return Success(path)
