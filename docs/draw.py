"""The diagrams of these pages, drawn from the code: `python -m docs.draw` writes them to `docs/diagrams`.

The states are those of the two tables of transitions, asked for every state and every event. The sequences are what a
`ServerCore` and its `ClientConnection` ends say to each other in memory, frame by frame. Each is a text for Mermaid, of which an SVG is
drawn that needs neither scripts nor a network; the text stands in it as its description, where the tests look for it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from html import escape, unescape
from pathlib import Path
from typing import Final, TypeVar, final

from ipcfold import Continuation, Limits, Message, Peer
from ipcfold.core import client_connection, server_connection
from ipcfold.core.frame import Decoder, Frame, Signal
from ipcfold.core.server import ServerCore

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
class ScriptPlayer:
    """A host and its clients in memory, and the record of what they say."""

    def __init__(self, *names: str) -> None:
        self.core: ServerCore[int] = ServerCore(0, heartbeat=1.0, limits=_LIMITS, timeout=None, now=0.0)
        self.lines = [f"participant {name}" for name in (*names[:1], "server", *names[1:])]
        self.clients: dict[str, client_connection.ClientConnection] = {}
        self._served: dict[str, server_connection.ServerConnection] = {}
        for number, name in enumerate(names, 1):
            self.clients[name] = client_connection.ClientConnection(heartbeat=1.0, limits=_LIMITS, now=0.0)
            self._served[name] = self.core.connect(Peer(number), 0.0)

    def send(self, name: str, *contents: str) -> None:
        """A client sends these texts at once."""
        client = self.clients[name]
        client.send(client.encode(map(Message.text, contents)), len(contents))

    def talk(self) -> None:
        """Let them talk until nobody has anything to say."""
        while any(self._down(name) or self._up(name) for name in self.clients) or self._fold():
            pass

    def kill(self, name: str) -> None:
        """A client is killed: its stream ends, and it reads nothing any more."""
        self._up(name)
        self.lines.append(f"Note over {name}: killed")
        del self.clients[name]
        self.core.end(self._served[name].peer.connection, 0.0)

    def states(self) -> None:
        """Note which state each end is in."""
        for name, client in self.clients.items():
            self.lines.append(f"Note over {name}: {client.state.name}")
        found = dict.fromkeys(end.state.name for end in self._served.values())
        self.lines.append(f"Note over server: {', '.join(found)}")

    def text(self) -> str:
        """The diagram."""
        return "\n".join(["sequenceDiagram", *(f"    {line}" for line in self.lines), ""])

    def _fold(self) -> bool:
        asked = self.core.ask()
        if asked is None:
            return False
        message, continuation = asked
        answer = count(message, continuation, continuation.carry)
        self.lines.append(f"Note over server: fold {_said(message)}: carry {continuation.carry} → {answer.carry}")
        self.core.answered(answer, 0.0)
        return True

    def _up(self, name: str) -> bool:
        client, end = self.clients[name], self._served[name]
        data = _taken(client.outbox.head, client.outbox.sent)
        self.lines += [f"{name}->>server: {_said(frame)}" for frame in _frames(data)]
        if data and end.hearing:
            self.core.receive(end.peer.connection, data, 0.0)
        return bool(data)

    def _down(self, name: str) -> bool:
        client, end = self.clients[name], self._served[name]
        data = _taken(end.outbox.head, end.outbox.sent)
        self.lines += [f"server->>{name}: {_said(frame)}" for frame in _frames(data)]
        client.receive(data)
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


def _taken(head: Callable[[], bytes | memoryview], sent: Callable[[int], None]) -> bytes:
    data = b""
    while piece := bytes(head()):
        sent(len(piece))
        data += piece
    return data


def _frames(data: bytes) -> Iterator[Frame]:
    decoder = Decoder(_LIMITS.message)
    decoder.feed(data)
    while isinstance(frame := decoder.next(), Signal | Message):
        yield frame


def _said(frame: Frame) -> str:
    return _word(frame) if isinstance(frame, Signal) else frame.content.decode()


def handshake() -> str:
    """Connecting, one message, its response."""
    stage = ScriptPlayer("client")
    stage.talk()
    stage.states()
    stage.send("client", "ping")
    stage.talk()
    return stage.text()


def batch() -> str:
    """Several messages at once."""
    stage = _greeted("client")
    stage.send("client", "one", "two", "three")
    stage.talk()
    return stage.text()


def closed_by_the_client() -> str:
    """A client closes."""
    stage = _greeted("client")
    stage.clients["client"].close()
    stage.talk()
    stage.states()
    return stage.text()


def closed_by_the_server() -> str:
    """The handler closes one client."""
    stage = _greeted("client")
    stage.send("client", "bye")
    stage.talk()
    stage.states()
    return stage.text()


def stopped() -> str:
    """The handler stops the server, which has two clients."""
    stage = _greeted("first", "second")
    stage.send("first", "ping")
    stage.talk()
    stage.send("second", "stop")
    stage.talk()
    stage.states()
    return stage.text()


def killed() -> str:
    """A client dies with a message on its way; another one goes on."""
    stage = _greeted("first", "second")
    stage.send("first", "ping")
    stage.kill("first")
    stage.talk()
    stage.send("second", "ping")
    stage.talk()
    return stage.text()


def _greeted(*names: str) -> ScriptPlayer:
    stage = ScriptPlayer(*names)
    begin = len(stage.lines)
    stage.talk()
    del stage.lines[begin:]
    return stage


def diagrams() -> dict[str, str]:
    """The texts by their names."""
    return {
        "serving": states(server_connection.State.GREETED, server_connection.Event, server_connection.transition, said=_word(Signal.START)),
        "calling": states(client_connection.State.CONNECTED, client_connection.Event, client_connection.transition),
        "handshake": handshake(),
        "batch": batch(),
        "closed-by-the-client": closed_by_the_client(),
        "closed-by-the-server": closed_by_the_server(),
        "stopped": stopped(),
        "killed": killed(),
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
