"""A server, its clients and their connections in memory, without sockets, threads or clocks.

Both ends are the real protocol of `ipcfold.core`; this module moves their bytes in memory, as a shell does over sockets.
Nothing moves by itself: each method is one event, and `settle` runs all events that are possible.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Final, Generic, TypeVar, final

from hypothesis.errors import HypothesisException
from returns.result import Failure, Result, Success

from ipcfold.continuation import Continuation, Handler, Leaving, Waking
from ipcfold.core.client_connection import ClientConnection
from ipcfold.core.functions import Handlers
from ipcfold.core.server import ServerCore, Turn
from ipcfold.core.server_connection import ServerConnection
from ipcfold.core.transports import READ, Transports
from ipcfold.core.wire import RefusedError
from ipcfold.errors import HandlerFailed, MessageTooLarge, ReservedMessage
from ipcfold.events import Event, Survived
from ipcfold.inputs import Left, Woken
from ipcfold.limits import Limits
from ipcfold.message import Message
from ipcfold.peer import Name, Peer
from ipcfold.testing.link import Link

C = TypeVar("C")

ALL: Final = 2**40  # a number of bytes that no buffer reaches
_SERVER: Final = Name("simulated")
_USER: Final = 1000
_FIRST_PID: Final = 1000


def _is_outcome(error: BaseException) -> bool:
    """Whether it is `pytest.fail`, `pytest.skip` or the like, where pytest runs."""
    outcomes = sys.modules.get("_pytest.outcomes")
    return outcomes is not None and isinstance(error, outcomes.OutcomeException)


@final
class Network(Generic[C]):
    """A server and its clients. Clients are numbered from 1, as the server numbers their connections."""

    def __init__(
        self,
        handler: Handler[C],
        carry: C,
        *,
        heartbeat: float = 1.0,
        limits: Limits | None = None,
        timeout: float | None = None,
        chunks: Sequence[int] = (),
        left: Leaving[C] | None = None,
        woken: Waking[C] | None = None,
        epoch: float = 0.0,
        told: Callable[[Event], object] = lambda _: None,
        heard: Callable[[int, Message], object] = lambda _, __: None,
        handled: Callable[[Left | Woken, Continuation[C]], object] = lambda _, __: None,
    ) -> None:
        """`chunks`: the sizes of reads in bytes, repeated; empty for reads without a limit. `epoch`: the seconds since the epoch at
        the beginning. `told` gets each event, `heard` each response that arrives at a client, and `handled` each departure and
        alarm that was folded, with the answer."""
        self.now = 0.0
        """The simulated time, in seconds."""
        self.links = dict[int, Link]()
        self._live = dict[int, Link]()  # the links that are not over
        self.events = list[Event]()
        """The events of the server so far."""
        self._limits = limits or Limits()
        self.core = ServerCore(
            carry,
            name=_SERVER,
            heartbeat=heartbeat,
            limits=self._limits,
            timeout=timeout,
            now=0.0,
            user=_USER,
            observed=True,
            left=left is not None,
            woken=woken is not None,
            timeless=True,
        )
        self._epoch = epoch
        self.ring()
        self._transports = Transports(self.core)
        self._handlers = Handlers(handler, left, woken)
        self._handled = handled
        self._heartbeat = heartbeat
        if any(size < 1 for size in chunks):
            raise ValueError(f"each of chunks must be at least 1, because a read returns at least one byte: {chunks}")
        self._chunks = cycle(chunks or [ALL])
        self._told = told
        self._heard = heard
        self.core.listening()
        self._tell()

    # Events
    def connect(self) -> int:
        """A client connects; return its number. The limits may refuse it, and a server that is ending does not accept it."""
        number = len(self.links) + 1
        peer = Peer(number, _FIRST_PID + number, _USER, _USER)
        client = ClientConnection(heartbeat=self._heartbeat, limits=self._limits, now=self.now)
        server = self.core.connect(peer, self.now) if self.core.accepting else None
        if server is not None:
            self.links[number] = Link(client, server)
            self._transports.add(server, self.links[number])
        else:
            refused = ServerConnection(peer, heartbeat=self._heartbeat, limits=self._limits, now=self.now)
            refused.abort("it was refused", self.now)
            self.links[number] = Link(client, refused, server_gone=True)
        self._turn()
        self._live[number] = self.links[number]
        return number

    def send(self, client: int, *messages: Message) -> Result[None, MessageTooLarge | ReservedMessage]:
        """The client sends these messages, if its connection is open."""
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
        """The client writes these bytes after its messages."""
        self.client_writes(client)
        self.links[client].up += data

    def close(self, client: int) -> None:
        """The client asks to close."""
        link = self.links[client]
        if not link.client_gone:
            link.client.close()

    def cut(self, client: int, lost_up: int = 0, lost_down: int = 0) -> None:
        """The connection is cut. The last `lost_up` and `lost_down` bytes in transit do not arrive."""
        link = self.links[client]
        link.cut = link.client_gone = link.server_gone = True
        del link.up[len(link.up) - min(lost_up, len(link.up)) :]
        del link.down[len(link.down) - min(lost_down, len(link.down)) :]

    def kill(self, client: int, lost: int = 0) -> None:
        """The client dies. The last `lost` bytes in transit to the server do not arrive."""
        link = self.links[client]
        if not link.client_gone:
            self.client_writes(client)
            link.client_gone = link.dead = True
            del link.up[len(link.up) - min(lost, len(link.up)) :]
            link.down.clear()

    def client_writes(self, client: int, size: int = ALL) -> bool:
        """The client writes up to `size` bytes; return whether anything changed. The methods below do the same."""
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
            link.client_gone = True  # the client has sent everything and closed
            return True
        return left < size

    def server_writes(self, client: int, size: int = ALL) -> bool:
        """The server writes up to `size` bytes to this client."""
        link = self.links[client]
        before = link.server.outbox.size
        if before:
            link.space = size
            self._transports.write(link.server, self.now)
            link.space = 0
        self._turn()
        return link.server.outbox.size < before

    def server_reads(self, client: int, size: int | None = None) -> bool:
        """The server reads from this client, unless it waits for something else."""
        link = self.links[client]
        server = link.server
        if not link.interest & READ or server.waiting or server.behind:
            return False
        if link.up:
            size = next(self._chunks) if size is None else size
            piece = bytes(link.up[:size])
            del link.up[:size]
            server.receive(piece, self.now)
        elif link.client_gone:
            server.end()
        else:
            return False
        self._turn()
        return True

    def client_reads(self, client: int, size: int | None = None) -> bool:
        """The client reads the bytes that have arrived."""
        link = self.links[client]
        end = link.client
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
        if end.open and end.acknowledged < end.sent:
            return True  # as `Process.send`, which keeps the responses until all its messages are acknowledged
        while (arrived := end.next()) is not None:
            response, number = arrived
            (link.answers[number - 1] if number else link.told).append(response)
            self._heard(client, response)
        return True

    def fold(self) -> bool:
        """The handler folds one input, if one waits."""
        asked, _, _ = self._turn()
        if asked is None:
            return False
        what = asked[0]
        try:
            answer = self._handlers(*asked)
            self.core.answered(answer, self.now, self.now)
            if not isinstance(what, Message):
                self._handled(what, self.core.instead or answer)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # as in a server
            if isinstance(error, HypothesisException) or _is_outcome(error):
                raise  # a handler under test may call `assume`, `draw` or `pytest.skip`
            self.core.failed(error, self.now)
        self._turn()
        return True

    def advance(self, seconds: float) -> None:
        """Time passes, in seconds, and no bytes move."""
        self.now += seconds
        self._turn()

    def elapse(self, seconds: float) -> None:
        """Time passes, in seconds. At each deadline of the server, the network settles."""
        until = self.now + seconds
        while self.now < until:
            _, _, due = self._turn()
            self.advance((due if self.now < due < until else until) - self.now)
            self.settle()

    def ring(self) -> None:
        """An alarm may ring for which `woken` asked at once. No time passes by itself, so it would ring for ever without such an event."""
        self.core.clock(self._epoch)

    def shutdown(self) -> None:
        """The server gets a signal to end."""
        if self.core.accepting:
            self.core.shutdown(self.now)
            self._turn()

    def settle(self) -> None:
        """All bytes in transit arrive and all messages are folded, except on links that are held."""
        moving = True
        while moving:
            moving = self.fold() or self._turn()[2] < self.now
            for client, link in list(self._live.items()):
                if link.over:
                    del self._live[client]
                elif link.moving and not link.held:
                    moving |= self.exchange(client)

    def exchange(self, client: int) -> bool:
        """Both ends of this link write everything, and read once."""
        written = self.client_writes(client) | self.server_writes(client)
        return self.server_reads(client) | self.client_reads(client) | written

    # Results

    @property
    def result(self) -> Result[C, HandlerFailed[C]]:
        """The result of the server; while it runs, the result that it would return now."""
        return self.core.result()

    @property
    def over(self) -> bool:
        """Whether the server has returned."""
        return self.core.over

    def _turn(self) -> Turn[C]:
        turn = self._transports.settle(self.now, self.now)
        self._tell()
        return turn

    def _tell(self) -> None:
        while self.core.events:
            event = self.core.events.popleft()
            if isinstance(event, Survived):  # a transcript has it already
                continue
            self.events.append(event)
            self._told(event)
