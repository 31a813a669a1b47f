"""Each recording replays over real sockets: our server against the recorded client, our client against the server."""

import signal
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from returns.result import Success

from ipcfold import IPC, ConnectionClosed, Message, TimedOut
from tests.shells.bridge import Bridge
from tests.shells.support import NAME, PATIENCE, running
from tests.shells.wire import CLOSE_OK, frame, listening
from tests.wire.recordings import Recording, Side, recordings, without_heartbeats

RECORDINGS = pytest.mark.parametrize("recording", recordings(), ids=[recording.scenario for recording in recordings()])
SIZES = pytest.mark.parametrize("size", [1, 10**6], ids=["byte by byte", "whole"])


def nothing() -> None:
    pass


def replay(stream: socket.socket, recording: Recording, side: Side, size: int, before_close_ok: Callable[[], None] = nothing) -> bytes:
    """Say what that side said, each time after hearing what came before it; all that was heard."""
    stream.settimeout(PATIENCE)
    heard, expected = b"", 0
    for sender, data in recording.exchange:
        if sender != side:
            expected += len(without_heartbeats(data))
            continue
        if data == frame(CLOSE_OK):
            before_close_ok()
        while len(without_heartbeats(heard)) < expected:
            heard += stream.recv(65536)
        for start in range(0, len(data), size):
            stream.sendall(data[start : start + size])
        if not data:
            stream.shutdown(socket.SHUT_WR)
    while data := stream.recv(65536):
        heard += data
    return without_heartbeats(heard)


@pytest.mark.parametrize(
    "program",
    ["tests.shells.serve_recorded", "tests.shells.serve_aio asyncio recorded", "tests.shells.serve_aio uvloop recorded"],
    ids=["blocking", "asyncio", "uvloop"],
)
@SIZES
@RECORDINGS
def test_our_server_answers_the_recorded_client(directory: Path, recording: Recording, size: int, program: str) -> None:
    with running(directory, "drain=0.2", program=program) as server:
        with socket.socket(socket.AF_UNIX) as stream:
            stream.connect(str(directory / "server.sock"))
            interrupt = (lambda: server.signal(signal.SIGINT)) if recording.scenario == "sigint" else nothing
            assert replay(stream, recording, "client", size, interrupt) == recording.sent_by("server")
        if recording.scenario not in {"sigint", "stop"}:
            server.signal(signal.SIGTERM)
        assert server.result() == {"carry": recording.carry}


@pytest.mark.parametrize("shell", ["blocking", "asyncio", "uvloop"])
@SIZES
@RECORDINGS
def test_our_client_talks_to_the_recorded_server(directory: Path, recording: Recording, size: int, shell: str) -> None:
    bridge = None if shell == "blocking" else Bridge(shell)
    ipc: Any = IPC if bridge is None else bridge  # Any: both have these verbs

    def serve() -> bytes:
        with listener.accept()[0] as stream:
            return replay(stream, recording, "server", size)

    with listening(directory) as listener, ThreadPoolExecutor(1) as pool:
        serving = pool.submit(serve)
        process = ipc(directory, heartbeat=0.02).get(NAME).unwrap()
        for verb, contents in recording.script:
            match verb, contents:
                case "send", _:
                    assert process.send(*map(Message.text, contents)) == Success(process)
                case "wait", ():
                    waited = process.wait(0.1 if recording.scenario == "idle" else None)
                    assert type(waited.failure()) is (TimedOut if recording.scenario == "idle" else ConnectionClosed)
                case "wait", (content,):
                    assert process.wait() == Success(Message.text(content))
                case _:
                    assert process.close() == Success(None)
        del process  # the recorded client that was killed ends here
        if bridge is not None:
            bridge.runners.close()
        assert serving.result(PATIENCE) == recording.sent_by("client")
