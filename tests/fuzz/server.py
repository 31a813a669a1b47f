"""A whole server without its sockets, as its shell drives it, and all that must hold of it after every event."""

from typing import Final, final

import attrs

from ipcfold import Limits, Message, Peer
from ipcfold.continuation import Continuation, Outcome
from ipcfold.core.frame import Signal
from ipcfold.core.server import ServerCore
from ipcfold.core.server_connection import ServerConnection, State
from tests.fuzz.connection_model import ConnectionModel
from tests.fuzz.models import Line
from tests.fuzz.program import HEARTBEAT
from tests.fuzz.turns import Turns

_OWN_USER: Final = 0


@attrs.define(eq=False)
class Client:
    """One peer, its line and its end."""

    end: ServerConnection
    line: Line
    model: ConnectionModel


@final
class Server:
    """A host, its clients, and the models of both."""

    def __init__(self, limits: Limits, timeout: float | None) -> None:
        self._limits = limits
        self._now = 0.0
        self._paused = 0.0
        self._core = ServerCore(0, heartbeat=HEARTBEAT, limits=self._limits, timeout=timeout, now=0.0, user=_OWN_USER)
        self.clients: list[Client] = []
        self._models: dict[Peer, ConnectionModel] = {}
        """Those of all that ever came."""
        self._most = 0
        self._turns = Turns()

    def finish(self) -> None:
        """The server ends: then every peer is gone in time, and the carry counts the answers."""
        self.shutdown()
        self.answer((), Outcome.CONTINUE)
        self.settle()
        for client in list(self.clients):
            client.line.room += 2**30
            self.look_after(client)
        self.settle()
        self.wait(self._limits.drain)
        self.settle()
        assert not self.clients
        assert self._core.over
        assert self._core.ask() is None

    # What happens

    def connect(self, user: int, room: int) -> Client | None:
        """A peer of that user comes, if there is a place for it; its socket takes so many bytes."""
        peer = Peer(len(self._models) + 1, uid=user)
        others = sum(client.end.peer.uid == user for client in self.clients) if user else 0
        full = len(self.clients) >= self._limits.connections or others >= self._limits.connections_per_user
        assert bool(self._core.refusal(peer)) == full
        if full:
            return None
        end = self._core.connect(peer, self._now)
        client = Client(end, Line(room), ConnectionModel(end, self._limits, self._now))
        if not self._core.accepting:
            client.model.closing()
            client.model.draining(self._now)
        self.clients.append(client)
        self._models[peer] = client.model
        self._most = max(self._most, len(self.clients))
        return client

    def read(self, client: Client, size: int) -> None:
        """Read so many bytes, if the end wants any."""
        end = client.end
        if end.waiting or not end.reading:
            return
        data = client.line.read(size)
        if data is None:
            return
        if data:
            client.model.received(data)
            self._core.receive(end.peer.connection, data, self._now)
        else:
            client.model.ended()
            self._core.end(end.peer.connection, self._now)
        self._turns.notice(client.end)

    def ask(self) -> None:
        """The handler gets the next message, if it is free."""
        asked = self._turns.ask(self._core)
        if asked is not None:
            end, ask = asked
            self._models[end.peer].asked(ask[0])

    def answer(self, responses: tuple[Message, ...], outcome: Outcome) -> None:
        """The handler answers, if it has a message."""
        if self._turns.asked is None:
            return
        end, ask = self._turns.asked
        continuation = attrs.evolve(ask[1], carry=self._turns.answered(), responses=responses, outcome=outcome)
        self._models[end.peer].answered(continuation)
        if not self._core.accepting:  # it was only to be answered before it is asked to close
            self._models[end.peer].closing()
        self._core.answered(continuation, self._now)
        if any(client.end is end for client in self.clients):
            self._turns.notice(end)
        if not self._core.accepting:
            self._ended()

    def fail(self, how: int) -> None:
        """The handler raises, or gives what is no answer, if it has a message."""
        if self._turns.asked is None:
            return
        _, ask = self._turns.asked
        self._turns.failed()
        wrong = (
            ask[1].respond(-1, Message.text(Signal.RECEIVED.content.decode())),
            ask[1].respond(-1, Message.octets(b"x" * (self._limits.message + 1))),
            Continuation(-1),  # nobody's
        )
        if how % 4 < len(wrong):
            self._core.answered(wrong[how % 4], self._now)
        else:
            self._core.failed(KeyError("x"), self._now)
        self._ended()

    def interrupt(self) -> None:
        """The handler is interrupted, or would be."""
        self._turns.interrupted()
        self._core.interrupted(self._now)
        self._ended()

    def shutdown(self) -> None:
        """The server is to end."""
        self._core.shutdown(self._now)
        self._ended()

    def look_away(self, seconds: float) -> None:
        """Time passes while the server looks away."""
        self._now += seconds
        self._paused += seconds
        self._core.absent(seconds)

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self._now += seconds
        accepting = self._core.accepting
        self._core.tick(self._now)
        if self._core.accepting != accepting:
            self._ended()
        for client in self.clients:
            client.model.ticked(self._now, self._paused)
        due = self._core.deadline
        assert due is None or due > self._now or not self._turns.idle, "it does not turn in vain"

    def settle(self) -> None:
        """As the shell does: look after every end that something happened to. Then all must hold."""
        while ends := self._core.attention():
            for end in ends:
                for client in [each for each in self.clients if each.end is end]:
                    self.look_after(client)
        self._check()

    def _ended(self) -> None:
        """The fold has ended: everybody is asked to close, but who is to be answered first."""
        assert not self._core.accepting
        self._turns.stopped()
        asked = None if self._turns.asked is None else self._turns.asked[0]
        for client in self.clients:
            if client.end is not asked:
                client.model.draining(self._now)
                if client.end.state is not State.OVER:
                    client.model.closing()

    def look_after(self, client: Client) -> None:
        """Write what its socket takes, and let it go if it is over."""
        end, outbox = client.end, client.end.outbox
        clogged, waiting = end.clogged, outbox.size
        client.model.check(self._now, self._paused)
        client.model.wrote(client.line.write(outbox))
        if outbox.size < waiting and (clogged or end.state is not State.TALKING):
            client.model.progressed(self._now)
            self._core.wrote(end.peer.connection, self._now)
            self._turns.notice(client.end)
        if end.over:
            client.model.check(self._now, self._paused)
            if not client.line.reset and not client.model.lost:
                client.model.flushed()
            self.drop(client)

    def drop(self, client: Client) -> None:
        """Forget it; a message of it that waits is folded all the same."""
        self.clients.remove(client)
        self._core.forget(client.end.peer.connection)

    def _check(self) -> None:
        for client in self.clients:
            client.model.check(self._now, self._paused)
            assert self._core.deadline is not None
            assert self._core.deadline <= client.end.deadline, "nobody is forgotten"
        self._turns.check(self._core, self._most)
