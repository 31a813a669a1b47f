"""The server's end of one connection.

`transition` is the whole protocol of this end, as a table: a state and an event give the next state and one command.
`ServerConnection` feeds the table. It decodes one message at a time, so that what follows a message on the stream (a
request to close, the end) is handled after that message is folded. It reads nothing more from a peer that does not read
what is written to it.
"""

from __future__ import annotations

from enum import Enum
from math import inf
from typing import Final, TypeAlias, final

from ipcfold.continuation import Outcome
from ipcfold.core.frame import Broken, Decoder, Frame, Signal
from ipcfold.core.outbox import Outbox
from ipcfold.events import Departure
from ipcfold.limits import Limits
from ipcfold.message import Message
from ipcfold.peer import Peer

_LOOKED_AT: Final = 32  # frames at once, so that a client that sends only signals gets no more of the server than others


class State(Enum):
    """The state of the connection."""

    GREETED = "greeted"
    """The client was greeted and has not accepted. Whatever else it sends is ignored."""
    TALKING = "talking"
    """Messages may come."""
    CLOSING = "closing"
    """The server asked to close. Whatever is not the confirmation is ignored."""
    OVER = "over"
    """The conversation is over. Only the rest of the outbox is still written."""

    __hash__ = object.__hash__  # as for signals


class Event(Enum):
    """What can happen to this end, beside the peer's signals."""

    MESSAGE = "message"
    FOLDED = "folded"
    CLOSE_WANTED = "close wanted"
    OVERDUE = "overdue"
    STALLED = "stalled"
    BROKEN = "broken"
    ENDED = "ended"

    __hash__ = object.__hash__  # as for signals


class Command(Enum):
    """What to do on a transition; most are a signal to send."""

    NOTHING = "nothing"
    ASK_HANDLER = "ask the handler"
    ACKNOWLEDGE = Signal.RECEIVED
    HEARTBEAT = Signal.HEARTBEAT
    ASK_TO_CLOSE = Signal.CLOSE
    CONFIRM_CLOSE = Signal.CLOSE_OK


_MOVES: Final[dict[State, dict[Event | Signal, tuple[State, Command]]]] = {
    State.GREETED: {
        Signal.START_OK: (State.TALKING, Command.NOTHING),
        Event.CLOSE_WANTED: (State.CLOSING, Command.ASK_TO_CLOSE),
        Event.BROKEN: (State.OVER, Command.NOTHING),
        Event.ENDED: (State.OVER, Command.NOTHING),
        Event.OVERDUE: (State.OVER, Command.NOTHING),
    },
    State.TALKING: {
        Event.MESSAGE: (State.TALKING, Command.ASK_HANDLER),
        Event.FOLDED: (State.TALKING, Command.ACKNOWLEDGE),
        Event.OVERDUE: (State.TALKING, Command.HEARTBEAT),
        Signal.CLOSE: (State.OVER, Command.CONFIRM_CLOSE),
        Event.CLOSE_WANTED: (State.CLOSING, Command.ASK_TO_CLOSE),
        Event.STALLED: (State.OVER, Command.NOTHING),
        Event.BROKEN: (State.OVER, Command.NOTHING),
        Event.ENDED: (State.OVER, Command.NOTHING),
    },
    State.CLOSING: {
        Signal.CLOSE_OK: (State.OVER, Command.NOTHING),
        Signal.CLOSE: (State.OVER, Command.CONFIRM_CLOSE),  # both ends asked at once: the client waits for a confirmation
        Event.BROKEN: (State.OVER, Command.NOTHING),
        Event.ENDED: (State.OVER, Command.NOTHING),
        Event.OVERDUE: (State.OVER, Command.NOTHING),
    },
    State.OVER: {},
}

Row: TypeAlias = dict[Event | Signal, tuple[State, Command, bytes]]


def _row(state: State, moves: dict[Event | Signal, tuple[State, Command]]) -> Row:
    row = Row()
    for event in (*Event, *Signal):
        after, command = moves.get(event, (state, Command.NOTHING))
        row[event] = after, command, command.value.frame if isinstance(command.value, Signal) else b""
    return row


# The same table with every event in every row and with the bytes to send, so that a transition is one look-up.
_ROWS: Final = {state: _row(state, moves) for state, moves in _MOVES.items()}

