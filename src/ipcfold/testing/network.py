"""A server, its clients, and the wires between them, without a socket, a thread or a clock.

The ends are the real ones, of `ipcfold.core`; what a shell does with sockets is done here with bytes in memory. Nothing moves
by itself: each method is one thing that can happen, and `settle` lets everything happen that can.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Final, Generic, TypeVar, final

from hypothesis.errors import HypothesisException
from returns.result import Failure, Result, Success

from ipcfold.continuation import Continuation, Handler
from ipcfold.core.calling import Calling
from ipcfold.core.frame import RefusedError
from ipcfold.core.host import Host
from ipcfold.core.serving import Serving
from ipcfold.errors import HandlerFailed, MessageTooLarge, ReservedMessage
from ipcfold.events import Connected, Disconnected, Ending, Event, Folded, Listening, Refused, Stopping
from ipcfold.limits import Limits
from ipcfold.message import Message
from ipcfold.peer import Name, Peer
from ipcfold.testing.line import Line

C = TypeVar("C")

ALL: Final = 2**40  # bytes at once
_SERVER: Final = Name("simulated")
_USER: Final = 1000
_FIRST_PID: Final = 1000


@final
class Network(Generic[C]):
    """The whole of it; clients are numbered from 1, as the server numbers their connections."""

    def __init__(
        self,
        handler: Handler[C],
        carry: C,
        *,
        heartbeat: float = 1.0,
        limits: Limits | None = None,
        timeout: float | None = None,
        chunks: Sequence[int] = (),
        told: Callable[[Event], object] = lambda _: None,
        heard: Callable[[int, Message], object] = lambda _, __: None,
    ) -> None:
        """`chunks`: how many bytes each read brings, over and over; all there are if it is empty. `told` gets
        each event as it happens, `heard` each response as it comes to a client."""
        self.now = 0.0
        """Seconds since the beginning."""
        self.lines = dict[int, Line]()
        self._live = dict[int, Line]()  # those that are not over
        self.events = list[Event]()
        """What a server tells its observer."""
        self._limits = limits or Limits()
        self.host = Host(carry, heartbeat=heartbeat, limits=self._limits, timeout=timeout, now=0.0, user=_USER)
        self._handler = handler
        self._heartbeat = heartbeat
        if any(size < 1 for size in chunks):
            raise ValueError(f"a read brings at least one byte, so chunks are sizes from 1 on, not {chunks}")
        self._chunks = cycle(chunks or [ALL])
        self._told = told
        self._heard = heard
        self._ending = Ending.STOPPED  # by the handler, if by nothing else
        self._stopping = False  # whether that was told
        self._tell(Listening(_SERVER))

    # What can happen

    def connect(self) -> int:
        """A client connects; its number. It is not let in where the server's limits say no, and finds none that is ending."""
        number = len(self.lines) + 1
        peer = Peer(number, _FIRST_PID + number, _USER, _USER)
        calling = Calling(heartbeat=self._heartbeat, limits=self._limits, now=self.now)
        reason = self.host.refusal(peer) if self.host.accepting else "it is ending"
        if reason:
            unheard = Serving(peer, heartbeat=self._heartbeat, limits=self._limits, now=self.now)
            unheard.abort(reason, self.now)
            self.lines[number] = Line(calling, unheard, server_gone=True)
            if self.host.accepting:
                self._tell(Refused(_SERVER, peer, reason))
        else:
            self.lines[number] = Line(calling, self.host.connect(peer, self.now))
            self._tell(Connected(_SERVER, peer))
        self._live[number] = self.lines[number]
        return number

    def send(self, client: int, *messages: Message) -> Result[None, MessageTooLarge | ReservedMessage]:
        """The client has these to say; if its conversation is not on, it says nothing."""
        line = self.lines[client]
        try:
            frames = line.calling.encode(messages)
        except RefusedError as error:
            return Failure(error.refusal)
        before = line.calling.sent
        if not line.client_gone:
            line.calling.send(frames, len(messages))
        said = messages[: line.calling.sent - before]
        line.said += said
        line.answers += [[] for _ in said]
        return Success(None)

    def write(self, client: int, data: bytes) -> None:
        """The client writes these bytes, behind what it has said."""
        self.client_writes(client)
        self.lines[client].up += data

    def close(self, client: int) -> None:
        """The client asks to close."""
        line = self.lines[client]
        if not line.client_gone:
            line.calling.close()

    def cut(self, client: int, lost_up: int = 0, lost_down: int = 0) -> None:
        """The wire breaks: of what was under way, so many bytes never arrive."""
        line = self.lines[client]
        line.cut = line.client_gone = line.server_gone = True
        del line.up[len(line.up) - min(lost_up, len(line.up)) :]
        del line.down[len(line.down) - min(lost_down, len(line.down)) :]

    def kill(self, client: int, lost: int = 0) -> None:
        """The client dies: of what it had written and the server not read, the last so many bytes never were."""
        line = self.lines[client]
        if not line.client_gone:
            self.client_writes(client)
            line.client_gone = line.dead = True
            del line.up[len(line.up) - min(lost, len(line.up)) :]
            line.down.clear()

    def client_writes(self, client: int, size: int = ALL) -> bool:
        """Up to so many bytes leave the client, and so on; whether anything moved."""
        line = self.lines[client]
        outbox = line.calling.outbox
        if line.dead:
            return False
        left = size
        while left and (piece := bytes(outbox.head()[:left])):
            outbox.sent(len(piece))
            left -= len(piece)
            if not line.server_gone:
                line.up += piece
        if not line.calling.open and not outbox.size and not line.client_gone:
            line.client_gone = True  # it is through
            return True
        return left < size

    def server_writes(self, client: int, size: int = ALL) -> bool:
        """Up to so many bytes leave the server for this client."""
        line = self.lines[client]
        outbox = line.serving.outbox
        left = size
        while left and (piece := bytes(outbox.head()[:left])):
            outbox.sent(len(piece))
            left -= len(piece)
            if line.client_gone:
                outbox.mute()
            else:
                line.down += piece
        if left < size:
            self.host.wrote(client, self.now)
        self._look_after()
        return left < size

    def server_reads(self, client: int, size: int | None = None) -> bool:
        """The server reads from this client, if it wants to."""
        line = self.lines[client]
        serving = line.serving
        if serving.waiting or serving.behind or not serving.reading or serving.over:
            return False
        if line.up:
            size = next(self._chunks) if size is None else size
            piece = bytes(line.up[:size])
            del line.up[:size]
            self.host.receive(client, piece, self.now)
        elif line.client_gone:
            self.host.end(client, self.now)
        else:
            return False
        self._look_after()
        return True

    def client_reads(self, client: int, size: int | None = None) -> bool:
        """The client reads what has come."""
        line = self.lines[client]
        calling, known = line.calling, line.calling.acknowledged
        if line.dead:
            return False
        if line.down:
            size = next(self._chunks) if size is None else size
            piece = bytes(line.down[:size])
            del line.down[:size]
            calling.receive(piece)
        elif line.server_gone and calling.open:
            calling.end()
        else:
            return False
        for number in range(max(1, known), calling.acknowledged + 1):
            while (response := calling.response_to(number)) is not None:
                line.answers[number - 1].append(response)
                self._heard(client, response)
        return True

    def fold(self) -> bool:
        """The handler is asked for one message, if one waits."""
        self.host.resume(self.now)
        asked = self.host.ask()
        if asked is None:
            return False
        message, continuation = asked
        try:
            answer = self._handler(message, continuation, continuation.carry)
            self.host.answered(answer, self.now)
        except HypothesisException:  # a handler under test may draw, and assume
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as a server does; but Ctrl-C and pytest's outcomes are for who runs the test
            self.host.failed(error, self.now)
        else:
            self._folded(message, answer)
        self._look_after()
        return True

    def advance(self, seconds: float) -> None:
        """Time passes; nothing else happens meanwhile."""
        self.now += seconds
        accepting = self.host.accepting
        self.host.tick(self.now)
        if accepting and not self.host.accepting:
            self._ending = Ending.TIMED_OUT
        self._look_after()

    def elapse(self, seconds: float) -> None:
        """Time passes, from one deadline of the server to the next, and whatever that brings arrives."""
        until = self.now + seconds
        while self.now < until:
            due = self.host.deadline
            self.advance((due if due is not None and self.now < due < until else until) - self.now)
            self.settle()

    def shutdown(self) -> None:
        """The server gets a signal to end."""
        if self.host.accepting:
            self._ending = Ending.SIGNALLED
            self.host.shutdown(self.now)
            self._look_after()

    def settle(self) -> None:
        """All that is under way arrives, but on the lines that are held, and is folded."""
        moving = True
        while moving:
            moving = self.fold() or self.host.ready
            for client, line in list(self._live.items()):
                if line.over:
                    del self._live[client]
                elif line.moving and not line.held:
                    moving |= self.exchange(client)

    def exchange(self, client: int) -> bool:
        """Both ends of this line write what they have, and read once."""
        written = self.client_writes(client) | self.server_writes(client)
        return self.server_reads(client) | self.client_reads(client) | written

    # What came of it

    @property
    def result(self) -> Result[C, HandlerFailed[C]]:
        """What the server returns, or would if it ended now."""
        return self.host.result()

    @property
    def over(self) -> bool:
        """Whether the server has returned."""
        return self.host.over

    def _folded(self, message: Message, answer: Continuation[C]) -> None:
        if isinstance(self.host.result(), Success):
            self._tell(Folded(_SERVER, answer.peer, message, answer.responses, answer.outcome, 0.0))

    def _look_after(self) -> None:
        if not self.host.accepting and not self._stopping:
            self._stopping = True
            failed = isinstance(self.host.result(), Failure)
            self._tell(Stopping(_SERVER, Ending.FAILED if failed else self._ending))
        for end in self.host.attention():
            if end.over:
                self.lines[end.peer.connection].server_gone = True
                self.host.forget(end.peer.connection)
                self._tell(Disconnected(_SERVER, end.peer, end.departure, end.fault))

    def _tell(self, event: Event) -> None:
        self.events.append(event)
        self._told(event)
