"""The server's end of one connection.

It feeds the table of `protocol`. It decodes one message at a time, so that what follows a message on the stream (a request
to close, the end) is handled after that message is folded. It reads nothing more from a peer that does not read what is
written to it.

A shell gives the end its events: the bytes that arrive, the end of the stream, the bytes that were written. The core handles
them at its next turn.
"""

from __future__ import annotations

from math import inf
from typing import Final, final

from ipcfold.continuation import Outcome
from ipcfold.core.buffers import Memory, Outbox, fresh
from ipcfold.core.protocol import SERVER_ROWS, Command, ServerEvent, ServerState
from ipcfold.core.wire import Broken, Decoder, Frame, Signal
from ipcfold.events import Departure
from ipcfold.limits import Limits
from ipcfold.message import Message
from ipcfold.peer import Peer

# A client of the original looks at its timeout only after its watch of one period ended without a byte. If the server's
# heartbeats came once a period, each watch would end with one, and `wait` with a timeout would wait for ever.
_PERIODS: Final = 1.5
_LOOKED_AT: Final = 32  # frames at once, so that a client that sends only signals gets no more of the server than others

# Looking up a member of an enumeration costs more than a variable (15 to 18 % of the instructions of a message).
_TALKING: Final = ServerState.TALKING
_OVER: Final = ServerState.OVER
_MESSAGE: Final = ServerEvent.MESSAGE
_FOLDED: Final = ServerEvent.FOLDED
_OVERDUE: Final = ServerEvent.OVERDUE
_TOLD: Final = ServerEvent.TOLD
_TELL: Final = Command.TELL  # it changes no state
_ASK_HANDLER: Final = Command.ASK_HANDLER  # it changes no state
_ACKNOWLEDGE: Final = Command.ACKNOWLEDGE  # it changes no state
_CONTINUE: Final = Outcome.CONTINUE
_HEARTBEAT: Final = Signal.HEARTBEAT.frame


