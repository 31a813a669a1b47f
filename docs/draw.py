"""The diagrams of these pages, drawn from the code: `python -m docs.draw` writes them to `docs/diagrams`.

The states are those of the two tables of transitions, asked for every state and every event. The sequences are what a server
and its clients say to each other in memory, frame by frame. Each is a text for Mermaid, of which an SVG is drawn that needs
neither scripts nor a network. The SVG has the text as its description, where the tests look for it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from html import escape, unescape
from pathlib import Path
from typing import Final, TypeVar, final

from ipcfold import Continuation, Handler, Limits, Message, Peer, Ticket
from ipcfold.core.protocol import ClientEvent, ClientState, ServerEvent, ServerState, client_transition, server_transition
from ipcfold.core.wire import MARK, Decoder, Frame, Signal
from ipcfold.events import Event, Folded
from ipcfold.testing.network import Network

S = TypeVar("S", bound=Enum)
E = TypeVar("E", bound=Enum)

PLACE: Final = Path(__file__).parent / "diagrams"
_NOTHING: Final = "nothing"
_LIMITS: Final = Limits()
_CONFIG: Final = {"fontFamily": "sans-serif", "htmlLabels": False, "flowchart": {"htmlLabels": False}, "sequence": {"mirrorActors": False}}
_STYLE: Final = "{styles} svg {{ background: {paper} }} #my-svg .edgeLabel .label rect.background {{ fill: {paper}; opacity: 1 }}"
_STYLES: Final = "{light} @media (prefers-color-scheme: dark) {{ {dark} }}"


def _word(signal: Signal) -> str:
    """The last word of a signal, as it stands on the wire."""
    return f"«{re.split('[:.]', signal.content.decode())[-1]}»"


# States


def states(begin: S, events: Iterable[E], transition: Callable[[S, E | Signal], tuple[S, Enum]], *, said: str = "") -> str:
    """The diagram of one end, whose first state is `begin`, and which says this on entering it."""
    every = tuple(type(begin))
    named: list[tuple[str, E | Signal]] = [
        *((str(event.value), event) for event in events),
        *((_word(signal), signal) for signal in Signal),
    ]
    moves: dict[S, list[tuple[S, str, str]]] = defaultdict(list)
    for state in every:
        for name, event in named:
            after, command = transition(state, event)
            done = _word(command.value) if isinstance(command.value, Signal) else str(command.value)
            if after is not state or done != _NOTHING:
                moves[state].append((after, name, done))
    boxes = _boxes(every, moves)
    lines = [f'state "{", ".join(box)}" as {"_".join(box)}' for box in dict.fromkeys(boxes.values())]
    lines += [f"{state.name}: {name} / {done}" for state in every for after, name, done in moves[state] if after is state]
    lines.append(f"[*] --> {begin.name}" + (f": / {said}" if said else ""))
    for state in every:
        arrows: dict[tuple[str, ...], list[tuple[str, str]]] = defaultdict(list)
        for after, name, done in sorted(moves[state], key=lambda move: every.index(move[0])):
            if after is not state:
                arrows[boxes[after]].append((name, done))
        lines += [f"{state.name} --> {'_'.join(box)}: {_label(labels)}" for box, labels in arrows.items()]
    return "\n".join(["stateDiagram-v2", *(f"    {line}" for line in lines), ""])


def _boxes(every: tuple[S, ...], moves: Mapping[S, list[tuple[S, str, str]]]) -> dict[S, tuple[str, ...]]:
    """Which states stand in one box with each: those that are final, are entered silently, and from the same states."""
    entered = {state: [(before, done) for before in every for after, _, done in moves[before] if after is state] for state in every}
    silent = {state for state in every if not moves[state] and all(done == _NOTHING for _, done in entered[state])}
    alike = {state: [other for other in silent if entered[other] == entered[state]] if state in silent else [state] for state in every}
    return {state: tuple(other.name for other in every if other in alike[state]) for state in every}


def _label(labels: Iterable[tuple[str, str]]) -> str:
    """The events that are answered with nothing, two a line; then the others with their commands, each on its own."""
    silent = [name for name, done in labels if done == _NOTHING]
    pairs = ",<br/>".join(", ".join(silent[first : first + 2]) for first in range(0, len(silent), 2))
    return "<br/>".join([*filter(None, [pairs]), *(f"{name} / {done}" for name, done in labels if done != _NOTHING)])


# Sequences


@final
class Sequence:
    """A server and its clients in memory, and the record of what they say."""

    def __init__(self, *names: str, handler: Handler[int] | None = None) -> None:
        self._carry = 0
        self._network: Network[int] = Network(handler or count, 0, told=self._told)
        self.lines = [f"participant {name}" for name in (*names[:1], "server", *names[1:])]
        self._numbers = {name: self._network.connect() for name in names}

    def send(self, name: str, *contents: str) -> None:
        """A client sends these texts at once."""
        self._network.send(self._numbers[name], *map(Message.text, contents))

    def close(self, name: str) -> None:
        """A client closes."""
        self._network.close(self._numbers[name])

    def talk(self) -> None:
        """Let them talk until nobody has anything to say."""
        while any(self._down(name) or self._up(name) for name in self._numbers) or self._network.fold():
            pass

    def kill(self, name: str) -> None:
        """A client is killed: its stream ends, and it reads nothing any more."""
        self._up(name)
        self.lines.append(f"Note over {name}: killed")
        number = self._numbers.pop(name)
        self._network.kill(number)
        self._network.server_reads(number)

    def states(self) -> None:
        """Note which state each end is in."""
        for name, number in self._numbers.items():
            self.lines.append(f"Note over {name}: {self._network.links[number].client.state.name}")
        found = dict.fromkeys(link.server.state.name for link in self._network.links.values())
        self.lines.append(f"Note over server: {', '.join(found)}")

    def text(self) -> str:
        """The diagram."""
        return "\n".join(["sequenceDiagram", *(f"    {line}" for line in self.lines), ""])

    def _told(self, event: Event) -> None:
        if isinstance(event, Folded):
            carry = self._network.result.unwrap()
            self.lines.append(f"Note over server: fold {_said(event.message)}: carry {self._carry} → {carry}")
            self._carry = carry

    def _up(self, name: str) -> bool:
        link = self._network.links[self._numbers[name]]
        self._network.client_writes(self._numbers[name])
        data = bytes(link.up)
        self.lines += [f"{name}->>server: {_said(frame)}" for frame in _frames(data)]
        self._network.server_reads(self._numbers[name])
        return bool(data)

    def _down(self, name: str) -> bool:
        link = self._network.links[self._numbers[name]]
        self._network.server_writes(self._numbers[name])
        data = bytes(link.down)
        self.lines += [f"server->>{name}: {_said(frame)}" for frame in _frames(data)]
        self._network.client_reads(self._numbers[name])
        return bool(data)


def count(message: Message, continuation: Continuation[int], counter: int) -> Continuation[int]:
    """The handler of all sequences: it counts, responds, and does what two of the messages say."""
    match message.content:
        case b"stop":
            return continuation.stop(counter)
        case b"bye":
            return continuation.respond(counter + 1, Message.text("farewell")).close(counter + 1)
        case _:
            return continuation.respond(counter + 1, Message.text(f"pong {counter + 1}"))


def _frames(data: bytes) -> Iterator[Frame]:
    decoder = Decoder(_LIMITS.message, marks=True)
    decoder.feed(data)
    while isinstance(frame := decoder.next(), Signal | Message):
        yield frame


def _said(frame: Frame) -> str:
    if isinstance(frame, Signal):
        return _word(frame)
    mark = frame.media_type.parameter(MARK)
    return frame.content.decode() + mark.map(lambda value: f" ({MARK}={value})").value_or("")


def handshake() -> str:
    """Connecting, one message, its response."""
    sequence = Sequence("client")
    sequence.talk()
    sequence.states()
    sequence.send("client", "ping")
    sequence.talk()
    return sequence.text()


def batch() -> str:
    """Several messages at once."""
    sequence = _greeted("client")
    sequence.send("client", "one", "two", "three")
    sequence.talk()
    return sequence.text()


def closed_by_the_client() -> str:
    """A client closes."""
    sequence = _greeted("client")
    sequence.close("client")
    sequence.talk()
    sequence.states()
    return sequence.text()


def closed_by_the_server() -> str:
    """The handler closes one client."""
    sequence = _greeted("client")
    sequence.send("client", "bye")
    sequence.talk()
    sequence.states()
    return sequence.text()


def stopped() -> str:
    """The handler stops the server, which has two clients."""
    sequence = _greeted("first", "second")
    sequence.send("first", "ping")
    sequence.talk()
    sequence.send("second", "stop")
    sequence.talk()
    sequence.states()
    return sequence.text()


def killed() -> str:
    """A client dies with a message on its way; another one goes on."""
    sequence = _greeted("first", "second")
    sequence.send("first", "ping")
    sequence.kill("first")
    sequence.talk()
    sequence.send("second", "ping")
    sequence.talk()
    return sequence.text()


def told() -> str:
    """A server gives the question of a client to a worker, and answers when the worker reports."""
    workers, tickets = list[Peer](), list[Ticket]()

    def pool(message: Message, continuation: Continuation[int], counter: int) -> Continuation[int]:
        match message.content:
            case b"work":
                workers.append(continuation.peer)
                return continuation.continue_(counter + 1)
            case b"6 x 7":
                tickets.append(continuation.ticket)
                return continuation.defer(counter + 1).tell(counter + 1, workers[0], message)
            case _:
                return continuation.answer(counter + 1, tickets.pop(), message)

    sequence = _greeted("client", "worker", handler=pool)
    sequence.send("worker", "work")
    sequence.talk()
    sequence.send("client", "6 x 7")
    sequence.talk()
    sequence.send("worker", "42")
    sequence.talk()
    return sequence.text()


_ANSWER: Final = f"""stateDiagram-v2
    [*] --> WAITING: message number N arrives
    WAITING --> ANSWERED: respond / {_word(Signal.RECEIVED)}, responses without a mark
    WAITING --> OPEN: defer / {_word(Signal.RECEIVED)}
    OPEN --> ANSWERED: answer / messages with {MARK}=N
    OPEN --> DROPPED: the client has left
    DROPPED: DROPPED. answer / nothing
    ANSWERED: ANSWERED. answer / HandlerFailed
