"""Resources: what happens when descriptors, places in the backlog, room on the disk or the files of a server run out or go."""

import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import monotonic

import pytest
from returns.pipeline import is_successful
from returns.result import Failure, Success

from ipcfold import IPC, DirectoryUnusable, Limits, Name, NameTaken, NoServer, SystemFailure, TimedOut
from ipcfold.local.directory import reachable
from tests.shells.children import NOBODY, Channel, Child, anybody, needs_root, serving_the_log
from tests.shells.support import NAME, PATIENCE, PING, PONG, ServerProcess, descriptors, leave_socket, python, running
from tests.shells.test_address import idle
from tests.shells.wire import RECEIVED, START, START_OK, Wire

OTHER = Name("other")
BEATING = "heartbeat=0.05"


def cpu_seconds(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def asleep(pid: int) -> None:
    """Wait until it waits for something to happen."""
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "S":
        pass


def test_a_server_out_of_descriptors_waits_and_later_accepts_every_client(directory: Path) -> None:
    with running(directory, "files=40", BEATING, heard=True) as server, Wire.talking(directory) as first:
        clients = [Wire.to(directory).write(START_OK, "ping") for _ in range(60)]
        assert server.record() == "WARNING server accepts nobody for now, and goes on trying: [Errno 24] Too many open files"
        first.ping()
        began, used = monotonic(), cpu_seconds(server.pid)
        first.expect_heartbeats(20)
        assert cpu_seconds(server.pid) - used < 0.25 * (monotonic() - began)
        first.ping()
        for wire in clients:  # as one after the other leaves, the next ones get in
            wire.expect(START, RECEIVED, "pong").close()
        with Wire.talking(directory) as late:
            late.ping()
        server.signal(signal.SIGTERM)
        assert not [record for record in server.records() if "accepts nobody" in record], "it was said before"
        assert server.carry() == ["ping"] * 63


def test_a_server_out_of_memory_drops_only_the_client_that_needs_more(directory: Path) -> None:
    begun = b"\0\3a/b" + (64 * 2**20).to_bytes(4) + b"x" * (60 * 2**20)
    with running(directory, f"memory={200 * 2**20}", BEATING, heard=True) as server, Wire.talking(directory) as first:
        first.ping()
        clients = [Wire.talking(directory) for _ in range(4)]
        dropped = 0
        for wire in clients:
            try:
                wire.stream.sendall(begun)
            except (BrokenPipeError, ConnectionResetError):
                dropped += 1
        assert dropped > 0
        assert server.record().endswith(": there is no memory left for what it sends")
        reported = 1
        while reported < dropped:  # the log counts what follows within a second
            record = server.record()
            more = re.search(r"(\d+) more clients dropped", record)
            assert more or record.endswith(": there is no memory left for what it sends")
            reported += int(more[1]) if more else 1
        first.ping()
        for wire in clients:
            wire.close()
        with Wire.talking(directory) as late:  # there is room again
            late.stream.sendall(begun)
            first.ping()
            late.expect_heartbeats(1)
        assert server.result_of_stop()["carry"] == ["ping"] * 3


FIRST_SERVER = """
import os, resource, sys
from ipcfold import IPC, Name

def idle(message, continuation, carry):
    return continuation

os.close(lowest := os.dup(0))
resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + int(sys.argv[2]), lowest + 99))
result = IPC(sys.argv[1]).listen(Name("first"), 0.01)(0, idle)
print(type(result.swap().value_or(None)).__name__, result.swap().value_or("") and getattr(result.failure(), "reason", ""))
"""


@pytest.mark.parametrize("free", range(9))
def test_without_descriptors_the_first_server_of_a_process_is_an_error(directory: Path, free: int) -> None:
    said = python("-c", FIRST_SERVER, directory, str(free)).stdout.strip()
    assert said == "NoneType" or (said.startswith("SystemFailure ") and said.endswith("Too many open files")), said


def open_files() -> list[str]:
    """The system says which files the descriptors of this process have open."""
    found = list[str]()
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return found


def test_every_verb_returns_an_error_without_descriptors(directory: Path, server: ServerProcess) -> None:
    ipc = IPC(directory)
    leave_socket(directory / "dead.sock")
    while any(link.endswith("inotify") for link in open_files()):
        pass  # a thread still closes what `wait` watched
    os.close(lowest := os.dup(0))  # the limit is one on numbers: below this one every one is taken
    seen = set[str]()
    for free in range(8):
        with descriptors(lowest + free):
            for result in (ipc.get(NAME), ipc.listen(OTHER, 0.01)(0, idle), ipc.listen(Name("dead"), 0.01)(0, idle)):
                assert is_successful(result) or isinstance(result.failure(), SystemFailure), result
                reason = str(result.swap().map(lambda error: getattr(error, "reason", "")).value_or("served"))
                seen.add(reason.rpartition(": ")[2])
            if free:  # one at a time is what looking takes
                assert (ipc.exists(NAME), ipc.processes()) == (Success(True), Success(frozenset({NAME})))
            else:
                assert ipc.processes() == Failure(DirectoryUnusable(directory, "it cannot be read: Too many open files"))
                hidden = "whether anybody listens under 'server' cannot be seen: Too many open files"
                assert ipc.exists(NAME) == Failure(DirectoryUnusable(directory, hidden))
    assert seen == {"Too many open files", "served"}
    assert ipc.listen(OTHER, 0.01)(0, idle) == Success(0)
    assert server.stop() == []


def test_processes_is_an_error_where_a_socket_cannot_be_looked_at(directory: Path) -> None:
    """Where the path is long, looking takes two descriptors: the directory is read with the one that there is."""
    (below := directory / ("x" * 120)).mkdir(0o700)
    with socket.socket(socket.AF_UNIX) as listener, reachable(below / "server.sock") as address:
        listener.bind(address)
    lowest, next_one = os.dup(0), os.dup(0)
    os.close(lowest)
    os.close(next_one)
    with descriptors(lowest + 1):
        found = IPC(below).processes(), IPC(below).exists(NAME)
    with descriptors(next_one + 1):
        dead = IPC(below).processes(), IPC(below).exists(NAME)
    hidden = DirectoryUnusable(below, "whether anybody listens under 'server' cannot be seen: Too many open files")
    assert found == (Failure(hidden), Failure(hidden))
    assert dead == (Success(frozenset()), Success(False))


def test_a_client_waits_for_a_full_backlog_no_longer_than_the_handshake(directory: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "server.sock"))
        listener.listen(0)
        waiting = list[socket.socket]()
        while not waiting or waiting[-1].connect_ex(str(directory / "server.sock")) == 0:
            waiting.append(socket.socket(socket.AF_UNIX))
            waiting[-1].setblocking(False)
        ipc = IPC(directory, limits=Limits(handshake=0.2))
        began = monotonic()
        assert ipc.get(NAME) == Failure(TimedOut(NAME, 0.2, "a place in the backlog of"))
        assert 0.2 <= monotonic() - began < PATIENCE
        assert ipc.wait(NAME, 0.3) == Failure(TimedOut(NAME, 0.3, "the server"))
        for each in waiting:
            each.close()


