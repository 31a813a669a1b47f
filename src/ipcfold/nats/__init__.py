"""The shells over NATS: the same fold on more than one machine. The extra `nats` installs what they need.

    from ipcfold.nats import NATS

    NATS("nats://127.0.0.1:4222").listen(name)(carry, handler)

`ipcfold.nats.aio` has the same for event loops of asyncio.
"""

from __future__ import annotations

from ipcfold.extras import needs

needs("nats", "nats")

from ipcfold.errors.brokers import (
    BrokerRefused,
    BrokerUnreachable,
    HandlerRaised,
    NobodyListens,
    NotAuthorized,
    NotPermitted,
    Unacknowledged,
)
from ipcfold.nats.blocking import NATS, Process, Running, Server
from ipcfold.nats.errors import (
    AskError,
    CloseError,
    ConnectError,
    ListenError,
    LookError,
    ReceiveError,
    SendError,
)
from ipcfold.nats.shards import shard_of, shards

__all__ = [
    "NATS",
    "AskError",
    "BrokerRefused",
    "BrokerUnreachable",
    "CloseError",
    "ConnectError",
    "HandlerRaised",
    "ListenError",
    "LookError",
    "NobodyListens",
    "NotAuthorized",
    "NotPermitted",
    "Process",
    "ReceiveError",
    "Running",
    "SendError",
    "Server",
    "Unacknowledged",
    "shard_of",
    "shards",
]
