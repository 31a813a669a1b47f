"""Each system call of the library fails in turn, and nobody gets an exception: only values.

A child replaces the functions of the standard library by ones that fail at the chosen call.
"""

import errno
import fcntl
import os
import select
import shutil
import socket
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest
from returns.pipeline import flow
from returns.result import Result, Success

from ipcfold import IPC, Name
from ipcfold.pointfree import ask, flat_map, send
from tests.shells.children import SHELL, Channel, Child
from tests.shells.support import NAME, PATIENCE, PING, ServerProcess, leave_socket
from tests.shells.test_address import idle

ERRORS: Final = (errno.EACCES, errno.EIO, errno.EMFILE, errno.ENOENT, errno.ENOLCK, errno.ENOSPC, errno.EAGAIN, errno.ENOSYS)
# fmt: off
OF_OS: Final = [
    "access", "chmod", "close", "fchmod", "fstat", "getcwd", "listdir", "lstat", "mkdir", "open", "rename", "stat", "uname", "unlink",
]
OF_FCNTL: Final = ["fcntl", "flock", "lockf"]
OF_SOCKETS: Final = [
    "accept", "bind", "close", "connect", "getpeername", "getsockopt", "listen", "recv", "recv_into", "send", "setblocking", "setsockopt",
    "shutdown",
]
# fmt: on
NEAR: Final = 5  # frames from the library to the system call: `Path.mkdir` has some of its own


class Faults:
    """Lets one call fail, of all that the library makes."""

    def __init__(self) -> None:
        self.number = 0
        self.error = 0
        self.failed = ""
        self._calls = 0
        self._count = 0

    def choose(self, number: int, error: int) -> None:
        self.number, self.error, self.failed, self._calls = number, error, "", 0

    def strike(self, name: str) -> None:
        frame, near = sys._getframe(2), NEAR  # noqa: SLF001 - the only way to see who calls
        while near and not frame.f_code.co_filename.startswith(SHELL):
            if frame.f_back is None:
                return
            frame, near = frame.f_back, near - 1
        if not near or not self.number:
            return
        self._calls += 1
        if self._calls == self.number:
            self.failed = f"{name} at {Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
            raise OSError(self.error, os.strerror(self.error))

    def breaking(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:  # Any: of whatever function of the system
        def broken(*arguments: Any, **named: Any) -> Any:  # Any: as above
            if name == "close":
                function(*arguments, **named)  # Linux closes the file even if it reports an error
                self.strike(name)
                return None
            self.strike(name)
            return function(*arguments, **named)

        return broken

    def install(self) -> None:
        for module, names in ((os, OF_OS), (fcntl, OF_FCNTL)):
            for name in names:
                setattr(module, name, self.breaking(name, getattr(module, name)))
        faults = self

        class Socket(socket.socket):
            def __init__(self, *arguments: Any, **named: Any) -> None:  # Any: as above
                faults.strike("socket")
                super().__init__(*arguments, **named)

        for name in OF_SOCKETS:
            setattr(Socket, name, self.breaking(name, getattr(socket.socket, name)))
        socket.socket = Socket  # type: ignore[misc]  # in this child, everybody gets such sockets
        make = select.poll

        class Poll:
            def __init__(self) -> None:
                self._poll = make()
                self.register = self._poll.register
                self.poll = faults.breaking("poll", self._poll.poll)

        vars(select).update(poll=Poll)


USES: dict[str, Callable[[IPC], Result[object, object]]] = {
    "processes": lambda ipc: ipc.processes(),
    "exists": lambda ipc: ipc.exists(NAME),
    "get": lambda ipc: ipc.get(NAME).map(lambda process: process.close()),
    "wait": lambda ipc: ipc.wait(NAME, 0.0).map(lambda process: process.close()),
    "wait for nobody": lambda ipc: ipc.wait(Name("nobody"), 0.01),
    "send": lambda ipc: flow(ipc.get(NAME), flat_map(send(PING))),
    "ask": lambda ipc: flow(ipc.get(NAME), flat_map(ask(PING))),
    "ask in time": lambda ipc: flow(ipc.get(NAME), flat_map(ask(PING, PATIENCE))),
}


def broken(faults: Faults, use: Callable[[], object], prepare: Callable[[], object]) -> str:
    """What escaped, for each call that failed; empty if nothing did."""
    escaped = list[str]()
    for error in ERRORS:
        for number in count(1):
            prepare()
            faults.choose(number, error)
            try:
                result = use()
            except Exception as raised:  # noqa: BLE001 - whatever it is
                escaped.append(f"{raised!r} of {faults.failed}")
            else:
                if not isinstance(result, Result):
                    escaped.append(f"{result!r} of {faults.failed}")
            failed = faults.failed
            faults.choose(0, 0)
            if not failed:
                break
    return "; ".join(escaped)


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
def test_a_client_gets_a_value_whichever_system_call_fails(directory: Path, server: ServerProcess, use: Callable[[IPC], object]) -> None:
    def work(_: Channel) -> str:
        os.environ["IPCFOLD_DIRECTORY"] = str(directory)
        (faults := Faults()).install()
        return broken(faults, lambda: use(IPC()), lambda: None)

    with Child(work) as child:
        assert child.hear() == ""
    assert set(server.stop()) <= {"ping"}


@pytest.mark.parametrize("left", ["nothing", "a dead server's files"])
def test_a_server_gets_a_value_whichever_system_call_fails_and_the_next_one_starts(directory: Path, left: str) -> None:
    below = directory / "made" / "ipcfold"

    def prepare() -> None:
        assert IPC().listen(NAME, 0.0)(7, idle) == Success(7)
        shutil.rmtree(below)
        if left != "nothing":
            below.mkdir(mode=0o700)
            leave_socket(below / "server.sock")
            (below / "server.lock").touch()

    def work(_: Channel) -> str:
        os.environ["IPCFOLD_DIRECTORY"] = str(below)
        (faults := Faults()).install()
        return broken(faults, lambda: IPC().listen(NAME, 0.0)(0, idle), prepare)

    with Child(work) as child:
        assert child.hear() == ""


@pytest.mark.parametrize("variable", ["IPCFOLD_DIRECTORY", "XDG_RUNTIME_DIR", "HOME"])
def test_an_unusable_environment_is_a_value(directory: Path, variable: str) -> None:
    def work(_: Channel) -> str:
        for name in ("IPCFOLD_DIRECTORY", "XDG_RUNTIME_DIR", "HOME"):
            os.environ.pop(name, None)
        (faults := Faults()).install()
        uses = [lambda: IPC().exists(NAME), lambda: IPC().processes(), lambda: IPC().listen(Name("x" * 300))(0, idle)]
        told = list[str]()
        for value in (str(directory / "none" / "below"), "relative", str(directory / "file"), "/dev/null", "/proc/none"):
            os.environ[variable] = value
            told += [broken(faults, use, lambda: None) for use in uses]
        return "".join(told)

    (directory / "file").touch()
    with Child(work) as child:
        assert child.hear() == ""
