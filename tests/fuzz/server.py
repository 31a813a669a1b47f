"""A whole server without sockets, and the rules that hold after every event."""

from math import inf
from typing import Final, final

import attrs

from ipcfold import Limits, Message, Name, Peer
from ipcfold.continuation import Continuation, Outcome
from ipcfold.core.fold import Ask
from ipcfold.core.protocol import ServerState
from ipcfold.core.server import ServerCore
from ipcfold.core.server_connection import ServerConnection
from ipcfold.core.transports import WRITE, Transports
from ipcfold.core.wire import Signal
from tests.fuzz.connection_model import ConnectionModel
from tests.fuzz.models import Line
from tests.fuzz.program import HEARTBEAT
from tests.fuzz.turns import Turns

_OWN_USER: Final = 0


@final
class Client:
    """The transport of one peer: its line, and the model that sees the bytes of the line."""

    def __init__(self, server: "Server", end: ServerConnection, line: Line, model: ConnectionModel) -> None:
        self.end = end
        self.line = line
        self.model = model
        self.interest = 0
        self.dropped = False
        """Whether the system had no room for it."""
        self._server = server

    def send(self, data: bytes | memoryview) -> int:
        """See `Transport`."""
        piece = self.line.take(data)
        if piece is None:
            self.model.progressed(self._server.now)
            self.end.unheard()
            return 0
        if piece:
            if self._server.clogged(self.end) or self.end.state is not ServerState.TALKING:
                self.model.progressed(self._server.now)
            self.model.wrote(piece)
        return len(piece)

    def watch(self, interest: int) -> None:
        """See `Transport`."""
        self.interest = interest

    def close(self) -> None:
        """See `Transport`."""
        self._server.closed(self)


