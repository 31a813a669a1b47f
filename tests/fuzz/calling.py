"""Target: a client's end with a hostile server. The target drives it as the shell does."""

from enum import Enum, auto
from typing import Final, final

from ipcfold import Limits, Message
from ipcfold.core.client_connection import ClientConnection
from ipcfold.core.protocol import ClientState
from ipcfold.core.wire import Frame, Signal
from ipcfold.limits import LARGEST_CONTENT
from tests.fuzz.models import Line, Stream
from tests.fuzz.program import HEARTBEAT, Program, limits, own_messages, piece

_KEPT_BESIDE: Final = 256  # The bytes that an unread response counts beside its content.


def _weight(kept: Message) -> int:
    """The bytes that an unread response counts. A media type counts only if it is long or has parameters."""
    parameters, text = len(kept.media_type.parameters), len(str(kept.media_type))
    return len(kept.content) + _KEPT_BESIDE + (2 * text + 128 * parameters if parameters or text > 256 else 0)


class Op(Enum):
    """The steps of a program."""

    HEAR = auto()
    """The server writes a piece, and the client reads all that waits."""
    SAY = auto()
    """The server writes a piece."""
    READ = auto()
    """The client reads some bytes."""
    SEND = auto()
    """The program sends messages."""
    RESPONSE = auto()
    """The program takes the next response."""
    RESPONSE_TO = auto()
    """The program takes the next response to one message."""
    TAKE = auto()
    """The server reads, so the socket takes that many more bytes."""
    WAIT = auto()
    """Time passes."""
    FINISH = auto()
    """The server ends its stream."""
    RESET = auto()
    """The server stops reading."""
    CLOSE = auto()
    """The program closes."""
    INTERRUPT = auto()
    """An exception interrupts the client."""


OPS: Final = tuple(Op)


def calling(data: bytes) -> None:
    """The end counts acknowledgements, assigns responses to messages, and writes exactly what it must."""
    program = Program(data)
    run = _Run(program)
    while program.left:
        run.step(program.choice(OPS), program)
    run.finish()


@final
class _Model:
    """The state that the end must have after all its events."""

    def __init__(self, limits: Limits) -> None:
        self.state = ClientState.CONNECTED
        self.sent = 0
        self.acknowledged = 0
        self.kept: list[tuple[int, Message]] = []
        self.said: list[Frame] = []
        """What it must have said, but for heartbeats."""
        self._unread = limits.unread
        self._stream = Stream(limits.message)

    @property
    def open(self) -> bool:
        return self.state in {ClientState.CONNECTED, ClientState.TALKING, ClientState.CLOSING}

    def received(self, data: bytes) -> None:
        for frame in self._stream.add(data):
            match self.state:
                case ClientState.CONNECTED:
                    self._greeting(frame)
                case ClientState.TALKING:
                    self._heard(frame)
                case ClientState.CLOSING if frame is Signal.CLOSE_OK:
                    self.state = ClientState.CLOSED
                case ClientState.CLOSING if frame is Signal.CLOSE:
                    self._confirm(ClientState.CLOSED)
                case _:
                    pass
        if self._stream.broken and self.open:
            self.state = ClientState.BROKEN

    def _greeting(self, frame: Frame) -> None:
        if frame is Signal.START:
            self.state = ClientState.TALKING
            self.said.append(Signal.START_OK)
        elif frame is Signal.CLOSE:
            self._confirm(ClientState.DISMISSED)

    def _heard(self, frame: Frame) -> None:
        if isinstance(frame, Message):
            self.kept.append((self.acknowledged, frame))
            if len(self.kept) > 1 and sum(_weight(kept) for _, kept in self.kept) > self._unread:
                self.state = ClientState.FLOODED
        elif frame is Signal.CLOSE:
            self._confirm(ClientState.DISMISSED)
        elif frame is Signal.RECEIVED:
            if self.acknowledged < self.sent:
                self.acknowledged += 1
            else:
                self.state = ClientState.BROKEN

    def _confirm(self, state: ClientState) -> None:
        self.state = state
        self.said.append(Signal.CLOSE_OK)

    def sending(self, messages: tuple[Message, ...]) -> None:
        if self.state is ClientState.TALKING:
            self.sent += len(messages)
            self.said += messages

    def closing(self) -> None:
        self.kept.clear()
        if self.state is ClientState.TALKING:
            self.said.append(Signal.CLOSE)
            self.state = ClientState.CLOSING
        elif self.state is ClientState.CONNECTED:
            self.state = ClientState.CLOSED

    def ending(self, state: ClientState) -> None:
        if self.open:
            self.state = state

    def taken(self, number: int | None) -> Message | None:
        """The next response, or the next one to the message of that number."""
        for index, (answered, message) in enumerate(self.kept):
            if number is None or answered == number:
                del self.kept[index]
                return message
        return None


