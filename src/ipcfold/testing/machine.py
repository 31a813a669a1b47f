"""A protocol as a state machine for Hypothesis: many clients send allowed messages, and each fold is checked.

Subclass `ProtocolMachine`, and give its `TestCase` to pytest:

    class Counting(ProtocolMachine[int]):
        def server(self) -> tuple[int, Handler[int]]:
            return 0, count

        def messages(self, client: Client) -> st.SearchStrategy[Message]:
            return st.just(Message.text("ping"))

        def check(self, carry: int) -> None:
            assert carry >= 0

    TestCounting = Counting.TestCase

Hypothesis shrinks a failure to the shortest conversation that still fails, and shows its transcript. To check more than the
carry, use Hypothesis's `@invariant()`: `self.carry` has the carry, and `self.seen` the messages of each client.
"""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, Generic, TypeVar, final

import attrs
from hypothesis import Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from returns.result import Failure, Success

from ipcfold.continuation import Continuation, Handler
from ipcfold.handlers.showing import Shows
from ipcfold.limits import Limits
from ipcfold.message import Message
from ipcfold.peer import Peer
from ipcfold.result import cases
from ipcfold.testing.player import Client, ScriptPlayer
from ipcfold.testing.script import Close, Connect, Elapse, Hold, Kill, Release, Send, Step

C = TypeVar("C")

_NAMES: Final = ("ann", "bob", "cat", "dan", "eve", "fay", "gus", "hal")
_RARELY: Final = 1000.0  # seconds: handlers and clients cannot see heartbeats, and hundreds of them take time
_TROUBLE: Final[dict[str, Callable[[str], Step]]] = {
    "half a second passes": lambda _: Elapse(0.5),
    "more than a minute passes": lambda _: Elapse(70.0),
    "is held": Hold,
    "is released": Release,
    "closes": Close,
    "dies": Kill,
    "dies in the middle of a frame": lambda name: Kill(name, 9),
}
_TROUBLES: Final = [  # Each as often as it stands here. Most mistakes need time, and clients that are still there.
    *("half a second passes",) * 2,
    *("more than a minute passes",) * 4,
    *("is held", "is released") * 2,
    *("closes", "dies", "dies in the middle of a frame"),
]


@final
@attrs.frozen(repr=False)
class _Drawn:
    """A message that Hypothesis shows as the transcript does."""

    message: Message
    text: str

    def __repr__(self) -> str:
        return self.text


_clients: Final = st.runner().flatmap(lambda machine: st.integers(0, machine.most - 1))


class ProtocolMachine(RuleBasedStateMachine, Generic[C]):
    """Drives a server with many clients, which connect, send, are held, close and die while time passes."""

    limits: Limits | None = None
    """The limits of the server; `None` for the defaults."""
    most: int = 5
    """The largest number of clients at once."""
    epoch: float = 0.0
    """`Continuation.now` at the beginning, in seconds since the epoch."""
    codecs: Sequence[Shows] = ()
    """Show the values of messages, as those of `simulate`."""
    corpus: Sequence[Sequence[Step]] = ()
    """Scripts of earlier conversations, such as `recorded` makes of logs. Each conversation begins with the first steps of one of them.

    Its clients then go on, at most `most` of them.
    """

    def __init_subclass__(cls) -> None:
        if cls.corpus:  # a machine without one draws nothing for it
            cls.begin = initialize(data=st.data())(_begin)
        super().__init_subclass__()
        # To explain takes longer than to shrink, and Hypothesis shows no explanation of what a state machine draws.
        usual = cls.TestCase.settings
        cls.TestCase.settings = settings(usual, phases=[phase for phase in usual.phases if phase is not Phase.explain])

    begin: ClassVar[object] = None

    def __init__(self) -> None:
        super().__init__()
        carry, handler = self.server()
        self._names = dict[int, str]()
        left = None if type(self).left is ProtocolMachine.left else self.left
        woken = None if type(self).woken is ProtocolMachine.woken else self.woken
        self._player = ScriptPlayer(
            handler,
            carry,
            limits=self.limits,
            heartbeat=_RARELY,
            left=left,
            woken=woken,
            epoch=self.epoch,
            codecs=self.codecs,
            folded=self.check,
        )

    # A subclass defines these methods.

    @abstractmethod
    def server(self) -> tuple[C, Handler[C]]:
        """The first carry and the handler."""

    @abstractmethod
    def messages(self, client: Client) -> st.SearchStrategy[Message]:
        """The messages that the protocol allows this client to send now; `st.nothing()` while it has to wait."""

    def left(self, peer: Peer, continuation: Continuation[C], carry: C) -> Continuation[C]:
        """The `left` of the server. Without one of its own, a machine has none."""
        raise NotImplementedError

    def woken(self, continuation: Continuation[C], carry: C) -> Continuation[C]:
        """The `woken` of the server. Without one of its own, a machine has none."""
        raise NotImplementedError

    def check(self, carry: C) -> None:
        """Assert what must hold of the carry; called after each message, departure and alarm."""

    # A subclass may read these properties.

    @property
    def carry(self) -> C:
        """The current carry of the server."""
        return self._player.carry

    @property
    def now(self) -> float:
        """`Continuation.now` of an input that the server would take now."""
        return self.epoch + self._player.elapsed

    @property
    def seen(self) -> tuple[Client, ...]:
        """The messages and responses of each client, also of those that are gone."""
        return self._player.clients

    # These are two rules without preconditions. Both always choose among the same number of clients, which shrinks best.

    @rule(client=_clients, data=st.data())
    def send(self, client: int, data: st.DataObject) -> None:
        """A client sends a message that the protocol allows. It connects before that, if it is new or gone."""
        name = self._names.get(client)
        if name not in self._player.present:
            if name in self._player.held or not self._player.accepting:
                return  # its messages from before its death are still in transit, or the server has ended
            count = len(self._player.names)
            name = self._names[client] = _NAMES[count] if count < len(_NAMES) else f"client{count + 1}"
            self._play(Connect(name))
        allowed = self.messages(self._player.client(name))
        if not allowed.is_empty:
            drawn = data.draw(allowed.map(lambda message: _Drawn(message, self._player.asked(message))), label=f"{name} sends")
            self._play(Send(name, drawn.message))

    @rule(client=_clients, what=st.sampled_from(_TROUBLES))
    def trouble(self, client: int, what: str) -> None:
        """Something happens to a client, or time passes. A held client can be released after its death."""
        name, step = self._names.get(client, ""), _TROUBLE[what]
        if what.endswith("passes") or name in (self._player.held if step is Release else self._player.present):
            self._play(step(name))

    def teardown(self) -> None:
        """Release the held clients if nothing has failed, then show the transcript."""
        try:
            if sys.exc_info()[0] is None:
                for client in self._player.held:
                    self._play(Release(client))
        finally:
            note("\n".join(self._player.transcript))

    def resume(self, script: Sequence[Step]) -> None:
        """Play these steps, whose clients then go on."""
        for step in script:
            self._play(step)
        self._names.update(enumerate(self._player.present[-self.most :]))

    def _play(self, step: Step) -> None:
        self._player.play(step)
        match cases(self._player.result):
            case Success():
                pass
            case Failure(failed):
                raise failed.error


def _begin(machine: ProtocolMachine[Any], data: st.DataObject) -> None:  # Any: of whatever carry
    """Begin with some steps of the corpus."""
    script = data.draw(st.sampled_from(machine.corpus), label="a script of the corpus")
    machine.resume(script[: data.draw(st.integers(0, len(script)), label="its first steps")])
