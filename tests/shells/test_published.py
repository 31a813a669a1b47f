"""What other programs see of a published name: cleaners, other users, other namespaces, and a system without /proc."""

import errno
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest
from returns.result import Failure, Success

from ipcfold import IPC, DirectoryUnusable, NoServer, Peer, SystemFailure, TimedOut
from ipcfold.local.claim import is_held_by
from ipcfold.local.credentials import is_known, same_user
from tests.shells.children import NOBODY, Channel, Child, Fault, anybody, as_nobody, needs_root
from tests.shells.support import NAME, PATIENCE, ServerProcess, running
from tests.shells.test_address import idle

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells this on Linux only")


@needs_linux
def test_the_kernel_lists_the_socket_under_its_name(directory: Path, server: ServerProcess) -> None:
    listed = [line.split()[-1] for line in Path("/proc/net/unix").read_text().splitlines()]
    assert str(directory / "server.sock") in listed
    assert server.stop() == []


def test_the_directory_of_a_server_is_locked_against_cleaners(directory: Path, server: ServerProcess) -> None:
    cleaner = os.open(directory, os.O_RDONLY)
    try:
        with pytest.raises(BlockingIOError):
            fcntl.flock(cleaner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert server.stop() == []
        fcntl.flock(cleaner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert IPC(directory).listen(NAME, 0.01)(0, idle) == Success(0)  # a cleaner at work keeps no server from starting
    finally:
        os.close(cleaner)


@needs_root
@pytest.mark.skipif(shutil.which("systemd-tmpfiles") is None, reason="systemd-tmpfiles is not there")
def test_systemd_tmpfiles_spares_the_socket_and_the_lock(directory: Path, tmp_path: Path) -> None:
    (own := directory / "ipcfold").mkdir(mode=0o700)
    (stale := directory / "stale").touch()
    (rules := tmp_path / "rules.conf").write_text(f"d {directory} 0700 root root 0\n")
    with running(own) as server:
        for path in (stale, own / "server.sock", own / "server.lock"):
            os.utime(path, (0, 0))
        subprocess.run(["systemd-tmpfiles", "--clean", str(rules)], check=False, timeout=PATIENCE, capture_output=True)  # noqa: S607 - wherever it is
        assert sorted(path.name for path in own.iterdir()) == ["server.lock", "server.sock"]
        assert server.stop() == []


@pytest.mark.parametrize("umask", [0o777, 0o277], ids=oct)
def test_a_server_starts_over_the_socket_that_a_killed_server_could_not_open_yet(directory: Path, umask: int) -> None:
    """As root ignores modes, another user runs this."""
    if os.geteuid() == 0:
        os.chown(directory, NOBODY, NOBODY)

    def start(_: Channel) -> str:
        os.umask(umask)
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(directory / "server.sock"))
        os.umask(0o077)
        return str(IPC(directory).listen(NAME, 0.01)(7, idle))

    with Child(start, user=NOBODY if os.geteuid() == 0 else None) as child:
        assert child.hear() == str(Success(7))


@needs_root
def test_a_client_that_may_not_reach_the_socket_is_told_so(directory: Path) -> None:
    path, ipc = directory / "server.sock", IPC(directory, trust=anybody)
    hidden = DirectoryUnusable(directory, "whether anybody listens under 'server' cannot be seen: Permission denied")
    with running(directory) as server:
        directory.chmod(0o711)
        while (told := as_nobody(lambda: ipc.exists(NAME))) == str(Success(False)):
            pass  # the socket is so new that its server may not have set the mode yet
        assert told == str(Failure(hidden))
        directory.chmod(0o600)
        assert as_nobody(lambda: ipc.get(NAME)) == str(Failure(SystemFailure("look at", path, "Permission denied")))
        assert as_nobody(lambda: ipc.wait(NAME, PATIENCE)) == str(Failure(SystemFailure("look at", path, "Permission denied")))
        assert as_nobody(lambda: ipc.exists(NAME)) == str(Failure(hidden))
        directory.chmod(0o700)
        assert server.stop() == []


def test_a_placeholder_equals_nothing(directory: Path, server: ServerProcess) -> None:
    path = directory / "server.sock"
    assert is_held_by(server.pid, path)
    assert not is_held_by(0, path)
    assert server.stop() == []


@needs_linux
@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare of util-linux is not there")
def test_the_overflow_user_is_trusted_only_where_every_user_is_mapped() -> None:
    program = "from ipcfold.local.credentials import is_known; print(is_known(0), is_known(65534), is_known(1000))"
    inside = ["unshare", "--user", "--map-root-user", sys.executable, "-c", program]
    done = subprocess.run(inside, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode:
        pytest.skip(f"there are no user namespaces here: {done.stderr}")
    assert done.stdout == "True False True\n"
    if Path("/proc/self/uid_map").read_text().split()[-1] == str(2**32 - 1):
        assert is_known(NOBODY)
        assert same_user(Peer(uid=0))


@needs_linux
@needs_root
@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare of util-linux is not there")
@pytest.mark.parametrize("umask", ["000", "022", "777"])
def test_a_server_needs_no_proc(directory: Path, umask: str) -> None:
    """A file system in the place of /proc, in a mount namespace of its own."""
    program = (
        "import os, sys; from pathlib import Path; from ipcfold import IPC, Name\n"
        "import tests.shells.test_address as address\n"
        "assert not os.path.exists('/proc/self'); os.umask(int(sys.argv[2], 8)); ipc = IPC(sys.argv[1], trust=lambda _: True)\n"
        "print(ipc.listen(Name('server'), 0.01)(7, address.idle), ipc.exists(Name('server')))\n"
    )
    script = 'mount -t tmpfs none /proc && exec "$@"'
    inside = ["unshare", "--mount", "sh", "-c", script, "sh", sys.executable, "-c", program, str(directory), umask]
    done = subprocess.run(inside, capture_output=True, text=True, timeout=PATIENCE, check=False, cwd=Path(__file__).parents[2])
    if "mount" in done.stderr:
        pytest.skip(f"nothing can be mounted here: {done.stderr}")
    assert done.stdout == f"{Success(7)} {Success(False)}\n", done.stderr


def test_a_client_that_comes_between_bind_and_listen_waits(directory: Path) -> None:
    """The server is paused before each line of the function that binds, until it listens."""
    found = list[int]()
    for line in count(1):
        with Child(lambda _: IPC(directory).listen(NAME)(0, idle), Fault(signal.SIGSTOP, line, after="_bound")) as server:
            assert server.paused()
            with socket.socket(socket.AF_UNIX) as client:
                found.append(client.connect_ex(str(directory / "server.sock")))
            if found[-1] == errno.ECONNREFUSED:
                assert IPC(directory).get(NAME) == Failure(NoServer(NAME, directory / "server.sock"))
                assert IPC(directory).wait(NAME, 0.0) == Failure(TimedOut(NAME, 0.0, "the server"))
            server.resume()
            with IPC(directory).wait(NAME, PATIENCE).unwrap() as process:
                assert process.peer.pid == server.pid
        if found[-1] == 0:
            break
    assert set(found) == {errno.ENOENT, errno.ECONNREFUSED, 0}
