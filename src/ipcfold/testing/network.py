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
from ipcfold.core.client_connection import ClientConnection
from ipcfold.core.frame import RefusedError
from ipcfold.core.server import ServerCore
from ipcfold.core.server_connection import ServerConnection
from ipcfold.errors import HandlerFailed, MessageTooLarge, ReservedMessage
from ipcfold.events import Connected, Disconnected, Ending, Event, Folded, Listening, Refused, Stopping
from ipcfold.limits import Limits
from ipcfold.message import Message
from ipcfold.peer import Name, Peer
from ipcfold.testing.link import Link

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
        self.links = dict[int, Link]()
        self._live = dict[int, Link]()  # those that are not over
        self.events = list[Event]()
        """What a server tells its observer."""
        self._limits = limits or Limits()
        self.core = ServerCore(carry, heartbeat=heartbeat, limits=self._limits, timeout=timeout, now=0.0, user=_USER)
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
        number = len(self.links) + 1
        peer = Peer(number, _FIRST_PID + number, _USER, _USER)
        client = ClientConnection(heartbeat=self._heartbeat, limits=self._limits, now=self.now)
        reason = self.core.refusal(peer) if self.core.accepting else "it is ending"
        if reason:
            unheard = ServerConnection(peer, heartbeat=self._heartbeat, limits=self._limits, now=self.now)
            unheard.abort(reason, self.now)
            self.links[number] = Link(client, unheard, server_gone=True)
            if self.core.accepting:
                self._tell(Refused(_SERVER, peer, reason))
        else:
            self.links[number] = Link(client, self.core.connect(peer, self.now))
            self._tell(Connected(_SERVER, peer))
        self._live[number] = self.links[number]
        return number

    def send(self, client: int, *messages: Message) -> Result[None, MessageTooLarge | ReservedMessage]:
        """The client has these to say; if its conversation is not on, it says nothing."""
        link = self.links[client]
        try:
            frames = link.client.encode(messages)
        except RefusedError as error:
            return Failure(error.refusal)
        before = link.client.sent
        if not link.client_gone:
            link.client.send(frames, len(messages))
        said = messages[: link.client.sent - before]
        link.said += said
        link.answers += [[] for _ in said]
        return Success(None)

    def write(self, client: int, data: bytes) -> None:
        """The client writes these bytes, behind what it has said."""
        self.client_writes(client)
        self.links[client].up += data

    def close(self, client: int) -> None:
        """The client asks to close."""
        link = self.links[client]
        if not link.client_gone:
            link.client.close()

    def cut(self, client: int, lost_up: int = 0, lost_down: int = 0) -> None:
        """The wire breaks: of what was under way, so many bytes never arrive."""
        link = self.links[client]
        link.cut = link.client_gone = link.server_gone = True
        del link.up[len(link.up) - min(lost_up, len(link.up)) :]
        del link.down[len(link.down) - min(lost_down, len(link.down)) :]

    def kill(self, client: int, lost: int = 0) -> None:
        """The client dies: of what it had written and the server not read, the last so many bytes never were."""
        link = self.links[client]
        if not link.client_gone:
            self.client_writes(client)
            link.client_gone = link.dead = True
            del link.up[len(link.up) - min(lost, len(link.up)) :]
            link.down.clear()

    def client_writes(self, client: int, size: int = ALL) -> bool:
        """Up to so many bytes leave the client, and so on; whether anything moved."""
        link = self.links[client]
        outbox = link.client.outbox
        if link.dead:
            return False
        left = size
        while left and (piece := bytes(outbox.head()[:left])):
            outbox.sent(len(piece))
            left -= len(piece)
            if not link.server_gone:
                link.up += piece
        if not link.client.open and not outbox.size and not link.client_gone:
            link.client_gone = True  # it is through
            return True
        return left < size

    def server_writes(self, client: int, size: int = ALL) -> bool:
        """Up to so many bytes leave the server for this client."""
        link = self.links[client]
        outbox = link.server.outbox
        left = size
        while left and (piece := bytes(outbox.head()[:left])):
            outbox.sent(len(piece))
            left -= len(piece)
            if link.client_gone:
                outbox.mute()
            else:
                link.down += piece
        if left < size:
            self.core.wrote(client, self.now)
        self._look_after()
        return left < size

    def server_reads(self, client: int, size: int | None = None) -> bool:
        """The server reads from this client, if it wants to."""
        link = self.links[client]
        server = link.server
        if server.waiting or server.behind or not server.reading or server.over:
            return False
        if link.up:
            size = next(self._chunks) if size is None else size
            piece = bytes(link.up[:size])
            del link.up[:size]
            self.core.receive(client, piece, self.now)
        elif link.client_gone:
            self.core.end(client, self.now)
        else:
            return False
        self._look_after()
        return True

    def client_reads(self, client: int, size: int | None = None) -> bool:
        """The client reads what has come."""
        link = self.links[client]
        end, known = link.client, link.client.acknowledged
        if link.dead:
            return False
        if link.down:
            size = next(self._chunks) if size is None else size
            piece = bytes(link.down[:size])
            del link.down[:size]
            end.receive(piece)
        elif link.server_gone and end.open:
            end.end()
        else:
            return False
        for number in range(max(1, known), end.acknowledged + 1):
            while (response := end.response_to(number)) is not None:
                link.answers[number - 1].append(response)
                self._heard(client, response)
        return True

    def fold(self) -> bool:
        """The handler is asked for one message, if one waits."""
        self.core.resume(self.now)
        asked = self.core.ask()
        if asked is None:
            return False
        message, continuation = asked
        try:
            answer = self._handler(message, continuation, continuation.carry)
            self.core.answered(answer, self.now)
        except HypothesisException:  # a handler under test may draw, and assume
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as a server does; but Ctrl-C and pytest's outcomes are for who runs the test
            self.core.failed(error, self.now)
        else:
            self._folded(message, answer)
        self._look_after()
        return True

    def advance(self, seconds: float) -> None:
        """Time passes; nothing else happens meanwhile."""
        self.now += seconds
        accepting = self.core.accepting
        self.core.tick(self.now)
        if accepting and not self.core.accepting:
            self._ending = Ending.TIMED_OUT
        self._look_after()

    def elapse(self, seconds: float) -> None:
        """Time passes, from one deadline of the server to the next, and whatever that brings arrives."""
        until = self.now + seconds
        while self.now < until:
            due = self.core.deadline
            self.advance((due if due is not None and self.now < due < until else until) - self.now)
            self.settle()

    def shutdown(self) -> None:
        """The server gets a signal to end."""
        if self.core.accepting:
            self._ending = Ending.SIGNALLED
            self.core.shutdown(self.now)
            self._look_after()

    def settle(self) -> None:
        """All that is under way arrives, but on the lines that are held, and is folded."""
        moving = True
        while moving:
            moving = self.fold() or self.core.ready
            for client, link in list(self._live.items()):
                if link.over:
                    del self._live[client]
                elif link.moving and not link.held:
                    moving |= self.exchange(client)

    def exchange(self, client: int) -> bool:
        """Both ends of this link write what they have, and read once."""
        written = self.client_writes(client) | self.server_writes(client)
        return self.server_reads(client) | self.client_reads(client) | written

    # What came of it

    @property
    def result(self) -> Result[C, HandlerFailed[C]]:
        """What the server returns, or would if it ended now."""
        return self.core.result()

    @property
    def over(self) -> bool:
        """Whether the server has returned."""
        return self.core.over

    def _folded(self, message: Message, answer: Continuation[C]) -> None:
        if isinstance(self.core.result(), Success):
            self._tell(Folded(_SERVER, answer.peer, message, answer.responses, answer.outcome, 0.0))

    def _look_after(self) -> None:
        if not self.core.accepting and not self._stopping:
            self._stopping = True
            failed = isinstance(self.core.result(), Failure)
            self._tell(Stopping(_SERVER, Ending.FAILED if failed else self._ending))
        for end in self.core.attention():
            if end.over:
                self.links[end.peer.connection].server_gone = True
                self.core.forget(end.peer.connection)
                self._tell(Disconnected(_SERVER, end.peer, end.departure, end.fault))

    def _tell(self, event: Event) -> None:
        self.events.append(event)
        self._told(event)
