"""Each recording replays against both ends of the core: whole, cut at every byte, and joined with what follows."""

from collections.abc import Callable, Iterator
from itertools import groupby

import pytest
from returns.result import Success

from ipcfold import Limits, Name, Peer
from ipcfold.core.client_connection import ClientConnection
from ipcfold.core.protocol import ClientState
from ipcfold.core.server import ServerCore
from ipcfold.message import Message
from tests.core.written import written
from tests.wire.recordings import Recording, handle, recordings, without_heartbeats

Cutting = Callable[[list[bytes]], list[bytes]]


def whole(pieces: list[bytes]) -> list[bytes]:
    return pieces


def cut_at_every_byte(pieces: list[bytes]) -> list[bytes]:
    return [byte for piece in pieces for byte in ([piece[index : index + 1] for index in range(len(piece))] or [b""])]


def joined(pieces: list[bytes]) -> list[bytes]:
    together = [b"".join(pieces)] if any(pieces) else []
    return together + [b""] * (b"" in pieces)


RECORDINGS = pytest.mark.parametrize("recording", recordings(), ids=[recording.scenario for recording in recordings()])
CUTTINGS = pytest.mark.parametrize("cutting", [whole, cut_at_every_byte, joined])


def test_every_recording_is_there() -> None:
    assert {recording.scenario for recording in recordings()} == {
        "batch-quiet", "batch-responses", "close", "idle", "kill", "nul", "pingpong", "sigint", "stop",
    }  # fmt: skip


@CUTTINGS
@RECORDINGS
@pytest.mark.parametrize("more", [False, True], ids=["", "left and woken"])
def test_our_server_answers_the_recorded_client(recording: Recording, cutting: Cutting, more: bool) -> None:  # noqa: FBT001 - a parameter
    core = ServerCore(0, name=Name("recorded"), heartbeat=1.0, limits=Limits(), timeout=None, now=0.0, left=more, woken=more)
    end = core.connect(Peer(1), 0.0)
    assert end is not None
    sent = written(end)

    def fold() -> bytes:
        while (asked := core.turn(0.0, 0.0)[0]) is not None:
            what, given = asked
            core.answered(handle(what, given, given.carry) if isinstance(what, Message) else given, 0.0, 0.0)
        return written(end)

    for piece in client_pieces(recording, cutting):
        if piece is None:
            core.shutdown(0.0)
        elif piece:
            end.receive(piece, 0.0)
        else:
            end.end()
        sent += fold()
    core.disconnect(end)
    sent += fold()
    assert sent == recording.sent_by("server")
    assert end.over
    assert core.result() == Success(recording.carry)


def client_pieces(recording: Recording, cutting: Cutting) -> Iterator[bytes | None]:
    """What the server reads; `None` is the signal that it got in one of them."""
    pieces = [data for sender, data in recording.exchange if sender == "client"]
    if recording.scenario == "sigint":  # the client confirms only what the server asked after its signal
        yield from cutting(pieces[:-2])
        yield None
        yield from cutting(pieces[-2:])
    else:
        yield from cutting(pieces)


@CUTTINGS
@RECORDINGS
def test_our_client_talks_to_the_recorded_server(recording: Recording, cutting: Cutting) -> None:
    end = ClientConnection(heartbeat=1.0, limits=Limits(), now=0.0)
    sent = b""
    server = server_pieces(recording, cutting)

    def heard() -> bytes:
        """Hear the next piece; what the client says to it."""
        piece = next(server)
        if piece:
            end.receive(piece)
        else:
            end.end()
        return written(end)

    while end.state is ClientState.CONNECTED:
        sent += heard()
    for verb, contents in recording.script:
        match verb, contents:
            case "send", _:
                end.send(end.encode(map(Message.text, contents)), len(contents))
                sent += written(end)
                while end.acknowledged < end.sent:
                    sent += heard()
            case "wait", ():
                if recording.scenario == "idle":  # the client gives up
                    for second in (1, 2, 3):
                        end.tick(second)
                        sent += written(end)
                while end.open and recording.scenario != "idle":
                    sent += heard()
                assert end.response() is None
            case "wait", (content,):
                while (response := end.response()) is None:
                    sent += heard()
                assert response == Message.text(content)
            case _:
                end.close()
                sent += written(end)
                while end.open:
                    sent += heard()
                assert end.state is ClientState.CLOSED
    assert without_heartbeats(sent) == recording.sent_by("client")


def server_pieces(recording: Recording, cutting: Cutting) -> Iterator[bytes]:
    """What the client reads: what follows on each other is cut or joined, what waits for an answer is not."""
    for sender, steps in groupby(recording.exchange, key=lambda step: step[0]):
        if sender == "server":
            yield from cutting([data for _, data in steps])