@final
class Shared:
    """The values that the connections of one server share."""

    __slots__ = ("changed", "memory", "paused")

    def __init__(self, memory: Memory = fresh) -> None:
        self.memory = memory
        """Gives memory for large contents."""
        self.changed: list[ServerConnection] = []
        """The connections with events that the core has not handled yet."""
        self.paused = 0.0
        """The total time in seconds during which the server did not read its sockets, for example because a handler ran."""


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
        "_row",
        "_shared",
        "_since",
        "_unasked",
        "behind",
        "due",
        "fault",
        "hearing",
        "moved",
        "number",
        "outbox",
        "peer",
        "state",
        "told",
        "waiting",
    )

    def __init__(self, peer: Peer, *, heartbeat: float, limits: Limits, now: float, shared: Shared | None = None) -> None:
        """A heartbeat is sent after one and a half times `heartbeat` seconds of silence; `now`: seconds of any steady clock."""
        self.peer = peer
        self.fault = ""
        """The fault of this peer that ended the connection, if any."""
        self._shared = shared or Shared()
        self.told = False
        """Whether the core has events of this connection to handle."""
        self._begun: float | None = None  # when the incomplete frame began, minus the paused time until then
        self.state = ServerState.GREETED
        self.outbox = Outbox()
        self.waiting = False
        """Whether a message of this peer waits to be folded."""
        self.number = 0
        """The number of messages of this peer that were given out to be folded."""
        self.behind = False
        """Whether to call `next` again although it gave no message: more frames have arrived than it takes at once."""
        self.hearing = True
        """Whether more bytes may arrive: neither the stream nor the connection is over."""
        self.moved = True
        """Whether the state, and so the deadline, has changed since the core reset this."""
        self._decoder = Decoder(limits.message, memory=self._shared.memory)
        self._frames: list[Frame | Broken] = []  # decoded and not handled yet, last one first
        self._row = SERVER_ROWS[ServerState.GREETED]
        self._draining = False
        self._ended = False
        self._ended_by: ServerEvent | Signal = ServerEvent.ENDED
        self._heartbeat = _PERIODS * heartbeat
        self._limits = limits
        self._since = now  # when the state or the silence began
        self._unasked = 0  # how many bytes of `tell` were not written at the last one, at most
        self.due = inf
        """When the server looks at this connection next; the core sets it."""
        self.outbox.add(Signal.START.frame)

    @property
    def deadline(self) -> float:
        """When to call `overdue`."""
        if self.state is _TALKING and self._begun is None:
            return self._since + self._heartbeat  # the usual case
        match self.state:
            case ServerState.TALKING:
                return min(self._since + self._heartbeat, self._frame_deadline)
            case ServerState.GREETED:
                return self._since + self._limits.handshake
            case ServerState.CLOSING if self.outbox.size and not self._draining:
                return self._since + self._limits.frame  # the client first gets what was written before
            case ServerState.CLOSING | ServerState.OVER:
                return self._since + self._limits.drain

    @property
    def _frame_deadline(self) -> float:
        """When the incomplete frame must be complete. Paused time does not count."""
        return inf if self._begun is None else self._begun + self._limits.frame + self._shared.paused

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

    def receive(self, data: bytes, now: float) -> None:
        """Take these bytes of the stream."""
        decoder = self._decoder
        if self.state is _TALKING:
            self._since = now
            if data == _HEARTBEAT and not decoder.buffered and not decoder.fresh:
                return  # it changes nothing else, and thousands of clients that wait send many
        decoder.feed(data)
        if not self.told:
            self.told = True
            self._shared.changed.append(self)

    @property
    def growing(self) -> bool:
        """Whether a large content arrives."""
        return self._decoder.large is not None

    def room(self) -> memoryview | None:
        """The memory to read the next bytes into, instead of `receive`, while a large content arrives; then call `filled`."""
        return None if self._decoder.large is None else self._decoder.room()

    def filled(self, count: int, now: float) -> None:
        """Note that so many bytes were read into the room."""
        self._decoder.filled(count)
        if self.state is _TALKING:
            self._since = now
        if not self.told:
            self._tell()

    def owe(self, data: bytes) -> None:
        """Write these bytes, which are left of answers that the shell has written in part."""
        self.outbox.add(data)
        if not self.told:
            self._tell()

    def wrote(self, count: int, now: float) -> None:
        """Note that so many bytes of the outbox's head were written. A client that reads while it is closed gets more time."""
        outbox = self.outbox
        clogged = outbox.size > self._limits.unsent
        outbox.sent(count)
        if self.state is _TALKING:
            if clogged and not self.told:
                self._tell()
            return
        if not self._draining and (self.state is ServerState.CLOSING or self.state is _OVER):
            self._since = now
            self.moved = True
        if not self.told:
            self._tell()

    def unheard(self) -> None:
        """Note that the peer reads nothing more. What it wrote before is still folded."""
        self.outbox.mute()
        if not self.told:
            self._tell()

    def drain(self, now: float) -> None:
        """Note that the whole server ends: the rest has `limits.drain` seconds from now."""
        self._draining = True
        self._since = now
        self.moved = True

    def end(self) -> None:
        """Note the end of the stream. What arrived before is still folded."""
        self._ended = True
        self.hearing = False
        if not self.told:
            self._tell()

    def abort(self, fault: str, now: float) -> None:
        """Give this peer up: read and write nothing more, and free its memory."""
        self.fault = fault
        self.free()
        self._move(ServerEvent.BROKEN, now)
        if not self.told:
            self._tell()

    def free(self) -> None:
        """Free the memory of what arrived and of what is to be written."""
        self._decoder = Decoder(self._limits.message)
        self._frames = []
        self.outbox.mute()

    def _tell(self) -> None:
        self.told = True
        self._shared.changed.append(self)

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
                        self._move(ServerEvent.ENDED, now)
                    elif self._decoder.buffered:
                        self._begin(now)
                    return None
                frames.reverse()
                self._begun = None
            frame = frames.pop()
            if isinstance(frame, Message):
                if self._row[_MESSAGE][1] is _ASK_HANDLER:
                    self.waiting = True
                    self.number += 1
                    return frame
            elif isinstance(frame, Signal):
                self._move(frame, now)
            else:
                self.fault = f"it broke the protocol: {frame.reason}"
                self._move(ServerEvent.BROKEN, now)
            left -= 1
            if not left:
                self.behind = True
                return None
        return None

    def reply(self, responses: list[bytes], outcome: Outcome, now: float) -> Message | None:
        """Acknowledge the folded message, send these response frames, and close if that is the outcome. Returns the next message."""
        self.waiting = False
        _, command, said = self._row[_FOLDED]
        if command is _ACKNOWLEDGE:
            self.outbox.extend([said, *responses])
            if outcome is not _CONTINUE:
                self.close(now)
        return self.next(now)

    def tell(self, frames: list[bytes], most: int, now: float) -> None:
        """Send these frames, which answer no message now. A peer that has more than `most` bytes of such frames to read is dropped instead.

        Responses that wait for the peer do not count: it asked for them, and may be reading them.
        """
        if self._row[_TOLD][1] is not _TELL:
            return
        before = min(self._unasked, self.outbox.size)
        if before > most:
            self.abort(f"it has not read {before} bytes of what it was told (limits.unsent)", now)
        else:
            self._unasked = before + sum(map(len, frames))
            self.outbox.extend(frames)

    def revoke(self, size: int) -> None:
        """Keep only so many bytes of the outbox: the rest must not be written, because the log does not have what it tells of."""
        if self.outbox.size > size:
            self.outbox.cut(size)
            if self.state is ServerState.CLOSING:  # the request was in the rest
                self.outbox.add(Signal.CLOSE.frame)

    def close(self, now: float) -> None:
        """Ask the peer to close."""
        self.waiting = False
        self._move(ServerEvent.CLOSE_WANTED, now)

    def beat(self, until: float, now: float) -> bool:
        """Send a heartbeat, if one is due until then, and nothing else. Returns whether it was due."""
        if self.state is not _TALKING or self._begun is not None or self._since + self._heartbeat > until:
            return False
        if not self.outbox.size:  # otherwise the unwritten bytes serve as a sign of life
            self.outbox.add(self._row[_OVERDUE][2])
        self._since = now
        return True

    def overdue(self, now: float) -> None:
        """Handle a passed deadline: send a heartbeat, or end the connection."""
        if self.state is ServerState.TALKING:
            if now >= self._frame_deadline:
                self.fault = f"one frame of it took more than {self._limits.frame:g} s (limits.frame)"
                self._move(ServerEvent.STALLED, now)
            elif not self.outbox.size:  # otherwise the unwritten bytes serve as a sign of life
                self._move(ServerEvent.OVERDUE, now)
        else:
            self.fault = self.fault or self._lateness()
            self.outbox.mute()  # the time to confirm and to read has passed
            self._move(ServerEvent.OVERDUE, now)
        self._since = now

    def _lateness(self) -> str:
        """Which limit the peer has exceeded."""
        if self.state is ServerState.GREETED:
            return f"it did not accept the greeting within {self._limits.handshake:g} s (limits.handshake)"
        if self.outbox.size and not self._draining and self.state is ServerState.CLOSING:
            return f"it read nothing of what waited for it for {self._limits.frame:g} s (limits.frame)"
        awaited = "confirm the end" if self.state is ServerState.CLOSING else "read the rest"
        return f"it did not {awaited} within {self._limits.drain:g} s (limits.drain)"

    def _begin(self, now: float) -> None:
        """Note when an incomplete frame began."""
        if self._begun is None and self.state is _TALKING:
            self._begun = now - self._shared.paused
            self.moved = True

    def _move(self, event: ServerEvent | Signal, now: float) -> Command:
        state, command, said = self._row[event]
        if state is not self.state:
            self.state, self._row = state, SERVER_ROWS[state]
            self.moved = True
            if state is _OVER:
                self.hearing = False
                self._ended_by = event
            if not self._draining:
                self._since = now
        if said:
            self.outbox.add(said)
        return command
