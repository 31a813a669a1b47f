"""A service manager for the tests: it passes listening sockets to the programs that it starts, and hears what they tell it."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from ipcfold import Name
from tests.environment import PLAIN, ROOT
from tests.shells.support import PATIENCE

# The process that the manager forks puts the sockets in their places, and becomes the program.
_EXECUTE: Final = """
import fcntl, os, sys
count = int(sys.argv[1])
given = [int(each) for each in sys.argv[2:2 + count]]
passed = [fcntl.fcntl(each, fcntl.F_DUPFD, 100) for each in given]
for each in {*given}:
    os.close(each)
for number, each in enumerate(passed, 3):
    os.dup2(each, number)
    os.close(each)
os.environ.update(LISTEN_FDS=str(count), LISTEN_PID=os.environ.get("LISTEN_PID", str(os.getpid())))
os.execv(sys.executable, [sys.executable, *sys.argv[2 + count:]])
"""


@contextmanager
def managed(
    *arguments: str | Path | Name, sockets: Sequence[socket.socket | int] = (), variables: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A Python program that a service manager has started with these sockets; it is killed in the end."""
    descriptors = [each if isinstance(each, int) else each.fileno() for each in sockets]
    starting = [sys.executable, "-S", "-c", _EXECUTE, str(len(descriptors)), *map(str, descriptors)] if descriptors else [sys.executable]
    with subprocess.Popen(
        [*starting, *map(str, arguments)],
        pass_fds=descriptors,
        env={**PLAIN, **(variables or {})},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def bound(path: Path, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
    """A socket at the path, which listens if it can."""
    made = socket.socket(socket.AF_UNIX, kind)
    made.bind(str(path))
    os.chmod(path, 0o666)  # noqa: S103 - systemd's default
    if kind == socket.SOCK_STREAM:
        made.listen(64)
    return made


class Ear:
    """The socket at which a service manager is told how its services are."""

    def __init__(self, address: str) -> None:
        """An address that begins with `@` is abstract."""
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)

    def hear(self, patience: float = PATIENCE) -> str:
        """What it is told next; empty after so many seconds of silence."""
        self._socket.settimeout(patience)
        try:
            return self._socket.recv(4096).decode()
        except TimeoutError:
            return ""

    def rest(self) -> list[str]:
        """All that it was told and has not been heard."""
        self._socket.setblocking(False)
        told = list[str]()
        with suppress(BlockingIOError):
            while True:
                told.append(self._socket.recv(4096).decode())
        return told

    def close(self) -> None:
        self._socket.close()
