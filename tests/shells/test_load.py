"""More clients than one wait returns, while the server does not read: none of them is late for that."""

from pathlib import Path

import pytest

from ipcfold.local.stream import AT_ONCE
from tests.shells.support import running
from tests.shells.wire import RECEIVED, START, START_OK, Wire

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
