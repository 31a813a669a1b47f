"""A server takes the socket that a service manager passes to it, and leaves it in its place."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from returns.result import Failure, Success

from ipcfold import IPC, Limits, Name, NameTaken
from tests.environment import PLAIN, ROOT
from tests.shells.managers import bound, managed
from tests.shells.support import NAME, PATIENCE, PING, PONG, SERVE

LISTEN = """
import os, sys
from ipcfold import IPC, Name
def handler(message, continuation, carry):
    return continuation.stop(carry + 1)
"""
SAY = LISTEN + "print(IPC(sys.argv[1]).listen(Name('server'))(0, handler), flush=True)\n"


@pytest.fixture
def passed(directory: Path) -> Iterator[socket.socket]:
    """The socket of a socket unit, which listens before any server runs and after that."""
    with closing(bound(directory / "server.sock")) as listener:
        yield listener


def test_the_first_client_is_served_that_came_before_the_server(directory: Path, passed: socket.socket) -> None:
    with ThreadPoolExecutor(1) as pool, closing(socket.socket(socket.AF_UNIX)) as early:
        early.connect(str(directory / "server.sock"))
        first = pool.submit(IPC(directory, limits=Limits(handshake=PATIENCE)).get, NAME)
        with managed("-m", SERVE, directory, NAME, sockets=[passed]) as server, first.result(PATIENCE).unwrap() as client:
            assert client.ask(PING) == Success(PONG)
            with IPC(directory).get(NAME).unwrap() as second:
                assert second.peer.pid == server.pid  # and not that of the manager, which was the first to listen
            assert (directory / "server.sock").stat().st_mode & 0o777 == 0o600
            assert IPC(directory).listen(NAME)(0, lambda _, continuation, __: continuation) == Failure(
                NameTaken(NAME, directory / "server.sock", server.pid)
            )
            server.terminate()
            output, _ = server.communicate(timeout=PATIENCE)
    assert json.loads(output.rpartition(" ")[0])["carry"] == ["ping"]
    assert sorted(path.name for path in directory.iterdir()) == ["server.sock"]


def test_a_restart_refuses_no_client(directory: Path, passed: socket.socket) -> None:
    """Clients connect all the time, while one server after the other takes the socket, serves and ends."""
    over = False

    def converse() -> int:
        served = 0
        while not over:
            with IPC(directory, limits=Limits(handshake=PATIENCE)).wait(NAME, PATIENCE).unwrap() as process:
                served += process.send(PING) == Success(process)
        return served

    folded = 0
    with ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(converse) for _ in range(4)]
        try:
            for turn in range(5):
                with managed("-m", SERVE, directory, NAME, sockets=[passed]) as server, IPC(directory).wait(NAME).unwrap() as client:
                    assert client.ask(PING, PATIENCE) == Success(PONG)
                    over = turn == 4
                    if over:
                        assert sum(each.result(PATIENCE) for each in clients)
                    server.terminate()
                    output, _ = server.communicate(timeout=PATIENCE)
                    folded += len(json.loads(output.rpartition(" ")[0])["carry"])
        finally:
            over = True
            with managed("-m", SERVE, directory, NAME, sockets=[passed]):  # if one is left that waits
                served = [each.result(PATIENCE) for each in clients]
    assert sum(served) + 5 <= folded


def test_nobody_else_takes_the_name_while_only_the_manager_listens(directory: Path, passed: socket.socket) -> None:
    found = IPC(directory, limits=Limits(handshake=0.1)).listen(NAME)(0, lambda _, continuation, __: continuation)
    assert found == Failure(NameTaken(NAME, directory / "server.sock", os.getpid()))  # who listens is this test
    assert (directory / "server.sock").is_socket()


def test_children_inherit_neither_the_variables_nor_the_socket(directory: Path, passed: socket.socket) -> None:
    source = """
import os, subprocess, sys
from ipcfold import IPC, Name
def handler(message, continuation, carry):
    said = subprocess.run(["env"], capture_output=True, text=True, close_fds=False).stdout
    held = subprocess.run(["ls", "-l", "/proc/self/fd"], capture_output=True, text=True, close_fds=False).stdout
    if os.fork() == 0:
        os._exit(os.path.exists("/proc/self/fd/3"))
    return continuation.stop(("LISTEN_" in said, held.count("socket:"), os.wait()[1]))
