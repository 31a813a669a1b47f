"""Plays scripts on a network whose clients have names, and writes the transcript."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from reprlib import Repr
from typing import Final, Generic, TypeVar, final

import attrs
from returns.result import Failure, Result, Success

from ipcfold.continuation import Continuation, Handler, Leaving, Outcome, Waking
from ipcfold.core.protocol import ClientState
from ipcfold.effects import Answer, Defer, Effect, Rescued, Tell, Ticket, Wake
from ipcfold.errors import HandlerFailed
from ipcfold.events import Connected, Departure, Disconnected, Event, Folded, Listening, Observer, Refused, Stopping
from ipcfold.handlers.showing import Shown, Shows
from ipcfold.inputs import Left, Woken
from ipcfold.limits import Limits
from ipcfold.message import Message, shortened
from ipcfold.peer import Peer
from ipcfold.result import cases
from ipcfold.testing.link import Link
from ipcfold.testing.network import Network
from ipcfold.testing.script import ClientStep, Close, Connect, Elapse, Hold, Kill, Release, Send, Shutdown, Step, Write

C = TypeVar("C")

_SERVER: Final = "server"
_TIME: Final = "time"


class _Brief(Repr):
    """Writes the carry in a transcript. A large carry is shortened before it is written."""

    def repr_bytes(self, value: bytes, _: int) -> str:
        return shortened(value)


_brief: Final = _Brief()
_brief.maxother = _brief.maxstring = 60


@final
@attrs.frozen
class Client:
    """The messages that one client sent, and what it received."""

    name: str
    peer: Peer
    """The peer as the handler sees it."""
    sent: tuple[Message, ...]
    acknowledged: int
    """The number of sent messages that the server acknowledged to it. These are in the carry."""
    answers: tuple[tuple[Message, ...], ...]
    """The responses to each sent message that have arrived."""
    departure: Departure | None
    """How the connection ended for the client; `None` while it is open."""
    told: tuple[Message, ...] = ()
    """The messages that it was told, in order."""

    @property
    def responses(self) -> tuple[Message, ...]:
        """All responses that have arrived, in the order of the messages that they answer."""
        return tuple(response for answer in self.answers for response in answer)


@final
class ScriptPlayer(Generic[C]):
    """Plays a script, step by step."""

    def __init__(
        self,
        handler: Handler[C],
        carry: C,
        *,
        limits: Limits | None = None,
        heartbeat: float = 1.0,
        timeout: float | None = None,
        chunks: Sequence[int] = (),
        left: Leaving[C] | None = None,
        woken: Waking[C] | None = None,
        epoch: float = 0.0,
        observe: Observer = lambda _: None,
        codecs: Iterable[Shows] = (),
        folded: Callable[[C], object] = lambda _: None,
    ) -> None:
        """The parameters are those of `simulate`. `folded` gets the carry after each input."""
        known, found = tuple(codecs), Shown.of(handler, left, woken)
        self._codecs = Shown((*known, *found.asked, *found.sent), (*reversed(known), *found.sent, *found.asked))
        self._texts = dict[tuple[Message, tuple[Shows, ...]], str]()  # to decode takes long, and many messages are equal
        self._observe = observe
        self._folded = folded
        self._numbers = dict[str, int]()
        self._names = dict[int, str]()
        self._happened = list[tuple[float, str, str]]()
        self._network: Network[C] = Network(
            handler,
            carry,
            limits=limits,
            heartbeat=heartbeat,
            timeout=timeout,
            chunks=chunks,
            left=left,
            woken=woken,
            epoch=epoch,
            told=self._told,
            heard=self._heard,
            handled=self._handled,
        )

    @property
    def result(self) -> Result[C, HandlerFailed[C]]:
        """The result of the server, or the result that it would give if it ended now."""
        return self._network.result

    @property
    def carry(self) -> C:
        """The last good carry."""
        return last_carry(self._network.result)

    @property
    def elapsed(self) -> float:
        """The seconds that have passed."""
        return self._network.now

    @property
    def events(self) -> tuple[Event, ...]:
        """The events that an observer of the server would get, until now."""
        return tuple(self._network.events)

    @property
    def accepting(self) -> bool:
        """Whether the server still accepts clients and messages."""
        return self._network.core.accepting

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all clients so far."""
        return tuple(self._numbers)

    @property
    def present(self) -> tuple[str, ...]:
        """The clients that see their connection as open."""
        return tuple(name for name, number in self._numbers.items() if _departure(self._network.links[number]) is None)

    @property
    def held(self) -> tuple[str, ...]:
        """The clients that are held, including those that died while they were held."""
        return tuple(name for name, number in self._numbers.items() if self._network.links[number].held)

    @property
    def clients(self) -> tuple[Client, ...]:
        """All clients until now."""
        return tuple(map(self.client, self._numbers))

    def play(self, step: Step) -> None:
        """Ring an alarm for which `woken` asked at once, do this step, and then let everything arrive that can."""
        self._network.ring()
        self._network.settle()
        self._play(step)

    def _play(self, step: Step) -> None:
        network = self._network
        match step:
            case Elapse(seconds):
                network.elapse(seconds)
                self._say(_TIME, f"went on by {seconds:g} s")
            case Shutdown():
                self._say(_SERVER, "gets a signal to end")
                network.shutdown()
            case _:
                self._act(step, self._number(step.client))
        network.settle()

    def client(self, name: str) -> Client:
        """The client with this name until now."""
        link = self._network.links[self._number(name)]
        sent, answers = tuple(link.said), tuple(map(tuple, link.answers))
        return Client(name, link.server.peer, sent, link.client.acknowledged, answers, _departure(link), tuple(link.told))

    def release_all(self) -> None:
        """Release all clients that are held. This is no step, and rings no alarm for which `woken` asked at once."""
        for name in self._numbers:
            self._play(Release(name))

    @property
    def transcript(self) -> tuple[str, ...]:
        """The transcript so far, with a line for each fact."""
        width = max((len(who) for _, who, _ in self._happened), default=0)
        return tuple(f"{when:7.2f} s  {who:<{width}}  {what}" for when, who, what in self._happened)

    def _act(self, step: ClientStep, number: int) -> None:
        network, link, name = self._network, self._network.links[number], step.client
        if isinstance(step, Release):
            if link.held:
                self._say(name, "is released")
            link.held = False
        elif link.client_gone or not link.client.open:
            if not isinstance(step, Connect):
                self._say(name, f"is gone: {type(step).__name__} does nothing")
            return
        match step:
            case Connect() | Release():
                pass
            case Send(_, messages):
                before = len(link.said)
                match cases(network.send(number, *messages)):
                    case Success():
                        self._say(name, f"sends {', '.join(map(self.asked, link.said[before:])) or 'nothing'}")
                    case Failure(refused):
                        self._say(name, f"cannot send: {refused}")
                network.client_writes(number)
            case Write(_, data):
                self._say(name, f"writes {shortened(data)}")
                network.write(number, data)
            case Close():
                self._say(name, "closes")
                network.close(number)
            case Kill(_, lost):
                lost = min(lost, len(link.up))
                self._say(name, f"dies, and the last {lost} bytes it wrote are lost" if lost else "dies")
                network.kill(number, lost)
            case Hold():
                self._say(name, "is held")
                link.held = True

    def _number(self, name: str) -> int:
        """The number of this client. A new client connects first."""
        if name not in self._numbers:
            if name in {_SERVER, _TIME}:
                raise ValueError(f"no client may have the name {name!r}, because a transcript uses it: use another name")
            number = self._numbers[name] = len(self._numbers) + 1
            self._names[number] = name
            self._say(name, "connects")
            self._network.connect()
            if not self.accepting:
                self._say(name, "finds no server")
            self._network.settle()
        return self._numbers[name]

    def _told(self, event: Event) -> None:
        self._observe(event)
        match event:
            case Listening() | Connected():
                pass
            case Refused(peer=peer, reason=reason):
                self._say(_SERVER, f"turns {self._names[peer.connection]} away: {reason}")
            case Folded(peer=peer, message=message, responses=responses, outcome=outcome, effects=effects):
                responded = f", responds {self._sent(responses)}" if responses else ""
                decided = "" if outcome is Outcome.CONTINUE else f", says {outcome.value}"
                told = f"{self.asked(message)} of {self._names[peer.connection]}{responded}{self._effects(effects)}{decided}"
                self._say(_SERVER, f"folds {told}: the carry is {_brief.repr(self.carry)}")
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

    def _handled(self, what: Left | Woken, answer: Continuation[C]) -> None:
        if self._network.core.failure is not None:  # it was not valid
            return
        match what:
            case Left(peer=peer):
                folded = f"the departure of {self._names[peer.connection]}"
            case Woken():
                folded = "an alarm"
        decided = "" if answer.outcome is Outcome.CONTINUE else f", says {answer.outcome.value}"
        self._say(_SERVER, f"folds {folded}{self._effects(answer.effects)}{decided}: the carry is {_brief.repr(self.carry)}")
        self._folded(self.carry)

    def _effects(self, effects: tuple[Effect, ...]) -> str:
        shown = list[str]()
        for effect in effects:
            match effect:
                case Wake(at):
                    shown.append("cancels its alarm" if at is None else f"sets its alarm to {at:g}")
                case Rescued(error):
                    shown.append(f"rescues {_brief.repr(error)}")
                case Defer():
                    shown.append("defers the answer")
                case Tell(peer, messages):
                    shown.append(f"tells {self._names.get(peer.connection, peer)} {self._sent(messages)}")
                case Answer(Ticket(peer=peer, number=number), messages):
                    shown.append(f"answers message {number} of {self._names.get(peer.connection, peer)} with {self._sent(messages)}")
        return "".join(f", {each}" for each in shown)

    def _heard(self, number: int, response: Message) -> None:
        self._say(self._names[number], f"gets {self._sent([response])}")

    def asked(self, message: Message) -> str:
        """How the transcript shows a message of a client."""
        return self._shown(message, self._codecs.asked)

    def _sent(self, messages: Iterable[Message]) -> str:
        return ", ".join(self._shown(message, self._codecs.sent) for message in messages)

    def _shown(self, message: Message, codecs: tuple[Shows, ...]) -> str:
        text = self._texts.get((message, codecs))
        if text is None:
            values = (codec.shown(message) for codec in codecs)
            text = next((value for value in values if value is not None), f"{message.media_type} {shortened(message.content)}")
            self._texts[message, codecs] = text
        return text

    def _say(self, who: str, what: str) -> None:
        self._happened.append((self._network.now, who, what))


def last_carry(result: Result[C, HandlerFailed[C]]) -> C:
    """The last good carry, also where the handler failed."""
    match cases(result):
        case Success(carry):
            return carry
        case Failure(failed):
            return failed.carry


def _departure(link: Link) -> Departure | None:
    if link.dead:
        return Departure.LOST
    match link.client.state:
        case ClientState.CONNECTED | ClientState.TALKING | ClientState.CLOSING:
            return None
        case ClientState.CLOSED:
            return Departure.CLOSED
        case ClientState.DISMISSED:
            return Departure.DISMISSED
        case ClientState.LOST | ClientState.BROKEN | ClientState.FLOODED | ClientState.INTERRUPTED:
            return link.server.departure if link.server.departure is Departure.DROPPED else Departure.LOST
