"""The accelerator, the common path in Python and the classes of the core do the same with the same bytes in the same cuts.

The bytes are valid, broken and hostile.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Final

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from returns.result import Failure, Result

from ipcfold import Continuation, HandlerFailed, Limits, Message, Peer
from ipcfold.accelerator import accelerated
from ipcfold.continuation import Outcome
from ipcfold.core.client_connection import ClientConnection
from ipcfold.core.wire import Encoder, RefusedError, Signal, encode
from ipcfold.message import TEXT_PLAIN
from ipcfold.testing import messages
from tests.accelerator.builds import LIMITS, Build

compiled = pytest.mark.skipif(not accelerated, reason="the accelerator is not built, so there is nothing to compare")

_KINDS: Final = (*(["compiled"] if accelerated else []), "common path", "classes")
_ANSWERED: Final = st.sampled_from([b"", b"e", b"n", b"m", b"t", b"u", b"g", b"d", b"v", b"y", b"e" * 3000]) | st.binary(max_size=40).map(
    lambda content: b"e" + content
)
_CONTENTS: Final = (
    _ANSWERED
    | st.sampled_from([b"innmind/ipc:heartbeats", *(each.content for each in Signal)])
    | st.binary(max_size=40)
    | st.integers(16_000, 70_000).map(lambda size: b"e" * size)
)
_ENDINGS: Final = st.sampled_from([b"l", b"h", b"x", b"o", b"c", b"s", b"r", b"k", b"i", b"b", b"w"])
_MESSAGES: Final = _CONTENTS.map(lambda content: encode(Message(TEXT_PLAIN, content)))
_FRAMES: Final = (
    _MESSAGES
    | messages().map(encode)
    | st.sampled_from([each.frame for each in Signal])
    | st.just(Signal.RECEIVED.frame)
    | st.builds(lambda message, number: b"".join(Encoder(LIMITS).marked([message], number)), messages(), st.integers(0, 4))
    | _ENDINGS.map(lambda content: encode(Message.text(content.decode())))
)
_BROKEN: Final = (
    st.binary(min_size=1, max_size=30)
    | _MESSAGES.map(lambda frame: frame[:-1] + b"\xcf")
    | st.just(encode(Message.text("")).replace(b"\0\0\0\0\xce", b"\xff\xff\xff\xff"))
)
_WRONG: Final = Limits(unread=2.0**17)  # type: ignore[arg-type]  # nothing refuses it at run time
_STREAMS: Final = st.lists(st.integers(0, 19).flatmap(lambda odd: _FRAMES if odd else _BROKEN), max_size=12).map(b"".join)
_TALK: Final = _ANSWERED.map(lambda content: encode(Message(TEXT_PLAIN, content)))
_REQUESTS: Final = st.lists(st.integers(0, 19).flatmap(lambda odd: _TALK if odd else _FRAMES | _BROKEN), max_size=12).map(b"".join)
"""What clients send. Most of it ends neither the connection nor the server, since nothing is compared after that."""


@compiled
@given(st.lists(_CONTENTS.map(lambda content: Message(TEXT_PLAIN, content)) | messages(), max_size=6))
@example([])
def test_both_encoders_write_the_same(batch: list[Message]) -> None:
    def written(encode: object) -> tuple[object, int]:
        encoder = Encoder(LIMITS)
        assert callable(encode)
        try:
            return b"".join(encode(encoder, tuple(batch))), encoder.largest
        except RefusedError as error:
            return error.refusal, encoder.largest

    fast, python = written(Encoder.encode), written(_python(Encoder.encode))
    assert fast[0] == python[0]
    assert fast[1] == python[1] or not isinstance(fast[0], bytes)


@compiled
@given(
    st.builds(
        Continuation,
        st.integers(),
        st.lists(messages(), max_size=2).map(tuple),
        st.sampled_from(Outcome),
        st.builds(Peer),
        st.floats(0, 1e10),
        st.integers(),
    ),
    st.lists(messages(), max_size=3),
)
def test_both_answer_the_same(continuation: Continuation[int], responses: list[Message]) -> None:
    respond = _python(Continuation.respond)
    assert callable(respond)
    assert continuation.respond(1, *responses) == respond(continuation, 1, *responses)


@compiled
@given(
    _STREAMS,
    st.lists(st.integers(0, 300), max_size=20),
    st.integers(0, 6),
    st.sets(st.integers(0, 4)),
    st.sampled_from([LIMITS, attrs.evolve(LIMITS, unread=2**70), _WRONG, Limits(message=9)]),
)
def test_both_clients_take_the_same(stream: bytes, cuts: list[int], sent: int, disowned: set[int], limits: Limits) -> None:
    fast, python = (ClientConnection(heartbeat=1.0, limits=limits, now=0.0) for _ in range(2))
    receive = _python(ClientConnection.receive)
    assert callable(receive)
    for connection in (fast, python):
        receive(connection, Signal.START.frame)
        connection.send(connection.encode((Message.text("ping"),) * sent), sent)
        for number in disowned:
            connection.disown(number)
    for piece in cut(stream, cuts):
        fast.receive(piece)
        receive(python, piece)
        assert facts(fast) == facts(python)


class Servers(RuleBasedStateMachine):
    """Servers of all builds with the same clients, which send the same bytes. Others follow them when they have ended."""

    def __init__(self) -> None:
        super().__init__()
        self._directory = tempfile.TemporaryDirectory()
        self._builds: list[Build] = []
        self._clients: list[bool] = []  # whether a client still writes

    @initialize(departures=st.booleans(), rescued=st.booleans())
    def start(self, *, departures: bool, rescued: bool) -> None:
        directory = _made(Path(self._directory.name) / "servers")
        self._builds = [
            Build(
                _made(directory / kind), accelerate=kind != "classes", compiled=kind == "compiled", departures=departures, rescued=rescued
            )
            for kind in _KINDS
        ]
        self._clients = []
        self.connect()

    @precondition(lambda self: self._builds[0].engine.over)
    @rule(departures=st.booleans(), rescued=st.booleans())
    def start_again(self, *, departures: bool, rescued: bool) -> None:
        self._close()
        self.start(departures=departures, rescued=rescued)

    @precondition(lambda self: sum(self._clients) < 3)
    @rule(said=st.just(Signal.START_OK.frame) | _REQUESTS.map(Signal.START_OK.frame.__add__) | _STREAMS)
    def connect(self, said: bytes = Signal.START_OK.frame) -> None:
        connected = {build.connect() for build in self._builds}
        assert len(connected) == 1
        if connected == {True}:
            self._clients.append(True)
            self._same()
            self._send(len(self._clients) - 1, said)

    @precondition(lambda self: any(self._clients))
    @rule(data=_REQUESTS, cuts=st.lists(st.integers(0, 300), max_size=6), client=st.integers(0, 2))
    def send(self, data: bytes, cuts: list[int], client: int) -> None:
        number = self._writing(client)
        for piece in cut(data, cuts):
            self._send(number, piece)

    @precondition(lambda self: any(self._clients))
    @rule(contents=st.lists(_ANSWERED, min_size=1, max_size=60), client=st.integers(0, 2))
    def talk(self, contents: list[bytes], client: int) -> None:
        """Send nothing that ends the connection, so that the accelerator folds most of it."""
        self._send(self._writing(client), _joined(contents))

    @precondition(lambda self: sum(self._clients) > 1)
    @rule(client=st.integers(0, 2))
    def leave(self, client: int) -> None:
        number = self._writing(client)
        self._clients[number] = False
        for build in self._builds:
            build.leave(number)
        self._same()

    @precondition(lambda self: sum(self._clients) > 1)
    @rule(client=st.integers(0, 2), before=st.sampled_from([b"", b"e", b"y", b"d"]))
    def close(self, client: int, before: bytes) -> None:
        """Ask to close, maybe together with a message."""
        number = self._writing(client)
        self._send(number, (_joined([before]) if before else b"") + Signal.CLOSE.frame)
        self._clients[number] = False

    @precondition(lambda self: not self._builds[0].core.accepting and any(self._clients))
    @rule()
    def all_leave(self) -> None:
        while any(self._clients):
            self.leave(0)

    def _writing(self, client: int) -> int:
        """One of the clients that still write."""
        writing = [number for number, writes in enumerate(self._clients) if writes]
        return writing[client % len(writing)]

    def _send(self, client: int, data: bytes) -> None:
        if self._clients[client]:
            took = {build.send(client, data) for build in self._builds}
            assert len(took) == 1
            self._clients[client] = took == {True}
            self._same()

    def _same(self) -> None:
        first, *others = [(build.settle(), build.facts(), build.members(), comparable(build.result())) for build in self._builds]
        for other in others:
            assert other == first

    def _close(self) -> None:
        for build in self._builds:
            build.close()
        shutil.rmtree(Path(self._directory.name) / "servers")

    def teardown(self) -> None:
        self._close()
        self._directory.cleanup()


TestServers = Servers.TestCase


def _python(pair: object) -> object:
    """The function in Python behind the one in C."""
    return getattr(pair, "__wrapped__")  # noqa: B009 - type checkers see the function in Python only


def _made(directory: Path) -> Path:
    directory.mkdir(mode=0o700)
    return directory


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [piece for piece in (*pieces, data) if piece]


def facts(connection: ClientConnection) -> object:
    """Everything that can be known of a connection; of the decoder, the bytes that wait."""
    own = {
        slot: getattr(connection, slot)
        for slot in ClientConnection.__slots__
        if slot not in {"_decoder", "_encoder", "outbox", "_weightless"}
    }
    decoder = connection._decoder  # noqa: SLF001 - compared in full
    waiting = decoder._data[decoder._at :]  # noqa: SLF001 - as above
    large = None if decoder.large is None else (decoder.large.have, decoder.large.missing)
    return own, bytes(connection.outbox.head()), waiting, decoder.buffered, large


def _joined(contents: list[bytes]) -> bytes:
    return b"".join(encode(Message(TEXT_PLAIN, content)) for content in contents)


def comparable(result: Result[int, HandlerFailed[int]]) -> object:
    match result:
        case Failure(failed):
            return failed.carry, failed.message, type(failed.error), str(failed.error)
        case _:
            return result
