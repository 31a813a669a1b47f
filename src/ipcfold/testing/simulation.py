"""A handler at work, simulated: the real protocol and many clients, without sockets and without waiting.

>>> from ipcfold import Continuation, Message
>>> def count(message, continuation, counter):
...     return continuation.respond(counter + 1, Message.text(f"pong {counter + 1}"))
>>> ping = Message.text("ping")
>>> simulated = simulate(count, 0, [Send("ann", ping), Hold("bob"), Send("bob", ping), Send("ann", ping), Kill("bob", lost=3)])
>>> simulated.result
<Success: 2>
>>> [response.content for response in simulated.clients["ann"].responses]
[b'pong 1', b'pong 2']
>>> print(simulated)
   0.00 s  ann     connects
   0.00 s  ann     sends text/plain b'ping'
   0.00 s  server  folds text/plain b'ping' of ann, responds text/plain b'pong 1': the carry is 1
   0.00 s  ann     gets text/plain b'pong 1'
   0.00 s  bob     connects
   0.00 s  bob     is held
   0.00 s  bob     sends text/plain b'ping'
   0.00 s  ann     sends text/plain b'ping'
   0.00 s  server  folds text/plain b'ping' of ann, responds text/plain b'pong 2': the carry is 2
   0.00 s  ann     gets text/plain b'pong 2'
   0.00 s  bob     dies, and the last 3 bytes it wrote are lost
   0.00 s  bob     is released
   0.00 s  server  has no bob any more: its stream ended
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final, Generic, TypeVar, final

import attrs
from hypothesis import currently_in_test_context, note
from returns.result import Failure, Result, Success

from ipcfold.continuation import Handler, Outcome
from ipcfold.core.calling import State
from ipcfold.errors import HandlerFailed
from ipcfold.events import Connected, Departure, Disconnected, Event, Folded, Listening, Refused, Stopping
from ipcfold.limits import Limits
from ipcfold.message import Message
from ipcfold.peer import Peer
from ipcfold.result import cases
from ipcfold.testing.network import Line, Network
from ipcfold.testing.script import ClientStep, Close, Connect, Elapse, Hold, Kill, Release, Send, Shutdown, Step, Write

C = TypeVar("C")

_LONGEST: Final = 60  # characters of a content or a carry in a transcript
_SERVER: Final = "server"

kept: ContextVar[list[Simulation[Any]] | None] = ContextVar("kept", default=None)  # Any: of whatever carry
"""Where simulations are kept for whoever shows them once a test has failed; `ipcfold.testing.plugin` does."""


@final
@attrs.frozen
class Client:
    """What one client said and saw."""

    name: str
    peer: Peer
    """What its connection is to the handler."""
    sent: tuple[Message, ...]
    acknowledged: int
    """How many of them, as far as it was told: those are in the carry."""
    answers: tuple[tuple[Message, ...], ...]
    """The responses to each message sent, as far as they came."""
    departure: Departure | None
    """How its connection ended for it; `None` while it is on."""

    @property
    def responses(self) -> tuple[Message, ...]:
        """All that came, in order."""
        return tuple(response for answer in self.answers for response in answer)


@final
@attrs.frozen(repr=False)
class Simulation(Generic[C]):
    """What came of a script; `str()` of it is the transcript, which Hypothesis shows for the example that fails."""

    result: Result[C, HandlerFailed[C]]
    """What the server returned, or would if it ended now."""
    outcome: Outcome
    """`STOP` once the server has ended, for whatever reason, else `CONTINUE`."""
    clients: Mapping[str, Client]
    events: tuple[Event, ...]
    """What the server would tell its observer; a handler takes no time."""
    transcript: tuple[str, ...]

    @property
    def carry(self) -> C:
        """The last good carry, also where the handler failed."""
        return _carry(self.result)

    def __str__(self) -> str:
        return "\n".join(self.transcript)

    def __repr__(self) -> str:
        return f"<Simulation {self.result} of {len(self.clients)} clients; str() is the transcript>"


def simulate(
    handler: Handler[C],
    carry: C,
    script: Iterable[Step],
    *,
    limits: Limits | None = None,
    heartbeat: float = 1.0,
    timeout: float | None = None,
    chunks: Sequence[int] = (),
) -> Simulation[C]:
    """What comes of this script, for a server of this carry and handler and for each of its clients.

    After each step all that can arrive does, in both directions, but for clients that are held; in the end those are released.
    `limits` and `heartbeat` are those of `IPC`, `timeout` that of `IPC.listen`, in seconds of the script's own time. `chunks`: how
    many bytes each read of a stream brings, over and over; everything there is if it is empty.
    """
    stage = Stage(handler, carry, limits=limits, heartbeat=heartbeat, timeout=timeout, chunks=chunks)
    for step in script:
        stage.play(step)
    simulation = stage.end()
    if currently_in_test_context():
        note(str(simulation))
    elif (simulations := kept.get()) is not None:
        simulations.append(simulation)
    return simulation


@final
class Stage(Generic[C]):
    """Where a script is played, step by step."""

    def __init__(
        self,
        handler: Handler[C],
        carry: C,
        *,
        limits: Limits | None = None,
        heartbeat: float = 1.0,
        timeout: float | None = None,
        chunks: Sequence[int] = (),
        folded: Callable[[C], object] = lambda _: None,
    ) -> None:
        """As for `simulate`; `folded` gets the carry after each message."""
        self._folded = folded
        self._numbers = dict[str, int]()
        self._names = dict[int, str]()
        self._happened = list[tuple[float, str, str]]()
        self._network: Network[C] = Network(
            handler, carry, limits=limits, heartbeat=heartbeat, timeout=timeout, chunks=chunks, told=self._told, heard=self._heard
        )

    @property
    def result(self) -> Result[C, HandlerFailed[C]]:
        """What the server returned, or would if it ended now."""
        return self._network.result

    @property
    def carry(self) -> C:
        """The last good carry."""
        return _carry(self._network.result)

    @property
    def accepting(self) -> bool:
        """Whether the server goes on."""
        return self._network.host.accepting

    @property
    def clients(self) -> tuple[Client, ...]:
        """What each client said and saw until now."""
        return tuple(map(self.client, self._numbers))

    def play(self, step: Step) -> None:
        """Let this happen, and then arrive what can."""
        network = self._network
        match step:
            case Elapse(seconds):
                network.elapse(seconds)
                self._say("time", f"went on by {seconds:g} s")
            case Shutdown():
                self._say(_SERVER, "gets a signal to end")
                network.shutdown()
            case _:
                self._act(step, self._number(step.client))
        network.settle()

    def client(self, name: str) -> Client:
        """What this one said and saw until now."""
        line = self._network.lines[self._number(name)]
        sent, answers = tuple(line.said), tuple(map(tuple, line.answers))
        return Client(name, line.serving.peer, sent, line.calling.acknowledged, answers, _departure(line))

    def end(self) -> Simulation[C]:
        """Release who is held; what came of it all."""
        for name in self._numbers:
            self.play(Release(name))
        outcome = Outcome.CONTINUE if self.accepting else Outcome.STOP
        return Simulation(self.result, outcome, {each.name: each for each in self.clients}, tuple(self._network.events), self.transcript)

    @property
    def transcript(self) -> tuple[str, ...]:
        """What has happened, a line each."""
        width = max((len(who) for _, who, _ in self._happened), default=0)
        return tuple(f"{when:7.2f} s  {who:<{width}}  {what}" for when, who, what in self._happened)

    def _act(self, step: ClientStep, number: int) -> None:
        network, line, name = self._network, self._network.lines[number], step.client
        if isinstance(step, Release):
            if line.held:
                self._say(name, "is released")
            line.held = False
        elif line.client_gone or not line.calling.open:
            return
        match step:
            case Connect() | Release():
                pass
            case Send(_, messages):
                match cases(network.send(number, *messages)):
                    case Success():
                        self._say(name, f"sends {_all_shown(messages)}")
                    case Failure(refused):
                        self._say(name, f"cannot send: {refused}")
                network.client_writes(number)
            case Write(_, data):
                self._say(name, f"writes {data!r:.{_LONGEST}}")
                network.write(number, data)
            case Close():
                self._say(name, "closes")
                network.close(number)
            case Kill(_, lost):
                lost = min(lost, len(line.up))
                self._say(name, f"dies, and the last {lost} bytes it wrote are lost" if lost else "dies")
                network.kill(number, lost)
            case Hold():
                self._say(name, "is held")
                line.held = True

    def _number(self, name: str) -> int:
        """The number of this client, which connects if it has none."""
        if name not in self._numbers:
            number = self._numbers[name] = len(self._numbers) + 1
            self._names[number] = name
            self._say(name, "connects")
            self._network.connect()
            self._network.settle()
        return self._numbers[name]

    def _told(self, event: Event) -> None:
        match event:
            case Listening() | Connected():
                pass
            case Refused(peer=peer, reason=reason):
                self._say(_SERVER, f"turns {self._names[peer.connection]} away: {reason}")
            case Folded(peer=peer, message=message, responses=responses, outcome=outcome):
                responded = f", responds {_all_shown(responses)}" if responses else ""
                decided = "" if outcome is Outcome.CONTINUE else f", says {outcome.value}"
                told = f"{_shown(message)} of {self._names[peer.connection]}{responded}{decided}"
                self._say(_SERVER, f"folds {told}: the carry is {self.carry!r:.{_LONGEST}}")
                self._folded(self.carry)
            case Disconnected(peer=peer, departure=departure, reason=reason):
                why = departure.value + (f", {reason}" if reason else "")
                self._say(_SERVER, f"has no {self._names[peer.connection]} any more: {why}")
            case Stopping(ending=ending):
                match cases(self._network.result):
                    case Success():
                        self._say(_SERVER, f"ends: {ending.value}")
                    case Failure(failed):
                        self._say(_SERVER, f"ends: {failed}")

    def _heard(self, number: int, response: Message) -> None:
        self._say(self._names[number], f"gets {_shown(response)}")

    def _say(self, who: str, what: str) -> None:
        self._happened.append((self._network.now, who, what))


def _carry(result: Result[C, HandlerFailed[C]]) -> C:
    match cases(result):
        case Success(carry):
            return carry
        case Failure(failed):
            return failed.carry


def _shown(message: Message) -> str:
    return f"{message.media_type} {message.content!r:.{_LONGEST}}"


def _all_shown(messages: Iterable[Message]) -> str:
    return ", ".join(map(_shown, messages))


def _departure(line: Line) -> Departure | None:
    if line.dead:
        return Departure.LOST
    match line.calling.state:
        case State.CONNECTED | State.TALKING | State.CLOSING:
            return None
        case State.CLOSED:
            return Departure.CLOSED
        case State.DISMISSED:
            return Departure.DISMISSED
        case State.LOST | State.BROKEN | State.FLOODED | State.INTERRUPTED:
            return Departure.LOST