def test_a_server_serves_the_clients_that_came_while_it_was_stopped(directory: Path) -> None:
    with running(directory, "handshake=3.0", "connections=300") as server:
        greeted = [Wire.to(directory).expect(START) for _ in range(20)]
        asleep(server.pid)
        server.signal(signal.SIGSTOP)
        os.waitpid(server.pid, os.WUNTRACED)
        clients = [Wire.to(directory) for _ in range(200)]
        for wire in clients + greeted:
            wire.write(START_OK, "ping")
        # For longer than anybody has to greet.
        assert IPC(directory, limits=Limits(handshake=3.1)).get(NAME) == Failure(TimedOut(NAME, 3.1, "the greeting of"))
        server.signal(signal.SIGCONT)
        for wire in greeted:
            wire.expect(RECEIVED, "pong").close()
        for wire in clients:
            wire.expect(START, RECEIVED, "pong").close()
        assert server.stop() == ["ping"] * 220


@needs_root  # who would ignore the modes, so that somebody else serves
@pytest.mark.parametrize("mode", [0o500, 0o000])
def test_a_server_goes_on_when_its_directory_becomes_read_only(directory: Path, mode: int) -> None:
    os.chown(directory, NOBODY, NOBODY)
    with Child(serving_the_log(directory), user=NOBODY) as server:
        IPC(directory, trust=anybody).wait(NAME, PATIENCE).unwrap().close()
        with Wire.talking(directory) as client:
            directory.chmod(mode)
            client.expect_heartbeats(3)
            if not mode:  # else everybody still finds it
                gone = f"its socket {directory}/server.sock is gone (Permission denied), so that no new client finds it: start it again"
                assert server.hear() == f"ERROR server serves on, but {gone}"
            client.expect_heartbeats(3)
            client.ping()

            def start(_: Channel) -> str:
                return str(IPC(directory).listen(NAME, 0.01)(0, idle))

            with Child(start, user=NOBODY) as second:
                assert f"its mode {mode:04o} keeps its owner from writing to it; use a directory of your own" in second.hear()
            client.close()
        assert server.stop() == str(Success(("ping",)))
        directory.chmod(0o700)
        assert sorted(path.name for path in directory.iterdir()) == ["server.lock", "server.sock"]  # it could not remove them
        with Child(start, user=NOBODY) as third:
            assert third.hear() == str(Success(0))
    assert list(directory.iterdir()) == []