@final
class Server:
    """A server, its clients, and the models of both."""

    def __init__(self, limits: Limits, timeout: float | None) -> None:
        self._limits = limits
        self.now = 0.0
        self._heard = 0.0
        self._paused = 0.0
        self._core = ServerCore(
            0, name=Name("fuzzed"), heartbeat=HEARTBEAT, limits=limits, timeout=timeout, now=0.0, user=_OWN_USER, observed=True
        )
        self._transports = Transports(self._core, self._withdraw)
        self.clients: list[Client] = []
        self._models: dict[Peer, ConnectionModel] = {}  # Also those of peers that have left.
        self._most = 0
        self._turns = Turns()
        self._stopped = False
        self._ticking = False

    def finish(self) -> None:
        """The server ends. Then every peer leaves in time, and the carry counts the answers."""
        self.shutdown()
        self.answer((), Outcome.CONTINUE)
        self.settle()
        for client in list(self.clients):
            self.take(client, 2**30)
        self.settle()
        self.wait(self._limits.drain)
        self.settle()
        assert not self.clients
        assert self._core.over
        assert self._core.turn(self.now, self.now)[0] is None

    # The events.

    def connect(self, user: int, room: int) -> Client | None:
        """A peer of that user connects, unless the server is full. Its socket takes `room` bytes."""
        peer = Peer(len(self._models) + 1, uid=user)
        others = sum(client.end.peer.uid == user for client in self.clients) if user else 0
        full = len(self.clients) >= self._limits.connections or others >= self._limits.connections_per_user
        end = self._core.connect(peer, self.now)
        assert (end is None) == full
        if end is None:
            return None
        client = Client(self, end, Line(room), ConnectionModel(end, self._limits, self.now))
        self._transports.add(end, client)
        if not self._core.accepting:
            client.model.closing()
            client.model.draining(self.now)
        self.clients.append(client)
        self._models[peer] = client.model
        self._most = max(self._most, len(self.clients))
        return client

    def read(self, client: Client, size: int) -> None:
        """The server reads at most `size` bytes, if the end wants any."""
        end = client.end
        if end.waiting or not end.reading:
            return
        data = client.line.read(size)
        if data is None:
            return
        if data:
            client.model.received(data)
            end.receive(data, self.now)
        else:
            client.model.ended()
            end.end()

    def take(self, client: Client, size: int) -> None:
        """A peer reads, so its socket takes `size` more bytes."""
        client.line.room += size
        if client.interest & WRITE:
            self._transports.write(client.end, self.now)

    def answer(self, responses: tuple[Message, ...], outcome: Outcome) -> None:
        """The handler answers, if it has a message."""
        if self._turns.asked is None:
            return
        end, ask = self._turns.asked
        continuation = attrs.evolve(ask[1], carry=self._turns.answered(), responses=responses, outcome=outcome)
        self._models[end.peer].answered(continuation)
        if not self._core.accepting:  # The server ends: after this answer, it asks the peer to close.
            self._models[end.peer].closing()
        following = self._core.answered(continuation, self.now, self.now)
        if self._core.accepting:
            self._turns.notice([client.end for client in self.clients if client.end is end])
            if following is not None:
                self._handed(following)
        else:
            self._ended()

    def fail(self, how: int) -> None:
        """The handler raises, or returns an invalid answer, if it has a message."""
        if self._turns.asked is None:
            return
        _, ask = self._turns.asked
        self._turns.failed()
        wrong = (
            ask[1].respond(-1, Message.text(Signal.RECEIVED.content.decode())),
            ask[1].respond(-1, Message.octets(b"x" * (self._limits.message + 1))),
            Continuation(-1),  # A Continuation of no client.
        )
        if how % 4 < len(wrong):
            self._core.answered(wrong[how % 4], self.now, self.now)
        else:
            self._core.failed(KeyError("x"), self.now)
        self._ended()

    def interrupt(self) -> None:
        """The handler is interrupted, whether it has a message or not."""
        self._turns.interrupted()
        self._core.interrupted(self.now)
        self._ended()

    def shutdown(self) -> None:
        """The server gets a signal to end."""
        self._core.shutdown(self.now)
        self._ended()

    def drop(self, client: Client) -> None:
        """The system has no memory for a peer. The server still folds a message of it that waits."""
        client.dropped = True
        client.end.abort("there is no room", self.now)

    def look_away(self, seconds: float) -> None:
        """Time passes while the server does not read."""
        self.now += seconds
        self._paused += seconds

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds
        self._heard = self.now
        self._ticking = True
        due = self.settle()
        self._ticking = False
        for client in self.clients:
            client.model.ticked(self.now, self._paused)
        assert due > self.now or not self._turns.idle, "the next turn has something to do"

    def settle(self) -> float:
        """Take turns as a shell does, until nothing changes, and check the rules. Return when the next turn is due."""
        ends = [client.end for client in self.clients]
        while True:
            ask, _, due = self._transports.settle(self.now, self._heard)
            self._turns.notice(ends)
            self._handed(ask)
            if due > -inf or ask is not None:
                break
        for client in self.clients:
            if not self._ticking:
                client.model.check(self.now, self._paused)
            assert due <= client.end.deadline, "the next turn is no later than the deadline of any peer"
        self._turns.check(self._core, self._most)
        return due

    # The calls of the transports.

    def clogged(self, end: ServerConnection) -> bool:
        """Whether this peer must read before the server reads more of it."""
        return end.outbox.size > self._limits.unsent

    def closed(self, client: Client) -> None:
        """The core closed the connection of a client."""
        self.clients.remove(client)
        if client.dropped:
            return
        if self._ticking:
            client.model.ticked(self.now, self._paused)
        client.model.check(self.now, self._paused)
        if not client.line.reset and not client.model.lost:
            client.model.flushed()

    def _withdraw(self) -> None:
        if not self._stopped:  # Only the timeout ends the server during a turn.
            assert self._ticking
            self._ended()

    def _handed(self, ask: Ask[int] | None) -> None:
        new = self._turns.handed(ask)
        if new is not None:
            assert isinstance(new[0], Message)
            self._models[new[1].peer].asked(new[0])

    def _ended(self) -> None:
        """The fold has ended. The server asks all clients to close, except the one whose message the handler has."""
        assert not self._core.accepting
        self._stopped = True
        self._turns.stopped()
        asked = None if self._turns.asked is None else self._turns.asked[0]
        for client in self.clients:
            if client.end is not asked:
                client.model.draining(self.now)
                if client.end.state is not ServerState.OVER:
                    client.model.closing()
