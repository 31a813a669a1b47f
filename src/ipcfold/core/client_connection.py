"""The client's end of one connection.

`transition` is the whole protocol of this end, as a table: from a state and an event to the next state and one command.
`ClientConnection` feeds it, counts acknowledgements and keeps the responses, each with the number of the message it
answers: whatever lies between two acknowledgements belongs to the first of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from enum import Enum
from typing import Final, TypeAlias, final

from ipcfold.core.frame import Decoder, Encoder, Signal
from ipcfold.core.outbox import Outbox
from ipcfold.limits import Limits
from ipcfold.message import TEXT_PLAIN, MediaType, Message

_ALL: Final = 2**30  # frames
_OVERHEAD: Final = 256  # bytes that a kept response takes beside its content, roughly
_PARAMETER: Final = 128  # and that a parameter of its media type takes beside the text


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
    INTERRUPTED = "interrupted"
    """An exception struck in the middle of a step: what was read or written is not known any more."""

    __hash__ = object.__hash__  # as with signals


class Event(Enum):
    """What can happen to this end, beside the peer's signals."""

    MESSAGE = "message"
    CLOSE_WANTED = "close wanted"
    OVERDUE = "overdue"
    BROKEN = "broken"
    FLOODED = "flooded"
    ENDED = "ended"
    INTERRUPTED = "interrupted"

    __hash__ = object.__hash__  # as with signals


class Command(Enum):
    """What to do on a transition; most are a signal to send."""

    NOTHING = "nothing"
    DELIVER = "deliver"
    COUNT = "count"
    ACCEPT = Signal.START_OK
    HEARTBEAT = Signal.HEARTBEAT
    ASK_TO_CLOSE = Signal.CLOSE
    CONFIRM_CLOSE = Signal.CLOSE_OK


_MOVES: Final[dict[State, dict[Event | Signal, tuple[State, Command]]]] = {
    State.CONNECTED: {
        Signal.START: (State.TALKING, Command.ACCEPT),
        Signal.CLOSE: (State.DISMISSED, Command.CONFIRM_CLOSE),
        Event.CLOSE_WANTED: (State.CLOSED, Command.NOTHING),
        Event.BROKEN: (State.BROKEN, Command.NOTHING),
        Event.ENDED: (State.LOST, Command.NOTHING),
        Event.INTERRUPTED: (State.INTERRUPTED, Command.NOTHING),
    },
    State.TALKING: {
        Signal.RECEIVED: (State.TALKING, Command.COUNT),
        Event.MESSAGE: (State.TALKING, Command.DELIVER),
        Event.OVERDUE: (State.TALKING, Command.HEARTBEAT),
        Signal.CLOSE: (State.DISMISSED, Command.CONFIRM_CLOSE),
        Event.CLOSE_WANTED: (State.CLOSING, Command.ASK_TO_CLOSE),
        Event.BROKEN: (State.BROKEN, Command.NOTHING),
        Event.FLOODED: (State.FLOODED, Command.NOTHING),
        Event.ENDED: (State.LOST, Command.NOTHING),
        Event.INTERRUPTED: (State.INTERRUPTED, Command.NOTHING),
    },
    State.CLOSING: {
        Signal.CLOSE_OK: (State.CLOSED, Command.NOTHING),
        Signal.CLOSE: (State.CLOSED, Command.CONFIRM_CLOSE),  # both asked at once: who asked waits for a confirmation
        Event.BROKEN: (State.BROKEN, Command.NOTHING),
        Event.ENDED: (State.LOST, Command.NOTHING),
        Event.INTERRUPTED: (State.INTERRUPTED, Command.NOTHING),
    },
    State.CLOSED: {},
    State.DISMISSED: {},
    State.LOST: {},
    State.BROKEN: {},
    State.FLOODED: {},
    State.INTERRUPTED: {},
}

Row: TypeAlias = dict[Event | Signal, tuple[State, Command, bytes]]


def _row(state: State, moves: dict[Event | Signal, tuple[State, Command]]) -> Row:
    row = Row()
    for event in (*Event, *Signal):
        after, command = moves.get(event, (state, Command.NOTHING))
        row[event] = after, command, command.value.frame if isinstance(command.value, Signal) else b""
    return row


# The same with every event in every row, and with what there is to say: a step for each move, of which a message takes several.
_ROWS: Final = {state: _row(state, moves) for state, moves in _MOVES.items()}

_OPEN: Final = frozenset({State.CONNECTED, State.TALKING, State.CLOSING})
_CUT_OFF: Final = frozenset({State.LOST, State.BROKEN, State.FLOODED, State.INTERRUPTED})


# Looking up a member of an enumeration costs more than a variable, and these are wanted for every message.
_TALKING: Final = State.TALKING
_MESSAGE: Final = Event.MESSAGE
_DELIVER: Final = Command.DELIVER  # which changes no state, nor does the next
_COUNT: Final = Command.COUNT


def transition(state: State, event: Event | Signal) -> tuple[State, Command]:
    """The protocol of this end: every state takes every event, and what stands in no row is ignored."""
    after, command, _ = _ROWS[state][event]
    return after, command


