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

import sys
from abc import abstractmethod
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from returns.result import Failure, Success

from ipcfold.continuation import Handler
from ipcfold.limits import Limits
from ipcfold.message import Message
from ipcfold.result import cases
from ipcfold.testing.player import Client, ScriptPlayer
from ipcfold.testing.script import Close, Connect, Elapse, Hold, Kill, Release, Send, Step

C = TypeVar("C")

_NAMES: Final = ("ann", "bob", "cat", "dan", "eve", "fay", "gus", "hal")
_RARELY: Final = 1000.0  # seconds: nobody's handler or client can notice a heartbeat, and hundreds of them take time
_TROUBLE: Final[dict[str, Callable[[str], Step]]] = {
    "half a second passes": lambda _: Elapse(0.5),
    "more than a minute passes": lambda _: Elapse(70.0),
    "is held": Hold,
    "is released": Release,
    "closes": Close,
    "dies": Kill,
    "dies in the middle of a frame": lambda name: Kill(name, 9),
}
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
        self._names = dict[int, str]()
        self._player = ScriptPlayer(handler, carry, limits=self.limits, heartbeat=_RARELY, folded=self.check)

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
        return self._player.carry

    @property
    def seen(self) -> tuple[Client, ...]:
        """What each client said and saw, also those that are gone."""
        return self._player.clients

    # What can happen. Two rules, without preconditions, which choose among as many clients whoever is there: that shrinks best.

    @rule(client=_clients, data=st.data())
    def send(self, client: int, data: st.DataObject) -> None:
        """A client says something that it may; it connects, if it is a new one, or was gone."""
        name = self._names.get(client)
        if name not in self._player.present:
            if name in self._player.held or not self._player.accepting:
                return  # what it said before it died is still under way; or there is no server any more
            count = len(self._player.names)
            name = self._names[client] = _NAMES[count] if count < len(_NAMES) else f"client{count + 1}"
            self._play(Connect(name))
        allowed = self.messages(self._player.client(name))
        if not allowed.is_empty:
            self._play(Send(name, data.draw(allowed, label=f"{name} sends")))

    @rule(client=_clients, what=st.sampled_from(list(_TROUBLE)))
    def trouble(self, client: int, what: str) -> None:
        """Something happens to a client, or time passes; what was held may be released after its client has died."""
        name, step = self._names.get(client, ""), _TROUBLE[what]
        if what.endswith("passes") or name in (self._player.held if step is Release else self._player.present):
            self._play(step(name))

    def teardown(self) -> None:
        """Whoever is held is released, if nothing went wrong before; then what happened is shown."""
        try:
            if sys.exc_info()[0] is None:
                for client in self._player.held:
                    self._play(Release(client))
        finally:
            note("\n".join(self._player.transcript))

    def _play(self, step: Step) -> None:
        self._player.play(step)
        match cases(self._player.result):
            case Success():
                pass
            case Failure(failed):
                raise failed.error
