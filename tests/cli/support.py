"""The command as a process of its own: with pipes, and in a terminal of 80 columns and 24 rows."""

import codecs
import fcntl
import os
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO

from ipcfold import IPC, Name
from ipcfold.cli.status import Status
from tests.environment import PLAIN, ROOT
from tests.shells.support import PATIENCE

COMMAND = (sys.executable, "-m", "ipcfold")
ECHO = Name("echo")


def environment(directory: Path, **others: str) -> Mapping[str, str]:
    path = f"{Path(sys.executable).parent}:{PLAIN['PATH']}"  # where the command is
    return PLAIN | {"IPCFOLD_DIRECTORY": str(directory), "PATH": path, "TERM": "xterm", "PYTHONIOENCODING": "utf-8", **others}


def ipcfold(
    directory: Path, *arguments: str | bytes | Path, stdin: bytes = b"", stdout: IO[bytes] | int = subprocess.PIPE, **others: str
) -> subprocess.CompletedProcess[bytes]:
    """What the command wrote to its pipes, and its exit status."""
    command, variables = [*COMMAND, *arguments], environment(directory, **others)
    return subprocess.run(
        command, input=stdin, stdout=stdout, stderr=subprocess.PIPE, env=variables, cwd=ROOT, timeout=PATIENCE, check=False
    )


def printed(directory: Path, *arguments: str | bytes | Path, stdin: bytes = b"", **others: str) -> bytes:
    """What the command wrote, which succeeds and complains of nothing."""
    done = ipcfold(directory, *arguments, stdin=stdin, stdout=subprocess.PIPE, **others)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


def fails(directory: Path, *arguments: str, status: Status, says: str = "", **others: str) -> None:
    """The command fails with this status and one line, which has these words."""
    done = ipcfold(directory, *arguments, stdin=b"", stdout=subprocess.PIPE, **others)
    assert done.returncode == status, done
    assert says in complaint(done)


def complaint(done: subprocess.CompletedProcess[bytes]) -> str:
    """The one line that it wrote, which is on the standard error."""
    assert done.stdout == b"", done
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("ipcfold: ")
    return line


def started(directory: Path, *arguments: str, group: bool = False, others: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """The command, to be ended by the test; in a process group of its own, as a terminal has it, if wanted."""
    command, pipe, variables = [*COMMAND, *arguments], subprocess.PIPE, environment(directory, **(others or {}))
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, env=variables, cwd=ROOT, start_new_session=group)


def completion(directory: Path) -> Callable[..., list[str]]:
    """What bash offers for these words."""
    bash = shutil.which("bash")
    assert bash is not None
    script = ipcfold(directory, "completion", "bash").stdout.decode()
    line = 'COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=(); _ipcfold; printf "%s\\n" "${COMPREPLY[@]}"'

    def completed(*words: str) -> list[str]:
        command = [bash, "-c", f"{script}\n{line}", "bash", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE, env=environment(directory), cwd=ROOT)
        return done.stdout.split()

    return completed


@contextmanager
def echoing(
    directory: Path, *options: str, name: Name = ECHO, handler: str = "tests.cli.handlers:echo", others: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """`ipcfold listen`, up, with a handler that responds with what it was sent and counts."""
    server = started(directory, "listen", str(name), handler, *options, others=others)
    try:
        IPC(directory).wait(name, PATIENCE).unwrap().close()
        yield server
    finally:
        server.kill()
        server.communicate()


class Terminal(AbstractContextManager["Terminal"]):
    """The command in a terminal."""

    def __init__(self, directory: Path, *arguments: str, **others: str) -> None:
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = subprocess.Popen(
            [*COMMAND, *arguments], stdin=slave, stdout=slave, stderr=slave, env=environment(directory, **others), cwd=ROOT
        )
        os.close(slave)
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        self.seen = ""

    def until(self, text: str) -> str:
        """All that was shown, once the text is among it."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown and self._read(deadline):
            pass
        assert text in self.shown, self.seen
        return self.shown

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def end(self) -> tuple[int, str]:
        """The exit status, and all that was shown."""
        deadline = time.monotonic() + PATIENCE
        while self._read(deadline):
            pass
        return self.process.wait(PATIENCE), self.shown

    @property
    def shown(self) -> str:
        """Without colours and movements of the cursor."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.seen).replace("\r", "")

    def _read(self, deadline: float) -> bool:
        assert select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))[0], self.seen
        try:
            data = os.read(self._master, 65536)
        except OSError:  # as Linux ends a terminal
            data = b""
        self.seen += self._decode(data)  # a character may come in two parts
        return bool(data)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)


def in_terminal(directory: Path, *arguments: str, **others: str) -> tuple[int, str]:
    """The exit status, and what was shown."""
    with Terminal(directory, *arguments, **others) as shown:
        return shown.end()
