"""Directories and paths: what cannot be used is refused with a value that says what to do, whatever is asked for."""

import contextlib
import json
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import pytest
from returns.pipeline import flow
from returns.result import Failure, Result, Success

from ipcfold import IPC, Continuation, DirectoryUnusable, Message, Name, NameTaken, NoServer, PathTooLong
from ipcfold.local.credentials import same_user
from ipcfold.local.directory import LONGEST_PATH
from ipcfold.peer import Trust
from ipcfold.pointfree import ask, flat_map
from ipcfold.testing.plugin import serving
from tests.shells.children import SHELL, Channel, Child, anybody
from tests.shells.support import NAME, PATIENCE, PING, PONG, running

if TYPE_CHECKING:
    from _typeshed import TraceFunction


def idle(message: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
    return continuation.continue_(carry)


Use = Callable[[IPC], Result[object, object]]

USES: dict[str, Use] = {
    "processes": lambda ipc: ipc.processes(),
    "exists": lambda ipc: ipc.exists(NAME),
    "get": lambda ipc: ipc.get(NAME),
    "wait": lambda ipc: ipc.wait(NAME, 0.01),
    "listen": lambda ipc: ipc.listen(NAME, 0.01)(0, idle),
}
EVERY_USE = pytest.mark.parametrize("use", USES.values(), ids=USES.keys())


def unusable(use: Use, directory: Path) -> str:
    """Why this directory cannot be used."""
    error = use(IPC(directory)).failure()
    assert isinstance(error, DirectoryUnusable)
    assert error.path == directory
    return error.reason


@EVERY_USE
def test_a_missing_directory_is_refused_and_not_made(directory: Path, use: Use) -> None:
    assert "does not exist" in unusable(use, directory / "missing")
    assert not (directory / "missing").exists()


@EVERY_USE
def test_a_path_that_is_no_directory_is_refused(directory: Path, use: Use) -> None:
    (directory / "file").touch()
    (directory / "link").symlink_to(directory)
    assert "not a directory" in unusable(use, directory / "file")
    assert "Not a directory" in unusable(use, directory / "file" / "below")
    assert "symbolic link" in unusable(use, directory / "link")
    assert "symbolic link" in str(use(IPC(directory / "link", trust=anybody)).failure())
    assert "null" in unusable(use, directory / "a\0b")


@EVERY_USE
def test_a_deleted_working_directory_is_refused(directory: Path, use: Use) -> None:
    (directory / "gone").mkdir()
    with contextlib.chdir(directory / "gone"):
        (directory / "gone").rmdir()
        assert "does not exist" in unusable(use, Path("below"))


@EVERY_USE
@pytest.mark.parametrize("mode", [0o701, 0o707, 0o710, 0o750, 0o755, 0o770, 0o777, 0o1777])
def test_a_directory_open_to_others_is_refused(directory: Path, mode: int, use: Use) -> None:
    (own := directory / "ipcfold").mkdir()
    (own / "server.sock").touch()
    own.chmod(mode)
    assert "open to others" in unusable(use, own)
    assert f"{mode:04o}" in unusable(use, own)
    assert ("chmod 0700 it, or set IPC(trust=...)" in unusable(use, own)) == (mode != 0o1777)


@EVERY_USE
@pytest.mark.parametrize("mode", [0o755, 0o1777, 0o500])
@pytest.mark.parametrize(("name", "file"), [("tmp", "server.sock"), ("ipcfold", "letter")])
def test_no_error_advises_to_close_a_directory_that_has_other_uses(directory: Path, use: Use, mode: int, name: str, file: str) -> None:
    (shared := directory / name).mkdir()
    (shared / file).touch()
    shared.chmod(mode)
    assert "chmod" not in unusable(use, shared)
    assert "use a directory of your own: make one with mode 0700, and name it in IPCFOLD_DIRECTORY" in unusable(use, shared)


@EVERY_USE
def test_a_read_only_directory_is_refused(directory: Path, use: Use) -> None:
    (own := directory / "ipcfold").mkdir(mode=0o500)
    assert "chmod 0700" in unusable(use, own)


@EVERY_USE
def test_a_directory_of_another_user_is_refused(directory: Path, use: Use) -> None:
    if os.geteuid() == 0:
        os.chown(directory, 65534, 65534)
    assert "belongs to user" in unusable(use, directory if os.geteuid() == 0 else Path("/usr"))


def test_trust_opens_the_directory_and_the_socket(directory: Path) -> None:
    directory.chmod(0o755)

    modes = list[int]()

    def look(_: Message, continuation: Continuation[int], carry: int) -> Continuation[int]:
        modes.append(stat.S_IMODE((directory / "server.sock").stat().st_mode))
        return continuation.stop(carry + 1)

    with serving(IPC(directory, trust=anybody)) as serve:
        server = serve(look, 0)
        with server.connect() as process:
            process.send(Message.text("look")).unwrap()
        assert server.stop() == Success(1)
    assert modes == [0o666]


def test_a_path_too_long_for_a_socket_works_on_linux_and_is_an_error_elsewhere(directory: Path) -> None:
    deep = directory / ("d" * 200) / ("e" * 200)
    deep.mkdir(parents=True, mode=0o700)
    ipc = IPC(deep)
    if sys.platform != "linux":
        error = Failure(PathTooLong(deep / "server.sock", LONGEST_PATH))
        assert (ipc.listen(NAME, 0.01)(0, idle), ipc.get(NAME), ipc.exists(NAME)) == (error, error, Success(False))
        return
    with running(deep) as server:
        assert ipc.processes() == Success(frozenset({NAME}))
        assert flow(NAME, ipc.get, flat_map(ask(PING))) == Success(PONG)
        assert ipc.listen(NAME)(0, idle) == Failure(NameTaken(NAME, deep / "server.sock", server.pid))
        assert server.stop() == ["ping"]
    assert list(deep.iterdir()) == []
    assert ipc.get(NAME) == Failure(NoServer(NAME, deep / "server.sock"))


@pytest.mark.skipif(sys.platform != "linux", reason="such a directory can be reached on Linux only")
def test_many_conversations_in_a_deep_directory_leave_no_descriptor_open(directory: Path) -> None:
    deep = directory / ("d" * 200)
    deep.mkdir(mode=0o700)
    names = [Name(f"server-{number}") for number in range(3)]
    ipc = IPC(deep)

    def open_files(name: Name) -> int:
        with ipc.get(name).unwrap() as process:
            process.ask(PING).unwrap()  # whoever came before is gone by now
            return len(os.listdir(f"/proc/{process.peer.pid}/fd"))

    before = len(os.listdir("/dev/fd"))
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(running(deep, name=name)) for name in names]
        at_first = [open_files(name) for name in names]
        assert ipc.processes() == Success(frozenset(names))
        for name in names:
            with ipc.get(name).unwrap() as one, ipc.wait(name, PATIENCE).unwrap() as two:
                assert [each.ask(PING) for each in (one, two)] == [Success(PONG)] * 2
            assert isinstance(ipc.listen(name)(0, idle).failure(), NameTaken)
            assert ipc.get(Name("missing")) == Failure(NoServer(Name("missing"), deep / "missing.sock"))
            assert ipc.listen(Name("own"), 0.01)(0, idle) == Success(0)
        assert [open_files(name) for name in names] == at_first
        assert [server.stop() for server in servers] == [["ping"] * 4] * len(names)
    assert len(os.listdir("/dev/fd")) == before


