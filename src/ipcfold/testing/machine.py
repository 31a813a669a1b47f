"""A protocol as a state machine for Hypothesis: many clients say what they may, and what must hold is looked at as they do.

Subclass `ProtocolMachine`, and give the `TestCase` of that to pytest:

    class Counting(ProtocolMachine[int]):
        def server(self) -> tuple[int, Handler[int]]:
            return 0, count

        def messages(self, client: Client) -> st.SearchStrategy[Message]:
            return st.just(Message.text("ping"))

        def check(self, carry: int) -> None:
            assert carry >= 0

    TestCounting = Counting.TestCase

What fails is shrunk to the shortest conversation that still does, and shown with its transcript. Invariants over more than
the carry are Hypothesis's own: an `@invariant()` has `self.carry` and, in `self.seen`, what each client knows.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Final, Generic, TypeVar

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from returns.result import Failure, Success

from ipcfold.continuation import Handler
from ipcfold.limits import Limits
from ipcfold.message import Message
from ipcfold.result import cases
from ipcfold.testing.script import Close, Connect, Elapse, Hold, Kill, Release, Send, Step
from ipcfold.testing.stage import Client, Stage

C = TypeVar("C")

_NAMES: Final = ("ann", "bob", "cat", "dan", "eve", "fay", "gus", "hal")
_RARELY: Final = 1000.0  # seconds: nobody's handler or client can notice a heartbeat, and hundreds of them take time
_clients: Final = st.runner().flatmap(lambda machine: st.integers(0, machine.most - 1))


class ProtocolMachine(RuleBasedStateMachine, Generic[C]):
    """Drives a server with many clients: they connect, speak, are held up, close, die; and time passes."""

    limits: Limits | None = None
    """Those of the server, if not the default."""
    most: int = 5
    """How many clients there are at once, at most."""

    def __init__(self) -> None:
        super().__init__()
        carry, handler = self.server()
        self._connections = dict[int, str]()
        self._stage = Stage(handler, carry, limits=self.limits, heartbeat=_RARELY, folded=self.check)

    # What a subclass says

    @abstractmethod
    def server(self) -> tuple[C, Handler[C]]:
        """The first carry and the handler."""

    @abstractmethod
    def messages(self, client: Client) -> st.SearchStrategy[Message]:
        """What the protocol allows this client to say now; `st.nothing()` while it has to wait."""

    def check(self, carry: C) -> None:
        """What must hold of the carry, by assertions, after each message."""

    # What it may look at

    @property
    def carry(self) -> C:
        """What the server carries now."""
        return self._stage.carry

    @property
    def seen(self) -> tuple[Client, ...]:
        """What each client said and saw, also those that are gone."""
        return self._stage.clients

    # What can happen; who is gone comes back as somebody new

    @rule(client=_clients, data=st.data())
    def send(self, client: int, data: st.DataObject) -> None:
        """A client says something that it may."""
        name = self._connected(client)
        allowed = self.messages(self._stage.client(name))
        if not allowed.is_empty:
            self._play(Send(name, data.draw(allowed, label=f"{name} sends")))

    @rule(client=_clients)
    def hold(self, client: int) -> None:
        """Nothing of this client arrives for now."""
        self._play(Hold(self._connected(client)))

    @rule(client=_clients)
    def release(self, client: int) -> None:
        """What was held arrives."""
        self._play(Release(self._connected(client)))

    @rule(client=_clients)
    def close(self, client: int) -> None:
        """A client closes."""
        self._play(Close(self._connected(client)))

    @rule(client=_clients, lost=st.integers(0, 40))
    def kill(self, client: int, lost: int) -> None:
        """A client dies, maybe in the middle of a frame."""
        self._play(Kill(self._connected(client), lost))

    @rule(seconds=st.sampled_from([0.5, 2.0, 70.0]))
    def elapse(self, seconds: float) -> None:
        """Time passes."""
        self._play(Elapse(seconds))

    def teardown(self) -> None:
        """Show what happened."""
        note("\n".join(self._stage.transcript))

    def _connected(self, client: int) -> str:
        """The name of the connection that this client has now; the first to connect is the first of the names."""
        name = self._connections.get(client)
        if name is None or (self._stage.accepting and self._stage.client(name).departure is not None):
            count = len(self.seen)
            name = self._connections[client] = _NAMES[count] if count < len(_NAMES) else f"client{count + 1}"
            self._play(Connect(name))
        return name

    def _play(self, step: Step) -> None:
        self._stage.play(step)
        match cases(self._stage.result):
            case Success():
                pass
            case Failure(failed):
                raise failed.error
