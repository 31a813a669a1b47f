"""The client's end of one connection.

`transition` is the whole protocol of this end: from a state and an event to the next state and one command.
`Calling` feeds it, counts acknowledgements and keeps the responses, each with the number of the message it
answers: whatever lies between two acknowledgements belongs to the first of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from enum import Enum
from typing import Final, TypeAlias, final

from ipcfold.core.frame import Broken, Decoder, Signal
from ipcfold.core.outbox import Outbox
from ipcfold.limits import Limits
from ipcfold.message import Message

_OVERHEAD: Final = 256  # bytes that a kept response takes beside its content, roughly


class State(Enum):
    """Where the conversation stands."""

    CONNECTED = "connected"
    """The server has not greeted yet; all else it says is ignored."""
    TALKING = "talking"
    """Messages may be sent."""
    CLOSING = "closing"
    """We asked to close; all but the confirmation is ignored."""
    CLOSED = "closed"
    """We asked, the server confirmed."""
    DISMISSED = "dismissed"
    """The server asked, we confirmed."""
    LOST = "lost"
    """The stream ended without closing."""
    BROKEN = "broken"
    """What came is not the protocol."""
    FLOODED = "flooded"
    """More responses came than are kept unread."""

    __hash__ = object.__hash__  # as with signals


class Event(Enum):
    """What can happen to this end, beside the peer's signals."""

    MESSAGE = "message"
    CLOSE_WANTED = "close wanted"
    SILENCE = "silence"
    BROKEN = "broken"
    FLOODED = "flooded"
    ENDED = "ended"

    __hash__ = object.__hash__  # as with signals


class Command(Enum):
    """What to do on a transition; most are a signal to send."""

    NOTHING = "nothing", b""
    DELIVER = "deliver", b""
    COUNT = "count", b""
    ACCEPT = "accept", Signal.START_OK.frame
    HEARTBEAT = "heartbeat", Signal.HEARTBEAT.frame
    ASK_TO_CLOSE = "ask to close", Signal.CLOSE.frame
    CONFIRM_CLOSE = "confirm to close", Signal.CLOSE_OK.frame

    def __init__(self, _: str, frame: bytes) -> None:
        self.frame = frame


Transition: TypeAlias = tuple[State, Command]


def transition(state: State, event: Event | Signal) -> Transition:
    """The protocol of this end: every state takes every event."""
    match state:
        case State.TALKING:
            return _talking(event)
        case State.CONNECTED:
            return _connected(event)
        case State.CLOSING:
            return _closing(event)
        case State.CLOSED | State.DISMISSED | State.LOST | State.BROKEN | State.FLOODED:
            return state, Command.NOTHING


def _connected(event: Event | Signal) -> Transition:
    match event:
        case Signal.START:
            return State.TALKING, Command.ACCEPT
        case Signal.CLOSE:
            return State.DISMISSED, Command.CONFIRM_CLOSE
        case Event.CLOSE_WANTED:
            return State.CLOSED, Command.NOTHING
        case Event.BROKEN:
            return State.BROKEN, Command.NOTHING
        case Event.ENDED:
            return State.LOST, Command.NOTHING
        case _:
            return State.CONNECTED, Command.NOTHING


def _talking(event: Event | Signal) -> Transition:
    match event:
        case Signal.RECEIVED:
            return State.TALKING, Command.COUNT
        case Event.MESSAGE:
            return State.TALKING, Command.DELIVER
        case Event.SILENCE:
            return State.TALKING, Command.HEARTBEAT
        case Signal.CLOSE:
            return State.DISMISSED, Command.CONFIRM_CLOSE
        case Event.CLOSE_WANTED:
            return State.CLOSING, Command.ASK_TO_CLOSE
        case Event.BROKEN:
            return State.BROKEN, Command.NOTHING
        case Event.FLOODED:
            return State.FLOODED, Command.NOTHING
        case Event.ENDED:
            return State.LOST, Command.NOTHING
        case _:
            return State.TALKING, Command.NOTHING


