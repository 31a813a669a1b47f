"""The rules for a server's end of one connection, from the bytes of its socket and the answers of its handler.

The model gets the actions of the shell, never the state of the end. It reads that state only to compare it.
"""

from typing import Final, final

from ipcfold import Limits, Message
from ipcfold.continuation import Continuation, Outcome
from ipcfold.core.protocol import ServerState
from ipcfold.core.server_connection import ServerConnection
from ipcfold.core.wire import Frame, Signal, encode
from ipcfold.limits import LARGEST_CONTENT
from tests.fuzz.models import SIGNAL_SIZE, Stream

_TAILS: Final[tuple[list[Frame], ...]] = ([], [Signal.CLOSE], [Signal.CLOSE_OK], [Signal.CLOSE, Signal.CLOSE_OK])
_FAULTS: Final = {
    ServerState.GREETED: ("(limits.handshake)",),
    ServerState.TALKING: ("(limits.frame)",),
    ServerState.CLOSING: ("(limits.frame)", "(limits.drain)"),
    ServerState.OVER: ("(limits.drain)",),
}


@final
class ConnectionModel:
    """The model of a server's end of one connection."""

    def __init__(self, end: ServerConnection, limits: Limits, now: float) -> None:
        self._end = end
        self._limits = limits
        self._heard = Stream(limits.message)
        self._accepted = False
        self._closed = False
        """Whether the peer asked to close."""
        self._messages: list[Message] = []
        """The messages between the acceptance of the greeting and the wish to close."""
        self._asked = 0
        self._answers: list[Frame] = [Signal.START]
        """The frames to write until now, without heartbeats and signals about closing."""
        self._answers_size = len(Signal.START.frame)
        self._largest_answer = 0
        self._said = Stream(LARGEST_CONTENT)
        self._said_size = 0
        self._beats = 0
        """The largest possible number of heartbeats."""
        self._ended = False
        self._dropping = False
        """Whether the server ended the connection: it asked to close, or the peer was late."""
        self._asked_to_close = False
        self._state = ServerState.GREETED
        self._moved_at = now
        """When the state began, or when the unwritten bytes last became fewer during the closing."""
        self._drained_at: float | None = None
        self.lost = False
        """Whether the peer was late, so that some bytes were never written."""
        self._begun: float | None = None
        """When the incomplete frame began, minus the pauses before."""

    # The events.

    def received(self, data: bytes) -> None:
        # A peer may be asked to close while its message waits. The end then notices a broken frame with the next bytes.
        assert not self._heard.broken or self._asked_to_close, "nothing is read after a broken frame"
        assert self._end.outbox.size <= self._limits.unsent, "a peer that does not read is not read"
        new = self._heard.add(data)
        for frame in new:
            if not self._accepted:
                self._accepted = frame is Signal.START_OK
            elif frame is Signal.CLOSE:
                self._closed = True
            elif isinstance(frame, Message) and not self._closed:
                self._messages.append(frame)
        if new:
            self._begun = None

    def ended(self) -> None:
        self._ended = True

    def asked(self, message: Message) -> None:
        """The handler got this message."""
        assert self._asked < len(self._messages)
        assert message == self._messages[self._asked]
        self._asked += 1

    def answered(self, continuation: Continuation[int]) -> None:
        """The handler answered that message."""
        if not self._asked_to_close:
            answer: list[Frame] = [Signal.RECEIVED, *continuation.responses]
            size = len(Signal.RECEIVED.frame) + sum(len(encode(response)) for response in continuation.responses)
            self._answers += answer
            self._answers_size += size
            self._largest_answer = max(self._largest_answer, size)
            if continuation.outcome is not Outcome.CONTINUE:
                self.closing()

    def closing(self) -> None:
        """The server asked to close."""
        self._asked_to_close = self._dropping = True

    def draining(self, now: float) -> None:
        """The whole server ends."""
        self._drained_at = now

    def wrote(self, data: bytes) -> None:
        """The socket took these bytes."""
        if not data:
            return
        self._said.add(data)
        self._said_size += len(data)
        said = [frame for frame in self._said.frames if frame is not Signal.HEARTBEAT]
        known = len(self._answers)
        assert said[:known] == self._answers[: len(said)], "acknowledgements and responses are those of the handler's answers"
        tail = said[known:]
        assert tail in _TAILS
        assert self._asked_to_close or Signal.CLOSE not in tail
        assert Signal.CLOSE_OK not in tail or Signal.CLOSE in self._heard.frames
        assert not tail or Signal.HEARTBEAT not in self._said.frames[self._said.frames.index(tail[0]) :]
        assert self._accepted or Signal.HEARTBEAT not in self._said.frames
        assert not self._said.broken

    def progressed(self, now: float) -> None:
        """The unwritten bytes are fewer than before: some were written or dropped."""
        self._notice(now)
        if self._state is ServerState.CLOSING or self._state is ServerState.OVER:
            self._moved_at = now

    def ticked(self, now: float, paused: float) -> None:
        """Time passed. Now the peer is not late, and the next deadline is in the future."""
        end = self._end
        self._beats += 1
        if end.fault and self._state is not ServerState.OVER and not self._heard.broken:
            assert end.fault.endswith(_FAULTS[self._state])
        if end.state is ServerState.OVER and self._state is not ServerState.OVER:  # Only a deadline can have ended it.
            assert end.fault
            self._check_patience(now, paused)
            self._dropping = True
            self._state, self._moved_at = end.state, now
        if end.over:  # The peer was late: an end without unwritten bytes is removed earlier.
            self.lost = True
            return
        assert end.deadline > now
        match end.state:
            case ServerState.GREETED:
                assert now < self._moved_at + self._limits.handshake
            case ServerState.TALKING if self._begun is not None:
                assert now < self._begun + paused + self._limits.frame
            case ServerState.CLOSING | ServerState.OVER if self._drained_at is not None:
                assert now < self._drained_at + self._limits.drain
            case ServerState.CLOSING | ServerState.OVER:
                assert now < self._moved_at + max(self._limits.drain, self._limits.frame)
            case ServerState.TALKING:
                pass

    def _check_patience(self, now: float, paused: float) -> None:
        """A peer that is late had all of its time."""
        match self._state:
            case ServerState.GREETED:
                assert now >= self._moved_at + self._limits.handshake
            case ServerState.TALKING:
                assert self._begun is not None
                assert now >= self._begun + paused + self._limits.frame
            case ServerState.CLOSING | ServerState.OVER if (
                self._drained_at is not None and self._drained_at < now
            ):  # The drain did not begin in this tick.
                assert now >= self._drained_at + self._limits.drain
            case ServerState.CLOSING | ServerState.OVER:
                assert now >= self._moved_at + min(self._limits.drain, self._limits.frame)

    # The rules.

    def check(self, now: float, paused: float) -> None:
        """Check the rules that hold after every event."""
        end = self._end
        self._notice(now)
        self._check_memory()
        self._check_fault()
        if end.state is ServerState.CLOSING:
            assert self._asked_to_close
        clogged = end.outbox.size > self._limits.unsent
        if not end.waiting and not clogged and not self._dropping:  # The end has handled all that it read.
            assert self._asked == len(self._messages)
            assert end.state is self._expected()
            if end.state is ServerState.TALKING and self._heard.rest and self._begun is None:
                self._begun = now - paused

    def _notice(self, now: float) -> None:
        if self._end.state is not self._state:
            assert self._state is not ServerState.OVER, "nothing follows the end"
            self._state, self._moved_at = self._end.state, now

    def flushed(self) -> None:
        """Check that nothing is missing after the end wrote everything."""
        said = [frame for frame in self._said.frames if frame is not Signal.HEARTBEAT]
        assert not self._said.rest
        assert said[: len(self._answers)] == self._answers
        if not self._dropping and self._closed:
            assert said[-1] is Signal.CLOSE_OK
            assert not self._end.fault

    def _expected(self) -> ServerState:
        if self._heard.broken or self._closed or self._ended:
            return ServerState.OVER
        return ServerState.TALKING if self._accepted else ServerState.GREETED

    def _check_memory(self) -> None:
        end, signals = self._end, (self._beats + 2) * SIGNAL_SIZE  # Two more: the signals about closing.
        assert end.outbox.size + self._said_size <= self._answers_size + signals
        assert end.outbox.size <= self._limits.unsent + self._largest_answer + 4 * SIGNAL_SIZE

    def _check_fault(self) -> None:
        fault = self._end.fault
        if fault:
            assert self._end.state is ServerState.OVER
            assert self._heard.broken or self._state is ServerState.OVER
            assert self._heard.broken == fault.startswith("it broke the protocol: ") or self._dropping or self._state is ServerState.OVER
        elif self._heard.broken and self._end.state is ServerState.OVER and not self._dropping:
            assert self._closed, "an end that saw a broken frame has a fault"
