"""The asyncio shell over NATS: `NATS` finds servers, connects to them, and listens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

import attrs
from returns.result import Result

from ipcfold.nats.brokers import Brokers
from ipcfold.nats.errors import ConnectError, LookError
from ipcfold.nats.finding import exists, get, processes, wait
from ipcfold.nats.process import AskError, CloseError, Process, ReceiveError, SendError
from ipcfold.nats.server import Server
from ipcfold.peer import Name

__all__ = ["NATS", "AskError", "CloseError", "Process", "ReceiveError", "SendError", "Server"]


@final
@attrs.frozen
class NATS(Brokers):
    """Finds servers, connects to them, and listens, over brokers of NATS, in an event loop of asyncio. See `Brokers` for the arguments."""

    async def processes(self) -> Result[frozenset[Name], LookError]:
        """The names under which a server listens now."""
        return await processes(self)

    async def exists(self, name: Name) -> Result[bool, LookError]:
        """Whether a server listens under the name now."""
        return await exists(self, name)

    async def get(self, name: Name) -> Result[Process, ConnectError]:
        """Begin a session with the servers of that name; fails at once if no server listens."""
        return (await get(self, name)).map(Process)

    async def wait(self, name: Name, timeout: float | None = None) -> Result[Process, ConnectError]:
        """Begin a session with the servers of that name as soon as one listens; `timeout` in seconds, `None` for ever.

        It waits for a broker, too.
        """
        return (await wait(self, name, timeout)).map(Process)

    def listen(self, name: Name, timeout: float | None = None, *, signals: Iterable[int] = ()) -> Server:
        """A server for that name, not started yet. Any number of servers may have one name: one of them leads, and the others stand by.

        With `timeout` the server stops, successfully, after that many seconds without a message. In the main thread the `signals` end it in
        good order; by default there are none.
        """
        return Server(self, name, timeout, tuple(signals))