print(IPC(sys.argv[1]).listen(Name("server"))(None, handler), flush=True)
"""
    with managed("-c", source, directory, sockets=[passed], variables={"LISTEN_FDNAMES": "server"}) as server:
        with IPC(directory).wait(NAME, PATIENCE).unwrap() as client:
            client.send(PING)
        assert server.communicate(timeout=PATIENCE)[0] == "<Success: (False, 0, 0)>\n"


def test_a_process_takes_the_socket_again_for_its_next_server(directory: Path, passed: socket.socket) -> None:
    source = LISTEN + "for _ in range(3):\n    print(IPC(sys.argv[1]).listen(Name('server'))(0, handler), flush=True)\n"
    with managed("-c", source, directory, sockets=[passed]) as server:
        for _ in range(3):
            with IPC(directory).wait(NAME, PATIENCE).unwrap() as client:
                assert client.send(PING) == Success(client)
        assert server.communicate(timeout=PATIENCE)[0] == "<Success: 1>\n" * 3
    assert (directory / "server.sock").is_socket()


def test_servers_of_one_process_take_a_socket_each_by_its_path(directory: Path, passed: socket.socket) -> None:
    source = LISTEN + "\n".join(
        (
            "with IPC(sys.argv[1]).listen(Name('other')).start(0, handler) as other:",
            "    print(IPC(sys.argv[1]).listen(Name('server'))(10, handler), other.result(), flush=True)",
        )
    )
    with (
        closing(bound(directory / "other.sock")) as second,
        closing(socket.create_server(("127.0.0.1", 0))) as web,
        managed("-c", source, directory, sockets=[web, second, passed], variables={"LISTEN_FDNAMES": "a:b:b"}) as process,
    ):
        for name in (Name("other"), NAME):
            with IPC(directory).wait(name, PATIENCE).unwrap() as client:
                assert client.send(PING) == Success(client)
        assert process.communicate(timeout=PATIENCE)[0] == "<Success: 11> <Success: 1>\n"
        assert sorted(path.name for path in directory.iterdir()) == ["other.sock", "server.sock"]


def test_sockets_of_others_are_left_alone_with_the_variables(directory: Path) -> None:
    source = SAY + "print(sorted(name for name in os.environ if name.startswith('LISTEN_')), os.get_inheritable(3))\n"
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as web,
        managed("-c", source, directory, sockets=[web], variables={"LISTEN_FDNAMES": "web.socket"}) as process,
    ):
        with IPC(directory).wait(NAME, PATIENCE).unwrap() as client:
            client.send(PING)
        output, _ = process.communicate(timeout=PATIENCE)
    assert output == "<Success: 1>\n['LISTEN_FDNAMES', 'LISTEN_FDS', 'LISTEN_PID'] True\n"
    assert not (directory / "server.sock").exists()


def test_a_passed_socket_whose_file_is_removed_is_replaced(directory: Path, passed: socket.socket) -> None:
    """By one of the server's own, which it removes at its end."""
    with managed("-m", SERVE, directory, NAME, "heartbeat=0.05", sockets=[passed]) as server:
        with IPC(directory).wait(NAME, PATIENCE).unwrap() as client:
            assert client.ask(PING) == Success(PONG)
            (directory / "server.sock").unlink()
            with IPC(directory).wait(NAME, PATIENCE).unwrap() as second:
                assert second.ask(PING) == Success(PONG)
        server.terminate()
        server.communicate(timeout=PATIENCE)
    assert list(directory.iterdir()) == []


def a_file(directory: Path) -> int:
    return os.open(directory / "file", os.O_CREAT | os.O_RDWR)


def a_listener_on_the_network(_: Path) -> int:
    return socket.create_server(("127.0.0.1", 0)).detach()


def a_datagram_socket(directory: Path) -> int:
    return bound(directory / "server.sock", socket.SOCK_DGRAM).detach()


def an_accepted_connection(directory: Path) -> int:
    with closing(bound(directory / "server.sock")) as listener, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(directory / "server.sock"))
        return listener.accept()[0].detach()


def another_path(directory: Path) -> int:
    return bound(directory / "another.sock").detach()


def a_removed_path(directory: Path) -> int:
    descriptor = bound(directory / "server.sock").detach()
    (directory / "server.sock").unlink()
    return descriptor


