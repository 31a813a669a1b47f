"""Reads `--nats`: the brokers that a command uses instead of sockets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from returns.result import Failure, Result, Success

from ipcfold.cli.status import Misused

if TYPE_CHECKING:
    from ipcfold.nats import NATS

INBOX: Final = "_INBOX"
"""The first token of the subjects where a client listens."""

_NOT_OVER_NATS: Final = {
    "where": "it shows the directory of the sockets",
    "log": "it reads a log in a file, and over NATS the stream is the log",
    "replay": "it reads a log in a file, and over NATS the stream is the log",
    "salvage": "it reads a log in a file, and over NATS the stream is the log",
    "demo": "its servers use sockets",
    "completion": "it talks to no server",
}
_HOW: Final = "write them as in --nats nats://127.0.0.1:4222 --inbox _INBOX_ann --replicas 3"


def brokers(command: str, servers: str, credentials: Path | None, inbox: str, replicas: int = 1) -> Result[NATS, Misused]:
    """What the command uses in place of an `IPC`: it has the same methods.

    >>> str(brokers("where", "nats://a", None, INBOX).failure())
    'where does not work over NATS: it shows the directory of the sockets; leave out --nats'
    """
    why = _NOT_OVER_NATS.get(command)
    if why is not None:
        return Failure(Misused(f"{command} does not work over NATS: {why}; leave out --nats"))
    from ipcfold.nats import NATS  # noqa: PLC0415 - only if it is asked for

    try:
        return Success(NATS(servers, credentials=credentials, inbox=inbox, replicas=replicas))
    except ValueError as error:
        return Failure(Misused(f"--nats with its options: {error.args[0]}; {_HOW}"))