def test_a_name_too_long_for_a_socket_is_an_error(directory: Path) -> None:
    longest = LONGEST_PATH - len(os.fsencode(directory)) - len("/.sock")
    ipc = IPC(directory)
    fits, too_long = Name("a" * longest), Name("a" * (longest + 1))
    assert ipc.listen(fits, 0.01)(0, idle) == Success(0)
    error = PathTooLong(directory / f"{too_long}.sock", LONGEST_PATH)
    assert ipc.listen(too_long, 0.01)(0, idle) == Failure(error)
    assert ipc.get(too_long) == Failure(error)
    assert ipc.wait(too_long, 0.01) == Failure(error)
    assert ipc.exists(too_long) == Success(False)


def test_the_default_directory_is_made_by_the_first_server(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    default = directory / "made" / "by ipcfold"
    monkeypatch.setenv("IPCFOLD_DIRECTORY", str(default))
    previous = os.umask(0)
    try:
        assert IPC().processes() == Success(frozenset())
        assert IPC().exists(NAME) == Success(False)
        assert IPC().get(NAME) == Failure(NoServer(NAME, default / "server.sock"))
        assert not default.exists()
        assert IPC().listen(NAME, 0.01)(0, idle) == Success(0)
    finally:
        os.umask(previous)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (default, default.parent)] == [0o700, 0o700]


def test_a_default_directory_that_cannot_be_made_is_an_error(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (directory / "file").touch()
    monkeypatch.setenv("IPCFOLD_DIRECTORY", str(directory / "file" / "below"))
    error = IPC().listen(NAME)(0, idle).failure()
    assert isinstance(error, DirectoryUnusable)
    assert "cannot be made" in error.reason


def test_the_default_directory_is_in_the_runtime_directory_of_the_user(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IPCFOLD_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(directory))
    error = IPC().get(NAME).failure()
    assert error == NoServer(NAME, directory / "ipcfold" / "server.sock")
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert isinstance(IPC().get(Name("nobody-has-this-name")).failure(), NoServer | DirectoryUnusable)


@pytest.mark.parametrize("umask", [0, 0o022, 0o077, 0o777], ids=oct)
@pytest.mark.parametrize(("trust", "wanted"), [(same_user, 0o600), (anybody, 0o666)], ids=["by default", "with trust"])
def test_no_file_is_ever_open_to_more_users_than_trust_allows(directory: Path, umask: int, trust: Trust, wanted: int) -> None:
    def traced(_: Channel) -> str:
        seen: dict[str, list[int]] = {"lock": [], "sock": []}

        def look(frame: FrameType, _: str, __: object) -> "TraceFunction | None":
            if not frame.f_code.co_filename.startswith(SHELL):
                return None
            for path in directory.iterdir():
                with contextlib.suppress(FileNotFoundError):
                    seen[path.suffix.removeprefix(".")].append(stat.S_IMODE(path.lstat().st_mode))
            return look

        os.umask(umask)
        sys.settrace(look)
        result = IPC(directory, trust=trust).listen(NAME, 0.01)(0, idle)
        sys.settrace(None)
        assert result == Success(0)
        return json.dumps(seen)

    with Child(traced) as child:
        modes: dict[str, list[int]] = json.loads(child.hear())
    assert {suffix: seen[-1] for suffix, seen in modes.items()} == {"lock": 0o600, "sock": wanted}
    assert [mode for mode in modes["lock"] if mode & ~0o600] == []
    assert [mode for mode in modes["sock"] if mode & ~wanted] == []
