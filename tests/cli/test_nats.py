"""The command over NATS."""

import signal
from pathlib import Path

from ipcfold import Name
from ipcfold.cli.status import Status
from ipcfold.nats import NATS
from tests.cli.support import fails, printed, started
from tests.nats.broker import broker
from tests.shells.support import PATIENCE


def test_ask_send_and_listen_work_over_nats(directory: Path, tmp_path: Path) -> None:
    with broker(tmp_path) as one:
        over = "--nats", one.url
        fails(directory, *over, "ask", "echo", "hello", status=Status.NO_SERVER, says="nobody listens")
        server = started(directory, *over, "listen", "echo", "tests.cli.handlers:echo", "--carry", "0")
        try:
            NATS(one.url).wait(Name("echo"), PATIENCE).unwrap().close()
            assert printed(directory, *over, "ask", "echo", "hello") == b"hello"
            assert printed(directory, *over, "send", "echo", "hello") == b""
            server.send_signal(signal.SIGTERM)
            assert server.communicate(timeout=PATIENCE)[0] == b"2\n"
        finally:
            server.kill()
            server.communicate()
    fails(directory, *over, "ask", "echo", "hello", status=Status.BROKER, says="no broker can be reached")
    fails(directory, *over, "list", status=Status.MISUSED, says="does not work over NATS")