# Looking up a member of an enumeration costs more than a variable (15 to 18 % of the instructions of a message).
_TALKING: Final = State.TALKING
_OVER: Final = State.OVER
_MESSAGE: Final = Event.MESSAGE
_FOLDED: Final = Event.FOLDED
_ASK_HANDLER: Final = Command.ASK_HANDLER  # this and the next change no state
_ACKNOWLEDGE: Final = Command.ACKNOWLEDGE
_CONTINUE: Final = Outcome.CONTINUE


def transition(state: State, event: Event | Signal) -> tuple[State, Command]:
    """The protocol of this end. Every state takes every event; an event that is not in the row changes nothing."""
    after, command, _ = _ROWS[state][event]
    return after, command


@final
class PausedTime:
    """The total time during which the server did not read its sockets, because a handler ran for example."""

    __slots__ = ("seconds",)

    def __init__(self) -> None:
        self.seconds = 0.0


@final
class ServerConnection:
    """One connection of a server, without its socket."""

    __slots__ = (
        "_begun",
        "_decoder",
        "_draining",
        "_ended",
        "_ended_by",
        "_frames",
        "_heartbeat",
        "_limits",
        "_paused",
        "_row",
        "_since",
        "behind",
        "fault",
        "hearing",
        "moved",
        "outbox",
        "peer",
        "state",
        "waiting",
    )

    def __init__(self, peer: Peer, *, heartbeat: float, limits: Limits, now: float, paused: PausedTime | None = None) -> None:
        """`heartbeat`: seconds of silence after which to send a heartbeat; `now`: seconds of any steady clock."""
        self.peer = peer
        self.fault = ""
        """The fault of this peer that ended the connection, if any."""
        self._paused = paused or PausedTime()
        self._begun: float | None = None  # when the incomplete frame began, minus the paused time until then
        self.state = State.GREETED
        self.outbox = Outbox()
        self.waiting = False
        """Whether a message of this peer waits to be folded."""
        self.behind = False
        """Whether to call `next` again although it gave no message: more frames have arrived than it takes at once."""
        self.hearing = True
        """Whether more bytes may arrive: neither the stream nor the conversation is over."""
        self.moved = True
        """Whether the state, and so the deadline, has changed since the core reset this."""
        self._decoder = Decoder(limits.message)
        self._frames: list[Frame | Broken] = []  # decoded and not handled yet, last one first
        self._row = _ROWS[State.GREETED]
        self._draining = False
        self._ended = False
        self._ended_by: Event | Signal = Event.ENDED
        self._heartbeat = heartbeat
        self._limits = limits
        self._since = now  # when the state or the silence began
        self.outbox.add(Signal.START.frame)

    @property
    def deadline(self) -> float:
        """When to call `overdue`."""
        match self.state:
            case State.TALKING:
                return min(self._since + self._heartbeat, self._frame_deadline)
            case State.GREETED:
                return self._since + self._limits.handshake
            case State.CLOSING if self.outbox.size and not self._draining:
                return self._since + self._limits.frame  # the client first gets what was written before
            case State.CLOSING | State.OVER:
                return self._since + self._limits.drain

    @property
    def _frame_deadline(self) -> float:
        """When the incomplete frame must be complete. Paused time does not count."""
        return inf if self._begun is None else self._begun + self._limits.frame + self._paused.seconds

    @property
    def over(self) -> bool:
        """Whether the shell can close the socket."""
        return self.state is _OVER and not self.outbox.size

    @property
    def departure(self) -> Departure:
        """How the connection ended, once it is over."""
        if self.fault:
            return Departure.DROPPED
        match self._ended_by:
            case Signal.CLOSE:
                return Departure.CLOSED
            case Signal.CLOSE_OK:
                return Departure.DISMISSED
            case _:
                return Departure.LOST

    @property
    def reading(self) -> bool:
        """Whether to read more bytes, once no message of this peer waits."""
        return self.hearing and self.outbox.size <= self._limits.unsent

    @property
    def clogged(self) -> bool:
        """Whether this peer must read before the server folds or reads more of it."""
        return self.outbox.size > self._limits.unsent

    def receive(self, data: bytes, now: float) -> None:
        """Take these bytes of the stream."""
        self._decoder.feed(data)
        if self.state is _TALKING:
            self._since = now

    def room(self) -> memoryview | None:
        """The memory to read the next bytes into, instead of `receive`, while a large content arrives; then call `filled`."""
        return self._decoder.room()

    def filled(self, count: int, now: float) -> None:
        """Note that so many bytes were read into the room."""
        self._decoder.filled(count)
        if self.state is _TALKING:
            self._since = now

    def wrote(self, now: float) -> None:
        """Note that a part of the outbox was written: a client that reads gets more time."""
        if not self._draining and (self.state is State.CLOSING or self.state is State.OVER):
            self._since = now
            self.moved = True

    def drain(self, now: float) -> None:
        """Note that the whole server ends: the rest has `limits.drain` seconds from now."""
        self._draining = True
        self._since = now
        self.moved = True

    def end(self) -> None:
        """Note the end of the stream. What arrived before is still folded."""
        self._ended = True
        self.hearing = False

    def abort(self, fault: str, now: float) -> None:
        """Give this peer up: read and write nothing more, and free its memory."""
        self.fault = fault
        self._decoder = Decoder(self._limits.message)
        self._frames = []
        self.outbox.mute()
        self._move(Event.BROKEN, now)

    def next(self, now: float) -> Message | None:
        """The next message to fold, if there is one and the peer reads its responses."""
        frames, left = self._frames, _LOOKED_AT
        self.behind = False
        while self.state is not _OVER and self.outbox.size <= self._limits.unsent:
            if not frames:
                if self._decoder.fresh:
                    frames = self._frames = self._decoder.frames(_LOOKED_AT)
                if not frames:
                    if self._ended:
                        self._move(Event.ENDED, now)
                    elif self._decoder.buffered:
                        self._begin(now)
                    return None
                frames.reverse()
                self._begun = None
            frame = frames.pop()
            if isinstance(frame, Message):
                if self._row[_MESSAGE][1] is _ASK_HANDLER:
                    self.waiting = True
                    return frame
            elif isinstance(frame, Signal):
                self._move(frame, now)
            else:
                self.fault = f"it broke the protocol: {frame.reason}"
                self._move(Event.BROKEN, now)
            left -= 1
            if not left:
                self.behind = True
                return None
        return None

    def reply(self, responses: list[bytes], outcome: Outcome, now: float) -> None:
        """Acknowledge the folded message, send these response frames, and close if that is the outcome."""
        self.waiting = False
        _, command, said = self._row[_FOLDED]
        if command is _ACKNOWLEDGE:
            outbox = self.outbox
            outbox.add(said)
            for piece in responses:
                outbox.add(piece)
            if outcome is not _CONTINUE:
                self.close(now)

    def close(self, now: float) -> None:
        """Ask the peer to close."""
        self.waiting = False
        self._move(Event.CLOSE_WANTED, now)

    def overdue(self, now: float) -> None:
        """Handle a passed deadline: send a heartbeat, or end the connection."""
        if self.state is State.TALKING:
            if now >= self._frame_deadline:
                self.fault = f"one frame of it took more than {self._limits.frame:g} s (limits.frame)"
                self._move(Event.STALLED, now)
            elif not self.outbox.size:  # otherwise the unwritten bytes serve as a sign of life
                self._move(Event.OVERDUE, now)
        else:
            self.fault = self.fault or self._lateness()
            self.outbox.mute()  # the time to confirm and to read has passed
            self._move(Event.OVERDUE, now)
        self._since = now

    def _lateness(self) -> str:
        """Which limit the peer has exceeded."""
        if self.state is State.GREETED:
            return f"it did not accept the greeting within {self._limits.handshake:g} s (limits.handshake)"
        if self.outbox.size and not self._draining and self.state is State.CLOSING:
            return f"it read nothing of what waited for it for {self._limits.frame:g} s (limits.frame)"
        awaited = "confirm the end" if self.state is State.CLOSING else "read the rest"
        return f"it did not {awaited} within {self._limits.drain:g} s (limits.drain)"

    def _begin(self, now: float) -> None:
        """Note when an incomplete frame began."""
        if self._begun is None and self.state is _TALKING:
            self._begun = now - self._paused.seconds
            self.moved = True

    def _move(self, event: Event | Signal, now: float) -> Command:
        state, command, said = self._row[event]
        if state is not self.state:
            self.state, self._row = state, _ROWS[state]
            self.moved = True
            if state is _OVER:
                self.hearing = False
                self._ended_by = event
            if not self._draining:
                self._since = now
        if said:
            self.outbox.add(said)
        return command