def _weight(media_type: MediaType) -> int:
    """How many bytes keeping this media type takes, roughly; a usual one, short and plain, is nothing worth counting."""
    if not media_type.parameters and len(str(media_type)) <= _OVERHEAD:
        return 0
    return 2 * len(str(media_type)) + _PARAMETER * len(media_type.parameters)  # it keeps its parts and the whole


@final
class ClientConnection:
    """One connection of a client, without its socket."""

    __slots__ = (
        "_decoder",
        "_encoder",
        "_heartbeat",
        "_limits",
        "_responses",
        "_row",
        "_spoke",
        "_unread",
        "_weightless",
        "acknowledged",
        "broken",
        "deadline",
        "open",
        "outbox",
        "sent",
        "state",
    )

    def __init__(self, *, heartbeat: float, limits: Limits, now: float) -> None:
        """`heartbeat`: seconds of saying nothing after which to say "still here"; `now`: of any steady clock."""
        self._heartbeat = heartbeat
        self._encoder = Encoder(limits)
        self._weightless: MediaType = TEXT_PLAIN
        self.deadline = now + heartbeat
        """When `tick` is to be called next."""
        self._spoke = False
        self.state = State.CONNECTED
        self._row = _ROWS[State.CONNECTED]
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
        self._decoder = Decoder(limits.message, likely=Signal.RECEIVED)
        self._responses: deque[tuple[int, Message, int]] = deque()  # to which message, the response, its weight
        self._unread = 0

    def receive(self, data: bytes) -> None:
        """The stream brought these bytes."""
        self._decoder.feed(data)
        self._advance()

    def room(self) -> memoryview | None:
        """Where the next bytes are best read into, rather than given to `receive`: `filled` says how many were."""
        return self._decoder.room()

    def filled(self, count: int) -> None:
        """The stream brought so many bytes into the room."""
        self._decoder.filled(count)
        self._advance()

    def end(self) -> None:
        """The stream ended."""
        self._move(Event.ENDED)

    def interrupt(self) -> None:
        """An exception struck in the middle of one of these calls, or of moving bytes."""
        self._move(Event.INTERRUPTED)

    def tick(self, now: float) -> None:
        """Time passed: say "still here" if nothing was said for long."""
        if self._spoke or self.outbox.size:  # what waits to be written says it already
            self._spoke = False
            self.deadline = now + self._heartbeat
        elif now >= self.deadline:
            self.overdue(now)

    def overdue(self, now: float) -> None:
        """Nothing was said for a heartbeat's time."""
        self._move(Event.OVERDUE)
        self._spoke = False
        self.deadline = now + self._heartbeat

    @property
    def largest(self) -> int:
        """The size of the largest content encoded so far, in bytes."""
        return self._encoder.largest

    def encode(self, messages: Iterable[Message]) -> list[bytes]:
        """The frames of these messages, as `Encoder.encode` gives them."""
        return self._encoder.encode(messages)

    def send(self, frames: list[bytes], count: int) -> None:
        """Queue these frames of so many messages, if the conversation is on."""
        if self.state is _TALKING:
            self._spoke = True
            for piece in frames:
                self.outbox.add(piece)
            self.sent += count

    def close(self) -> None:
        """Ask the server to close; responses that nobody waited for are dropped."""
        self._responses.clear()
        self._move(Event.CLOSE_WANTED)

    def response(self) -> Message | None:
        """The next response, if one has come."""
        if not self._responses:
            return None
        _, message, weight = self._responses.popleft()
        self._unread -= weight
        return message

    def response_to(self, number: int) -> Message | None:
        """The next response to the message of that number (the first one sent is 1), if one has come."""
        for index, (answered, message, weight) in enumerate(self._responses):
            if answered == number:
                del self._responses[index]
                self._unread -= weight
                return message
        return None

    def _advance(self) -> None:
        for frame in self._decoder.frames(_ALL):
            if isinstance(frame, Message):
                if self._row[_MESSAGE][1] is not _DELIVER:
                    continue
                media_type, weight = frame.media_type, len(frame.content) + _OVERHEAD
                if media_type is not self._weightless:
                    weight += self._weigh(media_type)
                self._responses.append((self.acknowledged, frame, weight))
                self._unread += weight
                if self._unread <= self._limits.unread or len(self._responses) == 1:  # the one waited for may be any size
                    continue
                self._move(Event.FLOODED)
            elif isinstance(frame, Signal):
                if self._row[frame][1] is not _COUNT:
                    self._move(frame)
                elif self.acknowledged < self.sent:
                    self.acknowledged += 1
                    continue
                else:
                    self._break("an acknowledgement of nothing")
            else:
                self._break(frame.reason)
            if not self.open:
                return

    def _weigh(self, media_type: MediaType) -> int:
        weight = _weight(media_type)
        if not weight:
            self._weightless = media_type  # and so is that of the next response, mostly
        return weight

    def _break(self, reason: str) -> None:
        self.broken = reason
        self._move(Event.BROKEN)

    def _move(self, event: Event | Signal) -> Command:
        state, command, said = self._row[event]
        if state is not self.state:
            self.state, self._row = state, _ROWS[state]
            self.open = state in _OPEN
            if state in _CUT_OFF:
                self.outbox.mute()  # nobody would answer for what is still unsent
        if said:
            self.outbox.add(said)
        return command