@pytest.mark.parametrize(
    ("passed", "told"),
    [
        (a_file, "descriptor 3 is no socket: Socket operation on non-socket; let the service manager pass a unix socket that listens"),
        (a_listener_on_the_network, "descriptor 3 is no unix stream socket; correct the socket unit: ListenStream={path}"),
        (a_datagram_socket, "descriptor 3 is no unix stream socket; correct the socket unit: ListenStream={path}"),
        (an_accepted_connection, "descriptor 3 is a socket that does not listen; correct the socket unit: Accept=no"),
        (another_path, "descriptor 3 listens at {other}; correct the socket unit: ListenStream={path}; or set IPCFOLD_DIRECTORY "),
        (a_removed_path, "descriptor 3 listens at {path}, where it is gone; correct the socket unit: ListenStream={path}; or "),
    ],
)
def test_a_descriptor_that_cannot_be_used_is_an_error(directory: Path, passed: Callable[[Path], int], told: str) -> None:
    descriptor = passed(directory)
    try:
        for labels in ({}, {"LISTEN_FDNAMES": "server"}, {"LISTEN_FDNAMES": "server.socket"}):
            with managed("-c", SAY, directory, sockets=[descriptor], variables=labels) as process:
                output, _ = process.communicate(timeout=PATIENCE)
            path = directory / "server.sock"
            assert told.format(path=path, other=directory / "another.sock") in output
            assert f"could not take the socket that was passed for {path}: " in output
    finally:
        os.close(descriptor)


def test_a_closed_descriptor_is_an_error(directory: Path) -> None:
    source = "import os\nos.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')\nos.closerange(3, 10)\n" + SAY
    with managed("-c", source, directory) as process:
        assert "descriptor 3 is no socket" in process.communicate(timeout=PATIENCE)[0]


def test_a_socket_that_was_passed_to_the_shell_before_the_server_is_an_error(directory: Path, passed: socket.socket) -> None:
    with managed("-c", SAY, directory, sockets=[passed], variables={"LISTEN_PID": "1"}) as process:
        output, _ = process.communicate(timeout=PATIENCE)
    assert f"LISTEN_PID names process 1, and this is process {process.pid}: a shell or another program between the two has forked" in output
    assert "start this program with exec there, or name it in ExecStart itself" in output


@pytest.mark.parametrize("variables", [{"LISTEN_FDS": "x"}, {"LISTEN_FDS": ""}, {"LISTEN_FDS": "-1"}, {"LISTEN_FDS": "0"}])
def test_variables_that_announce_nothing_are_ignored(directory: Path, variables: dict[str, str]) -> None:
    source = "import os\nos.environ['LISTEN_PID'] = str(os.getpid())\n" + SAY
    with managed("-c", source, directory, variables=variables) as process, IPC(directory).wait(NAME, PATIENCE).unwrap() as client:
        client.send(PING)
        assert process.communicate(timeout=PATIENCE)[0] == "<Success: 1>\n"


ACTIVATE = shutil.which("systemd-socket-activate")


@pytest.mark.skipif(ACTIVATE is None, reason="systemd-socket-activate is not installed")
@pytest.mark.parametrize("shell", [(), ("sh", "-c", 'exec "$@"', "sh")], ids=["itself", "after exec"])
def test_systemd_starts_a_server_when_its_first_client_connects(directory: Path, shell: tuple[str, ...]) -> None:
    path = directory / "server.sock"
    command = [str(ACTIVATE), "--listen", str(path), *shell, sys.executable, "-m", SERVE, str(directory), str(NAME)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=PLAIN) as server:
        try:
            with IPC(directory, limits=Limits(handshake=PATIENCE)).wait(NAME, PATIENCE).unwrap() as client:
                assert client.ask(PING) == Success(PONG)
            server.send_signal(signal.SIGTERM)
            output, _ = server.communicate(timeout=PATIENCE)
        finally:
            server.kill()
    assert json.loads(output.rpartition(" ")[0])["carry"] == ["ping"]
    assert path.is_socket()


@pytest.mark.skipif(ACTIVATE is None, reason="systemd-socket-activate is not installed")
def test_a_shell_of_systemd_that_forks_is_named_as_the_reason(directory: Path) -> None:
    path = directory / "server.sock"
    command = [str(ACTIVATE), "--listen", str(path), "sh", "-c", '"$@"; true', "sh", sys.executable, "-m", SERVE, str(directory), str(NAME)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=PLAIN) as server:
        try:
            assert server.stderr is not None
            assert server.stderr.readline().startswith("Listening on ")
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
                output, _ = server.communicate(timeout=PATIENCE)
        finally:
            server.kill()
    assert f"LISTEN_PID names process {server.pid}, and this is process " in output
