"""More clients than one wait returns, while the server does not read: none of them is late for that."""

import os
import signal
from pathlib import Path

import pytest
from returns.result import Failure

from ipcfold import IPC, Limits, TimedOut
from ipcfold.local.stream import AT_ONCE
from tests.shells.support import NAME, running
from tests.shells.wire import RECEIVED, START, START_OK, Wire, frame, many_clients

COUNT = AT_ONCE + 44
LIMITED = ("handshake=3.0", "frame=3.0")
LONGER = 3.5  # seconds


def test_no_client_is_late_that_accepts_while_the_handler_runs(directory: Path, gate: Path) -> None:
    with running(directory, *LIMITED) as server, Wire.talking(directory) as blocking:
        blocking.write(f"block {gate}")
        with gate.open("wb"):  # opens once the handler has the message
            connected = [Wire.to(directory) for _ in range(COUNT)]
            for wire in connected:
                wire.write(START_OK, "ping")
            blocking.stream.settimeout(LONGER)
            with pytest.raises(TimeoutError):
                blocking.read()
        blocking.expect(RECEIVED, "released")
        for wire in connected:
            wire.expect(START, RECEIVED, "pong").close()
        blocking.close()
        result = server.result_of_stop()
        assert sorted(result["carry"]) == sorted([f"block {gate}", *["ping"] * COUNT])
        assert "dropped" not in str(result.get("log"))


def test_no_client_is_late_whose_frame_the_server_was_stopped_in(directory: Path) -> None:
    ping = frame("ping")
    with running(directory, *LIMITED) as server, many_clients(directory, COUNT) as clients:
        for wire in clients:
            wire.stream.sendall(ping[:5])
        server.signal(signal.SIGSTOP)
        os.waitpid(server.pid, os.WUNTRACED)
        limits = Limits(handshake=LONGER)
        assert IPC(directory, limits=limits).get(NAME) == Failure(TimedOut(NAME, LONGER, "the greeting of"))
        for wire in clients:
            wire.stream.sendall(ping[5:])
        server.signal(signal.SIGCONT)
        for wire in clients:
            wire.expect(RECEIVED, "pong")
        for wire in clients:
            wire.close()
        result = server.result_of_stop()
        assert result["carry"] == ["ping"] * COUNT
        assert "dropped" not in str(result.get("log"))
