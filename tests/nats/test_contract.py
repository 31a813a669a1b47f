"""The client over NATS keeps the contract of all shells, where that is not about sockets."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from returns.result import Failure, Success

from ipcfold import Message, Name, TimedOut
from ipcfold.errors import ConnectionClosed, ConnectionLost
from ipcfold.nats import NATS, NobodyListens, Process, Unacknowledged
from tests.nats.broker import Broker, broker
from tests.nats.test_blocking import running
from tests.shells.contract import ClientContract
from tests.shells.support import NAME, PATIENCE, PING, PONG

OF_SOCKETS = {
    "test_wait_ignores_the_socket_of_a_killed_server",
    "test_a_connection_ignores_the_default_timeout_of_sockets",
    "test_a_client_refuses_a_server_that_it_does_not_trust",
    "test_processes_are_the_names_of_live_servers",
    "test_every_verb_says_that_the_process_belongs_to_another_process",  # see test_blocking
    "test_an_exception_from_a_signal_handler_leaves_the_connection_usable",  # the loop has a thread of its own
}
BROKERS = dict[Path, Broker]()


def client(directory: Path, **options: Any) -> NATS:
    """What the contract uses instead of an `IPC` of that directory."""
    return NATS(BROKERS[directory].url, patience=0.5, **options)


class TestClient(ClientContract):
    ipc: Any = staticmethod(client)

    def running(self, directory: Path, *options: str, name: Name = NAME, heard: bool = False) -> AbstractContextManager[Any]:
        return running(BROKERS[directory].url, name, *options)

    @pytest.fixture(autouse=True)
    def of_brokers(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its error has the reasons of this shell."""
        if request.function.__name__ in OF_SOCKETS:
            pytest.skip("it is about sockets")
        monkeypatch.setattr("tests.shells.contract.Unacknowledged", Unacknowledged)

    @pytest.fixture
    def directory(self, tmp_path: Path) -> Iterator[Path]:
        """A directory with a broker of its own."""
        with broker(tmp_path) as one:
            BROKERS[tmp_path] = one
            yield tmp_path
            del BROKERS[tmp_path]

    @pytest.fixture
    def server(self, directory: Path) -> Iterator[Any]:
        with self.running(directory) as server:
            yield server

    @pytest.fixture
    def process(self, directory: Path, server: Any) -> Iterator[Process]:
        with client(directory).get(NAME).unwrap() as process:
            yield process

    def test_a_client_sends_then_waits_for_the_response(self, directory: Path, server: Any) -> None:
        process = client(directory).get(NAME).unwrap()
        assert (process.name, process.peer.pid, process.closed) == (NAME, 0, False)
        assert process.send(PING) == Success(process)
        assert process.wait() == Success(PONG)
        assert process.close() == Success(None)

    def test_get_fails_at_once_without_a_server(self, directory: Path) -> None:
        assert client(directory).get(NAME) == Failure(NobodyListens(NAME, BROKERS[directory].url))

    def test_wait_finds_a_server_that_starts_later(self, directory: Path) -> None:
        with self.running(directory), client(directory).wait(NAME, PATIENCE).unwrap() as process:
            assert process.ask(PING) == Success(PONG)

    def test_every_verb_says_that_a_killed_server_is_lost(self, directory: Path, server: Any) -> None:
        process = client(directory).get(NAME).unwrap()
        assert process.send(PING) == Success(process)
        server.kill()
        assert process.send(PING) == Failure(Unacknowledged(0, 1, ConnectionLost(NAME)))
        assert process.wait() == Success(PONG)
        assert process.wait() == Failure(ConnectionLost(NAME))
        assert process.close() == Failure(ConnectionLost(NAME))
        assert process.close() == Success(None)

    def test_an_idle_client_learns_with_its_next_verb_that_the_server_has_ended(self, directory: Path) -> None:
        with self.running(directory) as server:
            process = client(directory).get(NAME).unwrap()
            assert server.stop() == []
            assert process.ask(PING) == Failure(Unacknowledged(0, 1, ConnectionClosed(NAME)))
            assert process.closed
            assert process.close() == Success(None)

    def test_a_late_response_is_dropped(self, process: Process, gate: Path) -> None:
        assert process.ask(Message.text(f"block {gate}"), 0.05) == Failure(TimedOut(NAME, 0.05, "the response of"))
        gate.write_bytes(b"")
        assert process.ask(Message.text("echo two")) == Success(Message.text("echo two"))