def serves_on(server: ServerProcess, client: Wire, damage: str) -> None:
    """It reports the damage once, and serves those who are there."""
    assert server.record() == f"ERROR server serves on, but {damage}"
    client.expect_heartbeats(5).ping()


def ends(server: ServerProcess, *damages: str) -> None:
    """It ends in good order, and has reported nothing else."""
    result = server.result_of_stop()
    assert result["carry"] == ["ping"]
    assert [text for text in result["log"] if text.startswith("ERROR")] == [f"ERROR server serves on, but {damage}" for damage in damages]


@contextmanager
def reporting(directory: Path, *damages: str) -> Iterator[tuple[ServerProcess, Wire]]:
    """A server with a client; it reports these damages until its end."""
    with running(directory, BEATING, heard=True) as server:
        with Wire.talking(directory) as client:
            yield server, client
        ends(server, *damages)


def mended(what: str) -> str:
    return f"WARNING server serves on, and has put back what another process removed: {what}"


def gone(directory: Path) -> str:
    return f"its socket {directory}/server.sock is gone (No such file or directory), so that no new client finds it: start it again"


def replaced(directory: Path) -> str:
    return f"something else stands at {directory}/server.sock, which new clients get to instead: end one of the two"


def unlocked(directory: Path) -> str:
    return f"its lock {directory}/server.lock was removed, so that another server may take the name: start it again"


def test_a_server_goes_on_when_its_directory_is_deleted(directory: Path) -> None:
    (below := directory / "below").mkdir(0o700)
    with reporting(below, gone(below)) as (server, client):
        below.rename(directory / "elsewhere")  # at once: between two removals the server would put something back
        shutil.rmtree(directory / "elsewhere")
        serves_on(server, client, gone(below))
        missing = DirectoryUnusable(below, "it does not exist; make it with mode 0700")
        assert IPC(below).listen(NAME)(0, idle) == IPC(below).get(NAME) == Failure(missing)
    below.mkdir(0o700)
    assert IPC(below).listen(NAME, 0.01)(0, idle) == Success(0)


def test_a_server_goes_on_when_its_directory_is_renamed(directory: Path) -> None:
    here, there = directory / "here", directory / "there"
    here.mkdir(0o700)
    with running(here, BEATING, heard=True) as server:
        with Wire.talking(here) as client:
            here.rename(there)
            serves_on(server, client, gone(here))
            assert IPC(there).get(NAME).unwrap().ask(PING) == Success(PONG)
            assert IPC(there).listen(NAME)(0, idle) == Failure(NameTaken(NAME, there / "server.sock", server.pid))
        here.mkdir(0o700)
        with running(here) as second:  # where the first one thinks it is
            assert server.record() == f"ERROR server serves on, but {replaced(here)}"
            server.signal(signal.SIGTERM)
            assert server.carry() == ["ping", "ping"]
            assert IPC(here).get(NAME).unwrap().peer.pid == second.pid
            assert second.stop() == []
    assert list(here.iterdir()) == []
    assert IPC(there).processes() == Success(frozenset())
    assert IPC(there).listen(NAME, 0.01)(0, idle) == Success(0)


@pytest.mark.parametrize(
    "replace",
    [
        pytest.param(lambda path: path.write_text("foreign"), id="file"),
        pytest.param(lambda path: path.symlink_to("elsewhere"), id="link"),
        pytest.param(leave_socket, id="socket"),
    ],
)
def test_a_server_goes_on_when_its_socket_is_replaced(directory: Path, replace: Callable[[Path], object]) -> None:
    path = directory / "server.sock"
    with reporting(directory, replaced(directory)) as (server, client):
        path.rename(directory / "elsewhere")
        replace(path)
        foreign = path.lstat()
        serves_on(server, client, replaced(directory))
        assert IPC(directory).get(NAME) == Failure(NoServer(NAME, path))
        server.expect_name_taken()
    assert os.path.samestat(path.lstat(), foreign)
    assert sorted(each.name for each in directory.iterdir()) == ["elsewhere", "server.sock"]


@contextmanager
def stopped(server: ServerProcess) -> Iterator[None]:
    """While the server is stopped, so that it sees all changes at once."""
    asleep(server.pid)
    server.signal(signal.SIGSTOP)
    os.waitpid(server.pid, os.WUNTRACED)
    yield
    server.signal(signal.SIGCONT)