@final
class _Run:
    def __init__(self, program: Program) -> None:
        self._limits = limits(program)
        self._line = Line(program.size())
        self._now = 0.0
        self._end = ClientConnection(heartbeat=HEARTBEAT, limits=self._limits, now=0.0)
        self._model = _Model(self._limits)
        self._said = Stream(LARGEST_CONTENT)

    def step(self, op: Op, program: Program) -> None:
        match op:
            case Op.HEAR:
                self._line.say(piece(program))
                self._read(2**20)
            case Op.SAY:
                self._line.say(piece(program))
            case Op.READ:
                self._read(program.size())
            case Op.SEND:
                messages = own_messages(program, self._limits)
                self._model.sending(messages)
                self._end.send(self._end.encode(messages), len(messages))
            case Op.RESPONSE:
                assert self._end.response() == self._model.taken(None)
            case Op.RESPONSE_TO:
                number = 1 + program.byte() % (self._end.sent + 1)
                assert self._end.response_to(number) == self._model.taken(number)
            case Op.TAKE:
                self._line.room += program.size()
            case Op.WAIT:
                self._now += program.seconds()
            case Op.FINISH:
                self._line.finish()
            case Op.RESET:
                self._line.reset = True
            case Op.CLOSE:
                self._model.closing()
                self._end.close()
            case Op.INTERRUPT:
                self._model.ending(ClientState.INTERRUPTED)
                self._end.interrupt()
        self._move()

    def finish(self) -> None:
        """The server reads everything. Then nothing is unwritten, and the unread responses are those that came."""
        self._line.room += 2**30
        self._move()
        if not self._line.reset and self._model.state not in {
            ClientState.LOST,
            ClientState.BROKEN,
            ClientState.FLOODED,
            ClientState.INTERRUPTED,
        }:
            assert self._without_heartbeats() == self._model.said
            assert not self._said.rest
        while (response := self._end.response()) is not None:
            assert response == self._model.taken(None)
        assert not self._model.kept

    def _read(self, size: int) -> None:
        if not self._end.open:
            return
        data = self._line.read(size)
        if data:
            self._model.received(data)
            self._end.receive(data)
        elif data is not None:
            self._model.ending(ClientState.LOST)
            self._end.end()

    def _move(self) -> None:
        """Tell the time and write, as the shell does before it reads."""
        self._check()
        if self._end.open:
            before = self._end.outbox.size
            self._end.tick(self._now)
            assert self._end.outbox.size <= before + len(Signal.HEARTBEAT.frame)
            assert self._end.deadline > self._now
        outbox = self._end.outbox
        while outbox.size and (piece := self._line.take(outbox.head())):
            outbox.sent(len(piece))
            self._said.add(piece)
            self._check_said()
        if self._line.reset:
            outbox.mute()
        self._check()

    def _check(self) -> None:
        end, model = self._end, self._model
        assert end.state is model.state
        assert end.open is model.open
        assert (end.sent, end.acknowledged) == (model.sent, model.acknowledged)
        assert end.acknowledged <= end.sent
        assert bool(end.broken) == (model.state is ClientState.BROKEN)

    def _check_said(self) -> None:
        assert not self._said.broken
        said = self._without_heartbeats()
        assert said == self._model.said[: len(said)]
        assert self._said.frames.count(Signal.START_OK) <= 1
        for last in (Signal.CLOSE, Signal.CLOSE_OK):
            if last in said:
                assert Signal.HEARTBEAT not in self._said.frames[self._said.frames.index(last) :]

    def _without_heartbeats(self) -> list[Frame]:
        return [frame for frame in self._said.frames if frame is not Signal.HEARTBEAT]
