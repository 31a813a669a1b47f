"""Trouble between a server and its broker, which no answer tells: the operator reads it in the log.

The broker tells of a subject that is not permitted whenever it likes, not as the answer to anything. While the connection is
lost, each attempt to connect again may fail for another reason. Each text is logged once until all is well again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from returns.result import Failure, Success

from ipcfold.errors.brokers import BrokerRefused, NotPermitted
from ipcfold.local.log import logger
from ipcfold.nats.broker import Broker
from ipcfold.nats.entries import OfServer, encode
from ipcfold.nats.subjects import Subjects
from ipcfold.result import cases

if TYPE_CHECKING:
    from datetime import datetime  # only in a signature


@final
class Trouble:
    """Collects the trouble of a server."""

    def __init__(self, broker: Broker, subjects: Subjects, created: datetime | None) -> None:
        """`created`: when the stream was made."""
        self._broker = broker
        self._subjects = subjects
        self._created = created
        self._name = str(subjects.name)
        self._place = broker.place
        self._needed = f"{subjects.lead.removesuffix('lead')}".lower(), f"$js.fc.{subjects.stream}.".lower()
        self._optional = subjects.snap.lower(), subjects.part("", "").removesuffix("..").lower()
        self._told = set[str]()
        self.denied: NotPermitted | None = None
        """What the server cannot do without, and may not do."""
        broker.know(subjects.lead)
        broker.denied, broker.failing = self._denied, self.tell

    def tell(self, reason: str) -> None:
        """Tell the operator, unless that is told already."""
        if reason not in self._told:
            self._told.add(reason)
            logger().warning("the server %s has trouble with the broker at %s: %s", self._name, self._place, reason)

    def over(self) -> None:
        """Note that there is a connection again."""
        self._told.clear()
        logger().info("the server %s is connected to the broker at %s again", self._name, self._place)

    def _denied(self, denied: NotPermitted) -> None:
        subject = denied.subject.lower()
        if subject.startswith(self._needed) and not subject.startswith(self._optional):
            self.denied = denied
        elif not subject.startswith("$js.api."):  # that is the answer to a request
            self.tell(str(denied))

    async def write(self, entry: OfServer, timeout: float) -> bool:
        """Write an entry of the server. If the stream does not take it, for example because it is full, tell the operator."""
        publishing = self._broker.client.jetstream().publish(self._subjects.lead, encode(entry), timeout=timeout)
        match cases(await self._broker.use("write to the stream", publishing)):
            case Failure(BrokerRefused() as refused):
                self.tell(str(refused))
                return False
            case Success() | Failure():  # a lost answer tells nothing
                return True

    async def replaced(self) -> bool | None:
        """Whether the stream is another one than that which the server has folded so far; `None` if nobody tells."""
        asking = self._broker.client.jetstream().stream_info(self._subjects.stream)
        found = (await self._broker.use("find the stream", asking)).value_or(None)
        return None if found is None else found.created != self._created