def _closing(event: Event | Signal) -> Transition:
    match event:
        case Signal.CLOSE_OK:
            return State.CLOSED, Command.NOTHING
        case Signal.CLOSE:  # both asked at once: who asked is waiting for a confirmation
            return State.CLOSED, Command.CONFIRM_CLOSE
        case Event.BROKEN:
            return State.BROKEN, Command.NOTHING
        case Event.ENDED:
            return State.LOST, Command.NOTHING
        case _:
            return State.CLOSING, Command.NOTHING


_MOVES: Final = {state: {event: transition(state, event) for event in (*Event, *Signal)} for state in State}
"""The same as tables, since looking up is faster than matching."""


@final
class Calling:
    """One connection of a client, without its socket."""

    __slots__ = ("_decoder", "_limits", "_responses", "_unread", "acknowledged", "broken", "open", "outbox", "sent", "state")

    def __init__(self, limits: Limits) -> None:
        self.state = State.CONNECTED
        self.open = True
        """Whether anything can still come."""
        self.outbox = Outbox()
        self.sent = 0
        """How many messages were given to `send`."""
        self.acknowledged = 0
        """How many of them the server has folded: always the first ones."""
        self.broken = ""
        """What was wrong, once the state is `BROKEN`."""
        self._limits = limits
        self._decoder = Decoder(limits.message)
        self._responses: deque[tuple[int, Message]] = deque()
        self._unread = 0

    @property
    def wanted(self) -> int:
        """How many bytes are known to miss for the frame under way."""
        return self._decoder.wanted

    def receive(self, data: bytes) -> None:
        """The stream brought these bytes."""
        self._decoder.feed(data)
        while self.open:
            match self._decoder.next():
                case Message() as message:
                    if self._move(Event.MESSAGE) is Command.DELIVER:
                        self._deliver(message)
                case Signal() as signal:
                    if self._move(signal) is Command.COUNT:
                        self._count()
                case Broken() as broken:
                    self._break(broken.reason)
                case None:
                    return

    def end(self) -> None:
        """The stream ended."""
        self._move(Event.ENDED)

    def silence(self) -> None:
        """A heartbeat's time passed in which nothing came."""
        if not self.outbox.size:  # what waits to be written says "still here" already
            self._move(Event.SILENCE)

    def send(self, messages: Iterable[Message]) -> None:
        """Queue these messages, if the conversation is on; the caller has checked that they may be sent."""
        if self.state is State.TALKING:
            for message in messages:
                self.outbox.add_message(message)
                self.sent += 1

    def close(self) -> None:
        """Ask the server to close; responses that nobody waited for are dropped."""
        self._responses.clear()
        self._move(Event.CLOSE_WANTED)

    def response(self) -> Message | None:
        """The next response, if one has come."""
        if not self._responses:
            return None
        return self._taken(self._responses.popleft()[1])

    def response_to(self, number: int) -> Message | None:
        """The next response to the message of that number (the first one sent is 1), if one has come."""
        for index, (answered, message) in enumerate(self._responses):
            if answered == number:
                del self._responses[index]
                return self._taken(message)
        return None

    def _taken(self, message: Message) -> Message:
        self._unread -= len(message.content) + _OVERHEAD
        return message

    def _deliver(self, message: Message) -> None:
        self._responses.append((self.acknowledged, message))
        self._unread += len(message.content) + _OVERHEAD
        if self._unread > self._limits.unread and len(self._responses) > 1:  # the one waited for may be any size
            self._move(Event.FLOODED)

    def _count(self) -> None:
        if self.acknowledged == self.sent:
            self._break("an acknowledgement of nothing")
        else:
            self.acknowledged += 1

    def _break(self, reason: str) -> None:
        self.broken = reason
        self._move(Event.BROKEN)

    def _move(self, event: Event | Signal) -> Command:
        before = self.state
        self.state, command = _MOVES[before][event]
        if self.state is not before:
            self.open = self.state in {State.TALKING, State.CLOSING}
        if command.frame:
            self.outbox.add(command.frame)
        return command