"""


def _greeted(*names: str, handler: Handler[int] | None = None) -> Sequence:
    sequence = Sequence(*names, handler=handler)
    begin = len(sequence.lines)
    sequence.talk()
    del sequence.lines[begin:]
    return sequence


def diagrams() -> dict[str, str]:
    """The texts by their names."""
    return {
        "server-states": states(ServerState.GREETED, ServerEvent, server_transition, said=_word(Signal.START)),
        "client-states": states(ClientState.CONNECTED, ClientEvent, client_transition),
        "handshake": handshake(),
        "batch": batch(),
        "closed-by-the-client": closed_by_the_client(),
        "closed-by-the-server": closed_by_the_server(),
        "stopped": stopped(),
        "killed": killed(),
        "told": told(),
        "answer": _ANSWER,
    }


# Drawing


def drawn(text: str) -> str:
    """The SVG of a diagram, which follows its reader's liking of light or dark."""
    import mermaidx  # noqa: PLC0415 - the tests, which ask for the texts only, do without

    light, dark = (mermaidx.render(text, theme=theme, config=_CONFIG).svg() for theme in ("neutral", "dark"))
    style = _STYLES.format(light=_style(light, "#fff"), dark=_style(dark, "#1e2129"))
    box = re.search(r'viewBox="\S+ \S+ (\S+) (\S+)"', light)
    size = f'width="{box[1]}" height="{box[2]}"' if box else ""
    sized = re.sub(r' style="[^"]*"', "", light.replace('width="100%"', size, 1), count=1)
    told = f"<desc>{escape(text, quote=False)}</desc><style>{style}</style>"
    return re.sub(r"<style>.*?</style>", lambda _: told, sized, count=1, flags=re.DOTALL) + "\n"


def _style(svg: str, paper: str) -> str:
    """The style of an SVG, on paper of that colour."""
    return _STYLE.format(styles="".join(re.findall(r"<style>(.*?)</style>", svg, re.DOTALL)), paper=paper)


def described(svg: str) -> str:
    """The text that an SVG was drawn from."""
    return unescape("".join(re.findall(r"<desc>(.*?)</desc>", svg, re.DOTALL)))


if __name__ == "__main__":
    for name, text in diagrams().items():
        (PLACE / f"{name}.svg").write_text(drawn(text))
