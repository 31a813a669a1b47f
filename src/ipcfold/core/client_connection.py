"""The client's end of one connection.

It feeds the table of `protocol`, counts acknowledgements, and keeps each response with the number of the message that it
answers. A response answers the message that was acknowledged last before it, unless it has a mark: then it answers the message of
that number, or none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable, Iterator
from typing import Final, final

from ipcfold.accelerator import accelerate
from ipcfold.core.buffers import Memory, Outbox, fresh
from ipcfold.core.protocol import CLIENT_ROWS, ClientEvent, ClientState, Command
from ipcfold.core.wire import MARK, Decoder, Encoder, Signal, unmarked
from ipcfold.limits import Limits
from ipcfold.message import TEXT_PLAIN, MediaType, Message

_ALL: Final = 2**30  # frames
_OVERHEAD: Final = 256  # bytes; roughly what a kept response takes in addition to its content
_MARKED: Final = 4  # values of an entry of a response with a mark
_REMEMBERED: Final = 2**16  # messages, the last ones, whose late answers are known as such that nobody waits for
_PARAMETER: Final = 128  # bytes; the same for a parameter of its media type

_OPEN: Final = frozenset({ClientState.CONNECTED, ClientState.TALKING, ClientState.CLOSING})
_CUT_OFF: Final = frozenset({ClientState.LOST, ClientState.BROKEN, ClientState.FLOODED, ClientState.INTERRUPTED})


# Looking up a member of an enumeration costs more than a variable, see `server_connection`.
_TALKING: Final = ClientState.TALKING
_MESSAGE: Final = ClientEvent.MESSAGE
_DELIVER: Final = Command.DELIVER  # it changes no state
_COUNT: Final = Command.COUNT  # it changes no state


def _weight(media_type: MediaType) -> int:
    """Roughly how many bytes this media type takes in memory; 0 for a short one without parameters."""
    if not media_type.parameters and len(str(media_type)) <= _OVERHEAD:
        return 0
    return 2 * len(str(media_type)) + _PARAMETER * len(media_type.parameters)  # it keeps the text and its parts


@final
class ClientConnection:
    """One connection of a client, without its socket."""

    __slots__ = (
        "_decoder",
        "_disowned",
        "_encoder",
        "_forgotten",
        "_forgotten_from",
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

    def __init__(self, *, heartbeat: float, limits: Limits, now: float, memory: Memory = fresh) -> None:
        """`heartbeat`: seconds without writing after which to send a heartbeat; `now`: seconds of any steady clock."""
        self._heartbeat = heartbeat
        self._encoder = Encoder(limits)
        self._weightless: MediaType = TEXT_PLAIN
        self.deadline = now + heartbeat
        """When `tick` is to be called next."""
        self._spoke = False
        self.state = ClientState.CONNECTED
        self._row = CLIENT_ROWS[ClientState.CONNECTED]
        self.open = True
        """Whether anything can still arrive."""
        self.outbox = Outbox()
        self.sent = 0
        """The number of messages that were given to `send`."""
        self.acknowledged = 0
        """The number of these that the server has folded. They are always the first ones."""
        self.broken = ""
        """How the server broke the protocol, once the state is `BROKEN`."""
        self._limits = limits
        self._decoder = Decoder(limits.message, likely=Signal.RECEIVED, memory=memory, marks=True)
        # The number of the message that was acknowledged last, the response, its weight, and the number that its mark gives.
        self._responses: deque[tuple[int, Message, int] | tuple[int, Message, int, int]] = deque()
        self._unread = 0
        self._disowned: set[int] = set()  # the numbers of messages whose next response is dropped, if no other is acknowledged before it
        self._forgotten = 0  # the same after that, because a late answer may come: a bit for each message
        self._forgotten_from = 0  # the number of the message that the lowest bit is for

    @accelerate("receive")
    def receive(self, data: bytes) -> None:
        """Take these bytes of the stream."""
        self._decoder.feed(data)
        self._advance()

    def room(self) -> memoryview | None:
        """The memory to read the next bytes into, instead of `receive`, while a large content arrives; then call `filled`."""
        return None if self._decoder.large is None else self._decoder.room()

    def filled(self, count: int) -> None:
        """Note that so many bytes were read into the room."""
        self._decoder.filled(count)
        self._advance()

    def end(self) -> None:
        """Note the end of the stream."""
        self._move(ClientEvent.ENDED)

    def interrupt(self) -> None:
        """Note that an exception interrupted one of these calls, or a transfer of bytes."""
        self._move(ClientEvent.INTERRUPTED)

    def tick(self, now: float) -> None:
        """Send a heartbeat if nothing was written since the last deadline and it has passed."""
        if self._spoke or self.outbox.size:  # the bytes in the outbox serve as a sign of life
            self._spoke = False
            self.deadline = now + self._heartbeat
        elif now >= self.deadline:
            self.overdue(now)

    def overdue(self, now: float) -> None:
        """Send a heartbeat."""
        self._move(ClientEvent.OVERDUE)
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
        """Queue these frames of so many messages, if the connection is open."""
        if self.state is _TALKING:
            self._spoke = True
            self.outbox.extend(frames)
            self.sent += count

    def wrote(self, frame: bytes, written: int) -> None:
        """Note that so many bytes of the frame of a message were written at once, while the outbox was empty. The rest is queued."""
        self._spoke = True
        self.sent += 1
        if written < len(frame):
            self.outbox.add(frame[written:])

    def close(self) -> None:
        """Ask the server to close. Unread responses are dropped."""
        self._responses.clear()
        self._move(ClientEvent.CLOSE_WANTED)

    def response(self) -> Message | None:
        """The next response, if one has arrived."""
        if not self._responses:
            return None
        entry = self._responses.popleft()  # without a call of `_taken`, because each message needs one
        self._unread -= entry[2]
        return entry[1]

    def next(self) -> tuple[Message, int] | None:
        """The next response, if one has arrived, and the number of the message that it answers: 0 for none."""
        return self._taken(0) if self._responses else None

    def response_to(self, number: int, behind: int = 0) -> Message | None:
        """The next response to the message of that number (1 is the first), if one has arrived behind the first `behind` responses."""
        responses = self._responses
        index = found = len(responses)
        for entry in reversed(responses):  # they lie in the order of the first number, and the last message is usually meant
            if index == behind or entry[0] < number:
                break
            index -= 1
            if entry[-1] == number if len(entry) == _MARKED else entry[0] == number:
                found = index
        return self._taken(found)[0] if found < len(responses) else None

    def claimed(self, numbers: Container[int], behind: int) -> Iterator[tuple[int, Message]]:
        """Take the responses to these messages that have arrived behind the first `behind` responses, each with its message's number.

        The caller may change the numbers meanwhile.
        """
        index = behind
        while index < len(self._responses):
            entry = self._responses[index]
            number = entry[-1] if len(entry) == _MARKED else entry[0]
            if number in numbers:
                yield number, self._taken(index)[0]
            else:
                index += 1

    @property
    def unread(self) -> int:
        """The number of responses that nobody has taken."""
        return len(self._responses)

    def _taken(self, index: int) -> tuple[Message, int]:
        entry = self._responses[index]
        del self._responses[index]
        self._unread -= entry[2]
        return entry[1], entry[3] if len(entry) == _MARKED else entry[0]

    def disown(self, number: int) -> None:
        """Drop the next response to the message of that number when it comes. The caller no longer waits for it."""
        self._disowned.add(number)

    def _advance(self) -> None:
        for frame in self._decoder.frames(_ALL):
            if isinstance(frame, Message):
                if self._row[_MESSAGE][1] is not _DELIVER:
                    continue
                mark = None
                if frame.media_type.parameters and frame.media_type.parameters[-1][0] == MARK:
                    mark = unmarked(frame)
                    if mark is None or mark[1] > self.acknowledged:
                        self._break("an answer to nothing")
                        return
                    frame, number = mark  # noqa: PLW2901 - the message is the frame without its mark
                    if number and self._drops(number):
                        continue
                elif self._disowned and self.acknowledged in self._disowned:
                    self._disowned.remove(self.acknowledged)
                    continue
                media_type, weight = frame.media_type, len(frame.content) + _OVERHEAD
                if media_type is not self._weightless:
                    weight += self._weigh(media_type)
                self._responses.append((self.acknowledged, frame, weight) if mark is None else (self.acknowledged, frame, weight, mark[1]))
                self._unread += weight
                if self._unread <= self._limits.unread or len(self._responses) == 1:  # a single response may have any size
                    continue
                self._move(ClientEvent.FLOODED)
            elif isinstance(frame, Signal):
                if self._row[frame][1] is not _COUNT:
                    self._move(frame)
                elif self.acknowledged < self.sent:
                    if self.acknowledged in self._disowned:  # only a late answer can still respond to that one
                        self._disowned.remove(self.acknowledged)
                        self._forget(self.acknowledged)
                    self.acknowledged += 1
                    continue
                else:
                    self._break("an acknowledgement of nothing")
            else:
                self._break(frame.reason)
            if not self.open:
                return

    def _forget(self, number: int) -> None:
        """Drop the next late answer to the message of that number. All but the last `_REMEMBERED` messages are left out."""
        if (excess := number - self._forgotten_from - _REMEMBERED) > 0:
            self._forgotten >>= excess + _REMEMBERED // 2
            self._forgotten_from += excess + _REMEMBERED // 2
        self._forgotten |= 1 << (number - self._forgotten_from)

    def _drops(self, number: int) -> bool:
        """Whether to drop this late answer to the message of that number."""
        bit = 1 << (number - self._forgotten_from) if self._forgotten and number >= self._forgotten_from else 0
        dropped = bool(self._forgotten & bit) or number in self._disowned
        self._forgotten &= ~bit
        self._disowned.discard(number)
        return dropped

    def _weigh(self, media_type: MediaType) -> int:
        weight = _weight(media_type)
        if not weight:
            self._weightless = media_type  # the next response usually has the same
        return weight

    def _break(self, reason: str) -> None:
        self.broken = reason
        self._move(ClientEvent.BROKEN)

    def _move(self, event: ClientEvent | Signal) -> Command:
        state, command, said = self._row[event]
        if state is not self.state:
            self.state, self._row = state, CLIENT_ROWS[state]
            self.open = state in _OPEN
            if state in _CUT_OFF:
                self.outbox.mute()  # nothing that is still unsent could be acknowledged
        if said:
            self.outbox.add(said)
        return command