@pytest.mark.parametrize("files", [("sock",), ("lock",), ("lock", "sock")], ids="-".join)
def test_a_server_puts_back_what_is_removed(directory: Path, files: tuple[str, ...]) -> None:
    what = " and ".join({"lock": "its lock", "sock": "its socket"}[file] for file in files)
    with reporting(directory) as (server, first):
        before = len(os.listdir(f"/proc/{server.pid}/fd"))
        for _ in range(3):
            with stopped(server):
                waiting = Wire.to(directory)  # in the backlog of the socket that goes
                for file in files:
                    (directory / f"server.{file}").unlink()
            assert server.record() == mended(what)
            assert IPC(directory).processes() == Success(frozenset({NAME}))
            modes = [(path.name, path.stat().st_mode & 0o777) for path in sorted(directory.iterdir())]
            assert modes == [("server.lock", 0o600), ("server.sock", 0o600)]
            server.expect_name_taken()
            waiting.write(START_OK).expect(START)
            waiting.close()
            with Wire.talking(directory) as late:
                late.expect_heartbeats(3)  # by then the server has closed the old socket
        first.expect_heartbeats(3).ping()
        assert len(os.listdir(f"/proc/{server.pid}/fd")) <= before + 1  # one for a client that has just gone
    assert list(directory.iterdir()) == []


def test_a_server_leaves_a_file_alone_that_is_in_the_place_of_its_lock(directory: Path) -> None:
    lock = directory / "server.lock"
    with reporting(directory, unlocked(directory)) as (server, client):
        lock.unlink()
        assert server.record() == mended("its lock")
        (directory / "precious").write_text("precious")
        (directory / "precious").rename(lock)
        serves_on(server, client, unlocked(directory))
    assert lock.read_text() == "precious"
    assert IPC(directory).listen(NAME, 0.01)(0, idle) == Success(0)
    assert lock.read_text() == "precious"
    lock.unlink()
    os.mkfifo(lock)
    assert IPC(directory).listen(NAME)(0, idle) == Failure(SystemFailure("lock", lock, "it is no regular file; move it away"))
    assert IPC(directory).exists(NAME) == Success(False)


def test_a_server_whose_name_another_server_has_taken_removes_none_of_its_files(directory: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(running(directory, BEATING, heard=True))
        client = stack.enter_context(Wire.talking(directory))
        with stopped(server):
            (directory / "server.sock").unlink()
            (directory / "server.lock").unlink()
            second = stack.enter_context(running(directory))
        serves_on(server, client, replaced(directory))
        client.close()
        ends(server, replaced(directory))
        assert IPC(directory).get(NAME).unwrap().ask(PING) == Success(PONG)
        second.expect_name_taken()
        assert second.stop() == ["ping"]
    assert list(directory.iterdir()) == []


@contextmanager
def tiny_disk(directory: Path, files: int) -> Iterator[Path]:
    """A file system of its own with one page of room, and so many files."""
    mount = f"mount -t tmpfs -o mode=700,size=4k,nr_inodes={files + 1} tmpfs {directory} && echo mounted && cat"
    if shutil.which("unshare") is None:
        pytest.skip("unshare of util-linux is not there")
    # In a mount namespace that goes with the process; who may look into that process gets there by its root.
    with subprocess.Popen(["unshare", "--mount", "sh", "-c", mount], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:  # noqa: S607 - wherever it is installed
        assert holder.stdout is not None
        if not holder.stdout.readline():
            pytest.skip("a file system cannot be mounted here")
        yield Path(f"/proc/{holder.pid}/root{directory}")
        assert holder.stdin is not None
        holder.stdin.close()


@pytest.mark.parametrize(("room", "action", "file"), [(0, "make the lock file", "server.lock"), (1, "listen at", "server.sock")])
def test_a_full_disk_is_an_error_and_leaves_nothing(directory: Path, room: int, action: str, file: str) -> None:
    with tiny_disk(directory, 2) as disk:
        filling = [disk / str(number) for number in range(2 - room)]
        for path in filling:
            path.touch()
        full = SystemFailure(action, disk / file, "No space left on device")
        assert IPC(disk).listen(NAME, 0.01)(0, idle) == Failure(full)
        assert sorted(disk.iterdir()) == filling
        for path in filling:
            path.unlink()
        assert IPC(disk).listen(NAME, 0.01)(0, idle) == Success(0)
        assert list(disk.iterdir()) == []


def test_a_server_goes_on_with_a_full_disk(directory: Path) -> None:
    with tiny_disk(directory, 3) as disk, running(disk, BEATING) as server:
        with pytest.raises(OSError, match="No space left on device"):
            (disk / "full").write_bytes(b"x" * 5000)
        with pytest.raises(OSError, match="No space left on device"):
            (disk / "one more").touch()
        with IPC(disk).get(NAME).unwrap() as process:
            assert process.ask(PING) == Success(PONG)
        server.expect_name_taken()
        assert server.stop() == ["ping"]
        assert list(disk.iterdir()) == [disk / "full"]
