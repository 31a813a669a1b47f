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
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, precondition, rule
from returns.result import Failure, Success

from ipcfold.continuation import Handler
from ipcfold.limits import Limits
from ipcfold.message import Message
from ipcfold.result import cases
from ipcfold.testing.script import Close, Connect, Elapse, Hold, Kill, Release, Send, Shutdown, Step
from ipcfold.testing.simulation import Client, Stage

C = TypeVar("C")

_NAMES: Final = ("ann", "bob", "cat", "dan", "eve", "fay", "gus", "hal")


class ProtocolMachine(RuleBasedStateMachine, Generic[C]):
    """Drives a server with many clients: they connect, speak, are held up, close, die; and time passes."""

    limits: Limits | None = None
    """Those of the server, if not the default."""
    clients: Bundle[str] = Bundle("clients")

    def __init__(self) -> None:
        super().__init__()
        carry, handler = self.server()
        self._stage = Stage(handler, carry, limits=self.limits, folded=self.check)

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

    # What can happen

    @precondition(lambda self: self._stage.accepting)
    @rule(target=clients)
    def connect(self) -> str:
        """One more client."""
        count = len(self._stage.clients)
        name = _NAMES[count] if count < len(_NAMES) else f"client{count + 1}"
        self._play(Connect(name))
        return name

    @rule(client=clients, data=st.data())
    def send(self, client: str, data: st.DataObject) -> None:
        """A client says something that it may."""
        allowed = self.messages(self._stage.client(client))
        if not allowed.is_empty:
            self._play(Send(client, data.draw(allowed, label=f"{client} sends")))

    @rule(client=clients)
    def hold(self, client: str) -> None:
        """Nothing of this client arrives for now."""
        self._play(Hold(client))

    @rule(client=clients)
    def release(self, client: str) -> None:
        """What was held arrives."""
        self._play(Release(client))

    @rule(client=consumes(clients))
    def close(self, client: str) -> None:
        """A client closes."""
        self._play(Close(client))

    @rule(client=consumes(clients), lost=st.integers(0, 40))
    def kill(self, client: str, lost: int) -> None:
        """A client dies, maybe in the middle of a frame."""
        self._play(Kill(client, lost))

    @rule(seconds=st.sampled_from([0.5, 2.0, 100.0]))
    def elapse(self, seconds: float) -> None:
        """Time passes."""
        self._play(Elapse(seconds))

    def teardown(self) -> None:
        """Whoever is held is released; then the server ends."""
        try:
            self._stage.end()
            self._play(Shutdown())
        finally:
            note("\n".join(self._stage.transcript))

    def _play(self, step: Step) -> None:
        self._stage.play(step)
        match cases(self._stage.result):
            case Success():
                pass
            case Failure(failed):
                raise failed.error
