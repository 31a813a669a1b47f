"""What the system tells about those who listen."""

import os
import socket
import threading
import time
from pathlib import Path

from returns.maybe import Some
from returns.result import Success

from ipcfold import IPC, Name
from ipcfold.blocking.discovery import ServerInfo, listeners
from ipcfold.testing.plugin import Serve
from tests.shells.handlers import EMPTY, log
from tests.shells.support import NAME, PATIENCE, Wire, listening, running


def one(directory: Path) -> ServerInfo:
    (found,) = listeners(IPC(directory)).unwrap()
    return found


def test_the_process_the_user_the_time_and_the_connections(directory: Path, serve: Serve) -> None:
    before = int(time.time())
    server = serve(log, EMPTY)
    clients = list[object]()
    for count in range(4):
        found = one(directory)
        assert (found.name, found.peer.pid, found.peer.uid, found.peer.gid) == (server.name, os.getpid(), os.geteuid(), os.getegid())
        assert before <= found.since <= time.time()
        assert found.connections == Some(count)
        clients.append(server.connect())


def test_they_come_by_the_order_of_names(directory: Path) -> None:
    with running(directory, name=Name("b")) as b, running(directory, name=Name("B")) as large, running(directory, name=Name("a")) as a:
        found = listeners(IPC(directory)).unwrap()
        assert [(str(each.name), each.peer.pid) for each in found] == [("B", large.pid), ("a", a.pid), ("b", b.pid)]


def test_who_waits_to_be_accepted_is_not_connected(directory: Path) -> None:
    with running(directory) as server, Wire.talking(directory) as wire:
        os.mkfifo(directory / "fifo")
        wire.write(f"block {directory / 'fifo'}")
        fifo = os.open(directory / "fifo", os.O_WRONLY)  # which waits until the handler is at it
        with Wire.to(directory):
            assert one(directory).connections == Some(1)
        os.close(fifo)
        assert server.stop()


def test_a_server_of_another_make(directory: Path) -> None:
    def serve(listener: socket.socket) -> None:
        with Wire(listener.accept()[0]) as wire:
            wire.write("innmind/ipc:connection.start")
            while wire.read_any():
                pass

    with listening(directory) as listener:
        serving = threading.Thread(target=serve, args=(listener,))
        serving.start()
        found = one(directory)
        serving.join(PATIENCE)
    assert (found.peer.pid, found.peer.uid, found.connections) == (os.getpid(), os.geteuid(), Some(0))


def test_a_path_that_is_too_long_for_a_socket(directory: Path) -> None:
    deep = directory / ("d" * 100)
    deep.mkdir(mode=0o700)
    with running(deep), IPC(deep).get(NAME).unwrap():
        assert one(deep).connections == Some(1)


def test_paths_with_spaces(directory: Path) -> None:
    spaced = directory / " a  b "
    spaced.mkdir(mode=0o700)
    with running(spaced), Wire.talking(spaced):
        assert one(spaced).connections == Some(1)


def test_nobody_and_nowhere(directory: Path) -> None:
    with listening(directory):
        left = Path(directory / f"{NAME}.sock")
        os.link(left, directory / "stale.sock")
    assert listeners(IPC(directory)) == Success(())
    assert "does not exist" in str(listeners(IPC(directory / "none")).failure())
