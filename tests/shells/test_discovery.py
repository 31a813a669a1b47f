"""What the system tells about those who listen."""

import errno
import os
import socket
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from returns.maybe import Some
from returns.result import Failure, Success

from ipcfold import IPC, Name, NameTaken
from ipcfold.local.discovery import ServerInfo, listeners
from ipcfold.testing.plugin import Serve
from tests.shells.handlers import EMPTY, log
from tests.shells.support import NAME, ServerProcess, beside, running
from tests.shells.wire import START, Wire, listening, spoken


def one(directory: Path) -> ServerInfo:
    (found,) = listeners(IPC(directory)).unwrap()
    return found


def test_listeners_tells_the_process_the_user_the_time_and_the_connections(directory: Path, serve: Serve) -> None:
    before = int(time.time())
    server = serve(log, EMPTY)
    clients = list[object]()
    for count in range(4):
        found = one(directory)
        assert (found.name, found.peer.pid, found.peer.uid, found.peer.gid) == (server.name, os.getpid(), os.geteuid(), os.getegid())
        assert before <= found.since <= time.time()
        assert found.connections == Some(count)
        clients.append(server.connect())


def test_listeners_are_in_the_order_of_their_names(directory: Path) -> None:
    with running(directory, name=Name("b")) as b, running(directory, name=Name("B")) as large, running(directory, name=Name("a")) as a:
        found = listeners(IPC(directory)).unwrap()
        assert [(str(each.name), each.peer.pid) for each in found] == [("B", large.pid), ("a", a.pid), ("b", b.pid)]


def test_a_client_in_the_backlog_is_not_counted(directory: Path, server: ServerProcess, client: Wire, gate: Path) -> None:
    client.write(f"block {gate}")
    with gate.open("wb"), Wire.to(directory):  # opens once the handler is at it
        assert one(directory).connections == Some(1)
    assert server.stop()


def test_listeners_finds_servers_of_other_implementations(directory: Path) -> None:
    with spoken(directory, lambda wire: wire.write(START).read(9)):  # until the client is gone, which says less than that
        found = one(directory)
    assert (found.peer.pid, found.peer.uid, found.connections) == (os.getpid(), os.geteuid(), Some(0))


def test_a_server_of_another_implementation_that_accepts_nobody_is_there(directory: Path) -> None:
    """It may be busy: the kernel accepts a connection for it, and the server greets nobody as long as its handler runs."""
    ipc = IPC(directory)
    with listening(directory) as listener:
        for _ in range(3):
            assert (ipc.exists(NAME), ipc.processes()) == (Success(True), Success(frozenset({NAME})))
        found = one(directory)
        assert (found.peer.pid, found.peer.uid, found.connections) == (os.getpid(), os.geteuid(), Some(0))
        assert ipc.listen(NAME)(EMPTY, log) == Failure(NameTaken(NAME, directory / "server.sock", os.getpid()))
        for _ in range(3 + 3 + 1 + 1):  # once it is free, it finds each of these connections closed, and nothing written
            with Wire(listener.accept()[0]) as wire:
                assert wire.ended()
    assert (ipc.exists(NAME), ipc.processes()) == (Success(False), Success(frozenset()))


def test_a_server_of_another_implementation_with_a_full_backlog_is_there(directory: Path) -> None:
    ipc = IPC(directory)
    with listening(directory) as listener, ExitStack() as clients:
        listener.listen(0)
        while True:
            client = clients.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            if client.connect_ex(str(directory / "server.sock")) == errno.EAGAIN:
                break
        assert (ipc.exists(NAME), ipc.processes()) == (Success(True), Success(frozenset({NAME})))
        found = one(directory)
        assert (found.peer.pid, found.peer.uid) == (0, os.geteuid())


@pytest.mark.parametrize("words", [b"", b"SSH-2.0-server\r\n" * 9], ids=["silence", "another protocol"])
def test_a_listener_that_ends_each_connection_is_there(directory: Path, words: bytes) -> None:
    over = threading.Event()

    def refuse() -> None:
        while not over.is_set():
            with listener.accept()[0] as accepted, suppress(BrokenPipeError):
                accepted.sendall(words)

    with listening(directory) as listener, beside(refuse):
        assert IPC(directory).exists(NAME) == Success(True)
        over.set()
        Wire.to(directory).close()


def test_the_connections_of_a_server_with_a_long_path_are_counted(directory: Path) -> None:
    deep = directory / ("d" * 100)
    deep.mkdir(mode=0o700)
    with running(deep), IPC(deep).get(NAME).unwrap():
        assert one(deep).connections == Some(1)


def test_the_connections_are_counted_where_the_path_has_spaces(directory: Path) -> None:
    spaced = directory / " a  b "
    spaced.mkdir(mode=0o700)
    with running(spaced), Wire.talking(spaced):
        assert one(spaced).connections == Some(1)


def test_stale_sockets_are_no_listeners_and_a_missing_directory_is_an_error(directory: Path) -> None:
    with listening(directory):
        left = Path(directory / f"{NAME}.sock")
        os.link(left, directory / "stale.sock")
    assert listeners(IPC(directory)) == Success(())
    assert "does not exist" in str(listeners(IPC(directory / "none")).failure())
