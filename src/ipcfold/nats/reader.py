"""Reads the entries of a stream in their order, each once, whatever becomes of brokers and connections.

It makes a consumer of its own, which no acknowledgement can disturb. When the connection was lost, when nothing comes for
a while, not even a heartbeat, or when something is missing, it makes another one that begins behind the last entry.

It reads the whole stream, also the snapshots, because the broker tells no place that it leaves out. See `order`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic
from typing import Final, TypeAlias, final

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, StreamState
from returns.result import Failure, Result, Success

from ipcfold.errors.brokers import BrokerRefused
from ipcfold.nats.broker import UNANSWERED, Broker, UseError
from ipcfold.nats.order import Order, Step
from ipcfold.nats.subjects import Subjects
from ipcfold.result import cases

_BEAT: Final = 0.5  # seconds between two heartbeats of a consumer
_SILENT: Final = 4 * _BEAT  # seconds without anything after which the consumer is given up
_INACTIVE: Final = 60.0  # seconds after which a broker drops a consumer that nobody reads

_DELIVERED: Final = "$JS.ACK."  # so begins the subject for replies of an entry

Read: TypeAlias = tuple[int, float, str, bytes]
"""An entry: its place in the stream, its time in seconds since the epoch, its subject, its bytes."""


@final
class Reader:
    """Reads the entries of a stream."""

    def __init__(self, broker: Broker, subjects: Subjects, after: int) -> None:
        """`after`: the place of the last entry that is known."""
        self._broker = broker
        self._subjects = subjects
        self._order = Order(after)
        self._subscription: Subscription | None = None
        self._time: float | None = None  # of the last entry that was read
        self._heard = monotonic()
        self._entries = deque[Msg]()
        self._arrived: asyncio.Future[None] | None = None
        self._generation = 0
        self.broken = True
        """Whether another consumer is to be made."""
        self.began = False
        """Whether there ever was one."""
        self.outrun = False
        """Whether the stream has dropped entries that were not read. What comes later is of no use without them."""
        self.replaced = False
        """Whether the last entry that was read is another one now, because the broker had lost it."""
        self.ahead: float | None = None
        """Since when the stream has fewer entries than were read, if it has."""
        self.refused: float | None = None
        """Since when the broker refuses to make a consumer, if it does, and no election of brokers is the reason."""
        self.pending: int | None = None
        """How many entries are behind the last one, as far as the broker has told."""

    async def start(self) -> UseError | None:
        """Make a consumer that begins behind the last entry."""
        if self._subscription is not None:
            await self._broker.unsubscribe(self._subscription)
            self._subscription = None
        self._entries.clear()
        self._order.begin()
        self._heard, self.pending = monotonic(), None
        self._generation += 1
        generation = self._generation

        async def take(msg: Msg) -> None:
            if generation == self._generation:
                self._entries.append(msg)
                self.wake()

        match cases(await self._state()):
            case Failure(refused):
                return refused
            case Success(state):
                if self._ahead(state):
                    return None
        inbox = self._broker.client.new_inbox()
        match cases(await self._broker.subscribe(inbox, take)):
            case Failure(unreachable):
                return unreachable
            case Success(subscription):
                self._subscription = subscription
        config = ConsumerConfig(
            deliver_subject=inbox,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self._order.after + (self._time is None),  # with the last one again, to see whether it is the same
            ack_policy=AckPolicy.NONE,
            max_deliver=1,
            flow_control=True,
            idle_heartbeat=_BEAT,
            inactive_threshold=_INACTIVE,
            mem_storage=True,
            num_replicas=1,
        )
        made = await self._broker.use("read the stream", self._broker.client.jetstream().add_consumer(self._subjects.stream, config))
        match cases(made):
            case Failure(error):
                self.refused = (self.refused or monotonic()) if isinstance(error, BrokerRefused) and not passing(error) else None
                return error
            case Success(info):
                self.broken, self.began, self.refused = False, True, None
                self.pending = info.num_pending or 0 if self.pending is None else self.pending
                return None

    async def _state(self) -> Result[StreamState, UseError]:
        """What the stream has."""
        found = await self._broker.use("find the stream", self._broker.client.jetstream().stream_info(self._subjects.stream))
        return found.map(lambda info: info.state)

    def _ahead(self, state: StreamState) -> bool:
        """Whether the stream has fewer entries than were read. A broker that begins to lead the others may think so for a moment."""
        if state.last_seq >= self._order.after:
            self.ahead = None
            return False
        self.ahead = self.ahead or monotonic()
        return True

    @property
    def silent(self) -> bool:
        """Whether nothing came for so long that the consumer must be gone."""
        return monotonic() - self._heard > _SILENT

    def wake(self) -> None:
        """Let `read` return."""
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    async def read(self) -> Read | None:
        """The next entry; `None` after `wake`. The caller sees to it that somebody calls that from time to time."""
        if not self._entries:
            self._arrived = asyncio.get_running_loop().create_future()
            await self._arrived  # without a timeout, which would cost each entry
        while self._entries and not self.broken:
            msg = self._entries.popleft()
            self._heard = monotonic()
            if not msg.reply.startswith(_DELIVERED):  # not by the headers, because clients can give entries some
                await self._controlled(msg)
                continue
            at, number, now, pending = _placed(msg.reply)
            match self._order.step(at, number):
                case Step.LOST:
                    self.broken = True
                    return None
                case Step.KNOWN:
                    self.pending = pending
                    self.replaced = at == self._order.after and now != self._time and self._time is not None
                    if self.replaced:
                        return None
                    continue
                case Step.GAP:
                    if await self._dropped():
                        return None
                case Step.NEXT:
                    pass
            self._order.take(at)
            self._time = now
            self.pending = pending
            return at, now, msg.subject, msg.data
        return None

    async def _dropped(self) -> bool:
        """Whether the entry behind the last one is dropped, as far as this can be known. An operator may have deleted a single one."""
        self.broken = True  # unless the answer comes, it is read again
        match cases(await self._state()):
            case Success(state):
                self.broken = False
                self.outrun = state.first_seq > self._order.after + 1
                return self.outrun
            case Failure():
                return True

    async def _controlled(self, msg: Msg) -> None:
        """Answer what the broker asks, so that it goes on sending. A heartbeat tells whether something is missing."""
        headers = msg.headers or {}
        reply = msg.reply or headers.get("Nats-Consumer-Stalled", "")
        if reply:
            await self._broker.publish(reply, b"")
        last = headers.get("Nats-Last-Consumer")
        if last is not None and self._order.misses(int(last)):
            self.broken = True

    async def close(self) -> None:
        """Read nothing more."""
        self._generation += 1
        if self._subscription is not None:
            await self._broker.unsubscribe(self._subscription)


def passing(refused: BrokerRefused) -> bool:
    """Whether this is the answer of brokers that begin, or elect a leader.

    >>> passing(BrokerRefused("read", "JetStream system temporarily unavailable"))
    True
    >>> passing(BrokerRefused("read", "maximum consumers limit reached"))
    False
    """
    return "temporarily unavailable" in refused.reason or refused.reason == UNANSWERED


def _placed(reply: str) -> tuple[int, int, float, int]:
    """The place in the stream, the number of this consumer, the time, and how many are behind: what stands in the subject for replies.

    >>> _placed("$JS.ACK.ipcfold_x.c1.1.7.3.1795888437752237113.0")
    (7, 3, 1795888437.752237, 0)
    """
    tokens = reply.split(".")
    first = 5 if len(tokens) == 9 else 7  # with a domain and an account before the stream
    at, number, time, pending = (int(token) for token in tokens[first : first + 4])
    return at, number, time / 1e9, pending
