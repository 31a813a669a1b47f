"""The client's end of a session: which messages are to be written to the stream, and what the items that arrive mean.

It does no I/O. `outgoing` gives what to publish. A client does not know which of the messages that it has published are in
the stream, if its connection to the broker was lost. So it asks with a `Sync`, whose answer tells how many are folded of
those that are before it in the stream. The others are lost, and are sent again, in their order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final, final

import attrs

from ipcfold.core.wire import Decoder
from ipcfold.errors import ConnectionClosed, ConnectionLost, ProtocolBroken, UnreadExceeded
from ipcfold.errors.brokers import EndedAtBroker, HandlerRaised
from ipcfold.limits import Limits
from ipcfold.message import Message
from ipcfold.nats.arrivals import Answered, Arrived, Event, Folded, Over, Resend
from ipcfold.nats.entries import Burst, Bye, Part, Sync, encode
from ipcfold.nats.items import Behind, Failed, Item, Items, Kind, Note, Ping, State, Unknown, epoch
from ipcfold.peer import Name, Peer

BURST: Final = 2**16
"""Bytes; a burst has no more, unless it is one message."""
LARGE: Final = 2**17
"""Bytes; a larger message is written in parts of this size."""
WINDOW: Final = 2**20
"""Bytes; so many may be in the stream, or on their way, without an acknowledgement."""
UNCONFIRMED: Final = 2**18
"""Bytes; after so many the client confirms what it has received, even if it has nothing to send."""
_ALL: Final = 2**40  # frames; more than an item has


@final
class Caller:
    """The client's end of a session."""

    __slots__ = (
        "_dropped",
        "_flying",
        "_inbox",
        "_limits",
        "_marked",
        "_name",
        "_partial",
        "_ready",
        "_received",
        "_size",
        "_synced",
        "_token",
        "acknowledged",
        "asking",
        "ended",
        "epoch",
        "gap",
        "got",
        "inflight",
        "peer",
        "sent",
        "unread",
    )

    def __init__(self, name: Name, limits: Limits, inbox: str) -> None:
        """`inbox`: where it gets its items."""
        self._name = name
        self._inbox = inbox
        self._limits = limits
        self._flying = deque[tuple[int, bytes]]()  # numbers and frames that are published and not acknowledged
        self._ready = deque[tuple[int, bytes]]()  # those that are to be published
        self._partial = list[bytes]()
        self._received = 0  # bytes of items since the last confirmation
        self._marked = 0  # the last confirmation
        self._dropped = set[int]()  # the messages whose responses nobody wants
        self._size = 0  # bytes of unread messages
        self._token = 0
        self._synced = 0  # the last message that was published before the last Sync
        self.unread = deque[Message]()
        """The messages that no `wait` has taken."""
        self.asking = set[int]()
        """The numbers of the messages whose first response somebody waits for."""
        self.sent = 0
        """The number of the last message."""
        self.acknowledged = 0
        """The number of the last message that is known to be folded."""
        self.inflight = 0
        """The bytes that are published and not acknowledged."""
        self.got = 0
        """The number of the last item."""
        self.gap = False
        """Whether something is missing, so that a `Sync` is due."""
        self.peer: Peer | None = None
        """This client, as servers see it; `None` before the session has begun."""
        self.epoch = 0
        """When the fold began, in nanoseconds since the epoch; 0 if that is not known."""
        self.ended: EndedAtBroker | None = None
        """Why the session is over, if it is."""

    @property
    def idle(self) -> bool:
        """Whether nothing is to be acknowledged."""
        return not self._flying and not self._ready

    @property
    def confirms(self) -> bool:
        """Whether a confirmation is due."""
        return self._received > UNCONFIRMED

    def send(self, frames: Iterable[bytes]) -> int:
        """Add messages, each as its whole frame. Returns the number of the last."""
        for frame in frames:
            self.sent += 1
            self._ready.append((self.sent, frame))
        return self.sent

    def outgoing(self) -> list[bytes]:
        """What is to be published to the stream now."""
        payloads = list[bytes]()
        while self._ready and (self.inflight < WINDOW or not self._flying):
            first, burst, size = self._ready[0][0], list[bytes](), 0
            while self._ready and size < BURST and self.inflight < WINDOW:
                number, frame = self._ready[0]
                if len(frame) > LARGE and burst:
                    break
                self._flying.append(self._ready.popleft())
                self.inflight += len(frame)
                if len(frame) > LARGE:
                    payloads += self._parts(number, frame)
                    break
                burst.append(frame)
                size += len(frame)
            if burst:
                payloads.append(encode(Burst(first, self.got, b"".join(burst))))
        if payloads:
            self._confirmed()
        return payloads

    def _parts(self, number: int, frame: bytes) -> Iterable[bytes]:
        for index, at in enumerate(range(0, len(frame), LARGE)):
            yield encode(Part(number, self.got, index, at + LARGE >= len(frame), frame[at : at + LARGE]))

    def _confirmed(self) -> None:
        self._marked, self._received = self.got, 0

    def sync(self) -> bytes:
        """What to publish to learn what is folded, and to get what was lost. It confirms what has come, too."""
        self._token += 1
        self.gap = False
        self._synced = self._flying[-1][0] if self._flying else self.acknowledged
        self._confirmed()
        return encode(Sync(self._token, self.got, self._inbox))

    def bye(self) -> bytes:
        """What to publish to end the session, or to confirm its end."""
        return encode(Bye(self.got, self._inbox))

    def forget(self, number: int) -> None:
        """Nobody waits any more for the response to this message."""
        if number in self.asking:
            self.asking.discard(number)
            self._dropped.add(number)

    def take(self) -> Message | None:
        """The next message that nobody asked for, if there is one."""
        if not self.unread:
            return None
        message = self.unread.popleft()
        self._size -= len(message.content)
        return message

    def end(self, reason: EndedAtBroker) -> list[Event]:
        """End the session here."""
        if self.ended is not None:
            return []
        self.ended = reason
        return [Over()]

    def receive(self, given: Items | Note) -> list[Event]:
        """Take what came to the inbox."""
        if self.ended is not None:
            return []
        match given:
            case Items(first, items):
                return self.end(ConnectionLost(self._name)) if self._anew(first, items) else self._items(first, items)
            case State(token, last, item):
                return self._state(token, last, item)
            case Failed(number, error):
                return self.end(HandlerRaised(self._name, error)) if number > self.acknowledged else []
            case Behind():
                self.gap = True
                return []
            case Unknown():
                return self.end(ConnectionLost(self._name))
            case Ping():
                return []

    def _anew(self, first: int, items: tuple[Item, ...]) -> bool:
        """Whether the servers have forgotten this session, and begun another one."""
        if self.peer is None or first != 1 or not items or items[0].kind is not Kind.WELCOME:
            return False
        return (self.peer, self.epoch) != (Peer(items[0].number), epoch(items[0]))

    def _state(self, token: int, last: int, item: int) -> list[Event]:
        if token != self._token:
            return []
        events = self._folded(last)
        if item > self.got:  # what it refers to got lost on its way
            self.gap = True
        if self._flying and self._flying[0][0] <= self._synced:  # it is not in the stream, so those behind it were not taken
            self._ready.extendleft(reversed(self._flying))
            self._flying.clear()
            self.inflight = 0
            events.append(Resend())
        return events

    def _folded(self, number: int) -> list[Event]:
        if number <= self.acknowledged:
            return []
        self.acknowledged = number
        waits = self.inflight >= WINDOW
        while self._flying and self._flying[0][0] <= number:
            self.inflight -= len(self._flying.popleft()[1])
        while self._ready and self._ready[0][0] <= number:  # it was to be sent again
            self._ready.popleft()
        return [Folded(number), Resend()] if waits and self._ready else [Folded(number)]

    def _items(self, first: int, items: tuple[Item, ...]) -> list[Event]:
        if first > self.got + 1:
            self.gap = True
            return []
        events = list[Event]()
        for item in items[self.got + 1 - first :]:
            self.got += 1
            self._received += len(item.data) + 13
            if self._partial and item.kind is not Kind.PIECE:
                item = attrs.evolve(item, data=b"".join((*self._partial, item.data)))  # noqa: PLW2901 - the whole item
                self._partial.clear()
            events += self._item(item)
            if self.ended is not None:
                break
        return events

    def _item(self, item: Item) -> list[Event]:
        match item.kind:
            case Kind.FOLDED:
                return self._folded(item.number)
            case Kind.ANSWER:
                return [*self._folded(item.number), *self._messages(item.number, item.data)]
            case Kind.LATE | Kind.TOLD:
                return self._messages(item.number, item.data)
            case Kind.WELCOME:
                self.peer, self.epoch = Peer(item.number), epoch(item)
                return []
            case Kind.CLOSED:
                reason = item.data.decode("utf-8", "replace")
                return self.end(ProtocolBroken(self._name, reason) if reason else ConnectionClosed(self._name))
            case Kind.PIECE:
                self._partial.append(item.data)
                return []

    def _messages(self, number: int, frames: bytes) -> list[Event]:
        decoder = Decoder(self._limits.message, marks=True)
        decoder.feed(frames)
        events = list[Event]()
        for message in decoder.frames(_ALL):
            if not isinstance(message, Message):
                return [*events, *self.end(ProtocolBroken(self._name, "it sent bytes that are no messages"))]
            if number in self.asking:
                self.asking.discard(number)
                events.append(Answered(number, message))
            elif number not in self._dropped:
                events += self._unread(message)
        return events

    def _unread(self, message: Message) -> list[Event]:
        self._size += len(message.content)
        if self._size > self._limits.unread:
            self._size -= len(message.content)
            return self.end(UnreadExceeded(self._name, self._limits.unread))
        self.unread.append(message)
        return [Arrived()]
