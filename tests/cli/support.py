"""The command as a process of its own: with pipes, and in a terminal of 80 columns and 24 rows."""

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ipcfold import IPC, Name
from tests.environment import PLAIN
from tests.shells.support import PATIENCE

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "ipcfold")
ECHO = Name("echo")


def environment(directory: Path, **others: str) -> Mapping[str, str]:
    return PLAIN | {"IPCFOLD_DIRECTORY": str(directory), "TERM": "xterm", "PYTHONIOENCODING": "utf-8", **others}


def ipcfold(directory: Path, *arguments: str | bytes | Path, stdin: bytes = b"", **others: str) -> subprocess.CompletedProcess[bytes]:
    """What the command wrote to its pipes, and its exit status."""
    return subprocess.run(
        [*COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        env=environment(directory, **others),
        cwd=ROOT,
        timeout=PATIENCE,
        check=False,
    )


def complaint(done: subprocess.CompletedProcess[bytes]) -> str:
    """The one line that it wrote, which is on the standard error."""
    assert done.stdout == b"", done
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("ipcfold: ")
    return line


def started(directory: Path, *arguments: str, group: bool = False, others: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """The command, to be ended by the test; in a process group of its own, as a terminal has it, if wanted."""
    return subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(directory, **(others or {})),
        cwd=ROOT,
        start_new_session=group,
    )


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


class Terminal:
    """The command in a terminal."""

    def __init__(self, directory: Path, *arguments: str, **others: str) -> None:
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment(directory, **others),
            cwd=ROOT,
        )
        os.close(slave)
        self.seen = ""

    def until(self, text: str) -> str:
        """All that was shown, once the text is among it."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown and self._read(deadline):
            pass
        assert text in self.shown, self.seen
        return self.shown

    def interrupt(self) -> None:
        """What Ctrl-C does."""
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
        self.seen += data.decode(errors="replace")
        return bool(data)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)


@contextmanager
def terminal(directory: Path, *arguments: str, **others: str) -> Iterator[Terminal]:
    shown = Terminal(directory, *arguments, **others)
    try:
        yield shown
    finally:
        shown.close()


def in_terminal(directory: Path, *arguments: str, **others: str) -> tuple[int, str]:
    """The exit status, and what was shown."""
    with terminal(directory, *arguments, **others) as shown:
        return shown.end()
