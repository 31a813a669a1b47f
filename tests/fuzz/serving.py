"""Target: a server's end of one connection, driven as the shell does, with a hostile peer."""

from enum import Enum, auto
from typing import Final, final

from ipcfold import Peer
from ipcfold.continuation import Continuation, Outcome
from ipcfold.core.frame import encode
from ipcfold.core.server_connection import PausedTime, ServerConnection, State
from tests.fuzz.connection_model import ConnectionModel
from tests.fuzz.models import Line
from tests.fuzz.program import HEARTBEAT, Program, limits, outcome, own_messages, piece


class Op(Enum):
    """What can happen."""

    HEAR = auto()
    """The peer says a piece, and all it said is read."""
    SAY = auto()
    """The peer says a piece."""
    READ = auto()
    """Some bytes are read."""
    ANSWER = auto()
    """The handler answers what it was asked."""
    TAKE = auto()
    """The peer reads, so that the socket takes so many bytes more."""
    WAIT = auto()
    """Time passes."""
    ABSENT = auto()
    """Time passes while the server looks away."""
    FINISH = auto()
    """The peer ends its stream."""
    RESET = auto()
    """The peer reads no more."""
    CLOSE = auto()
    """The server asks to close."""
    DRAIN = auto()
    """The whole server ends."""


OPS: Final = tuple(Op)


def serving(data: bytes) -> None:
    """The end asks for each message once and in order, says what it has to and no more, and ends for its reasons."""
    program = Program(data)
    run = _Run(program)
    while program.left and not run.end.over:
        run.step(program.choice(OPS), program)
    run.finish()


@final
class _Run:
    def __init__(self, program: Program) -> None:
        self._limits = limits(program)
        self._line = Line(program.size())
        self._now = 0.0
        self._paused = PausedTime()
        self._asked = False
        self.end = ServerConnection(Peer(1), heartbeat=HEARTBEAT, limits=self._limits, now=0.0, paused=self._paused)
        self._model = ConnectionModel(self.end, self._limits, 0.0)

    def step(self, op: Op, program: Program) -> None:
        match op:
            case Op.HEAR:
                self._line.say(piece(program))
                self._read(2**20)
            case Op.SAY:
                self._line.say(piece(program))
            case Op.READ:
                self._read(program.size())
            case Op.ANSWER:
                self._answer(Continuation(0, own_messages(program, self._limits), outcome(program)))
            case Op.TAKE:
                self._line.room += program.size()
            case Op.WAIT:
                self._wait(program.seconds())
            case Op.ABSENT:
                seconds = program.seconds()
                self._paused.seconds += seconds
                self._now += seconds
            case Op.FINISH:
                self._line.finish()
            case Op.RESET:
                self._line.reset = True
            case Op.CLOSE:
                self._close()
            case Op.DRAIN:
                self._drain()
        self._look_after()

    def finish(self) -> None:
        """The server ends, the peer reads all: then nothing is owed and nothing more is said."""
        self._answer(Continuation(0))
        self._line.room += 2**30
        self._look_after()
        while self.end.outbox.size:  # what came of a peer that did not read is looked at only now, and may be answered
            self._look_after()
        if not self._line.reset and not self._model.lost:
            self._model.flushed()
        if not self.end.over:
            self._drain()
            self._look_after()
            self._wait(self._limits.drain)
            self._look_after()
        assert self.end.over
        self._nothing_follows()

    def _nothing_follows(self) -> None:
        before = self.end.state, self.end.fault
        self.end.receive(b"\0" * 100, self._now)
        assert self.end.next(self._now) is None
        self.end.close(self._now)
        self.end.reply([], Outcome.CONTINUE, self._now)
        assert (self.end.state, self.end.fault) == before
        assert self.end.outbox.size == 0
        assert not self.end.reading

    def _read(self, size: int) -> None:
        if self.end.waiting or not self.end.reading:
            return
        data = self._line.read(size)
        if data is None:
            return
        if data:
            self._model.received(data)
            self.end.receive(data, self._now)
        else:
            self._model.ended()
            self.end.end()
        self._advance()

    def _answer(self, continuation: Continuation[int]) -> None:
        if self._asked:
            self._asked = False
            self._model.answered(continuation)
            self.end.reply(list(map(encode, continuation.responses)), continuation.outcome, self._now)
            self._advance()

    def _close(self) -> None:
        if self.end.state is not State.OVER:
            self._model.closing()
            self.end.close(self._now)

    def _drain(self) -> None:
        self._close()
        self._model.draining(self._now)
        self.end.drain(self._now)

    def _wait(self, seconds: float) -> None:
        self._now += seconds
        if self.end.deadline <= self._now:
            self.end.overdue(self._now)
        self._model.ticked(self._now, self._paused.seconds)

    def _advance(self) -> None:
        """As the host does after everything that happened."""
        if self.end.waiting:
            return
        while (message := self.end.next(self._now)) is None and self.end.behind:
            pass
        if message is not None:
            assert not self._asked, "one at a time"
            assert self.end.waiting
            assert not self.end.behind
            self._asked = True
            self._model.asked(message)

    def _look_after(self) -> None:
        """As the shell does: write, and say so where it matters."""
        end, outbox = self.end, self.end.outbox
        clogged, waiting = end.clogged, outbox.size
        self._model.check(self._now, self._paused.seconds)
        self._model.wrote(self._line.write(outbox))
        if outbox.size < waiting and (clogged or end.state is not State.TALKING):
            self._model.progressed(self._now)
            end.wrote(self._now)
            self._advance()
            self._model.check(self._now, self._paused.seconds)
