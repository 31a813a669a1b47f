"""Real processes and bare sockets for the tests of shells.

`Running` is a server process. `Wire` is the other end of a stream, spoken by hand: it frames and reads bytes with
a few lines of its own, so that the library is not tested against itself.
"""

import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from ipcfold import IPC, Name

PATIENCE = 300.0  # seconds until a test gives up on something that must come: only a hang takes so long, however busy the machine is
START = "innmind/ipc:connection.start"
START_OK = "innmind/ipc:connection.start-ok"
RECEIVED = "innmind/ipc:message.received"
HEARTBEAT = "innmind/ipc:heartbeat"
CLOSE = "innmind/ipc:connection.close"
CLOSE_OK = "innmind/ipc:connection.close-ok"

NAME = Name("server")


@contextmanager
def descriptors(wanted: int) -> Iterator[None]:
    """So many open files for this process, of which shells allow 1,024 (or, on macOS, 256) unless they are asked for more."""
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before, wanted), most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))


def frame(content: str, media_type: str = "text/plain") -> bytes:
    encoded = content.encode()
    return len(media_type).to_bytes(2) + media_type.encode() + len(encoded).to_bytes(4) + encoded + b"\xce"


class Wire:
    """One end of a stream, by hand."""

    def __init__(self, stream: socket.socket) -> None:
        stream.settimeout(PATIENCE)
        self.stream = stream
        self._data = b""

    @classmethod
    def to(cls, directory: Path, name: Name = NAME) -> Self:
        stream = socket.socket(socket.AF_UNIX)
        stream.connect(str(directory / f"{name}.sock"))
        return cls(stream)

    @classmethod
    def talking(cls, directory: Path, name: Name = NAME) -> Self:
        """A client that was greeted and accepted. It accepts at once, so that it keeps any limit however busy the machine is."""
        wire = cls.to(directory, name)
        wire.write(START_OK)
        assert wire.read() == START
        return wire

    def write(self, *contents: str) -> None:
        self.stream.sendall(b"".join(map(frame, contents)))

    def read(self, count: int = 1) -> str:
        """The content of the next `count` frames, joined by commas; heartbeats are left out; "" at the end of the stream."""
        found = list[str]()
        while len(found) < count:
            content = self.read_any()
            if not content:
                break
            if content != HEARTBEAT:
                found.append(content)
        return ",".join(found)

    def read_any(self) -> str:
        """The content of the next frame, heartbeats too; "" at the end of the stream."""
        while True:
            if len(self._data) > 2:
                start = 2 + int.from_bytes(self._data[:2]) + 4
                end = start + int.from_bytes(self._data[start - 4 : start]) if len(self._data) >= start else start
                if len(self._data) > end >= start and len(self._data) >= start:
                    content, self._data = self._data[start:end].decode(), self._data[end + 1 :]
                    return content
            try:
                data = self.stream.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                return ""
            self._data += data

    def heard(self, seconds: float) -> bool:
        """Whether anything comes within that time."""
        return bool(self._data or select.select([self.stream], [], [], seconds)[0])

    def ended(self) -> bool:
        """Whether nothing but heartbeats comes any more."""
        return self.read() == ""

    def close(self) -> None:
        self.stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Running:
    """A server process, up as soon as this is made."""

    def __init__(
        self,
        directory: Path,
        name: Name = NAME,
        timeout: str = "",
        *limits: str,
        program: str = "tests.shells.serve",
        heard: bool = False,
    ) -> None:
        """With `heard` the records of its log can be waited for."""
        self.directory = directory
        self.name = name
        self.process = started(directory, name, timeout, *limits, program=program, heard=heard)
        IPC(directory).wait(name, PATIENCE).unwrap().close()

    @property
    def pid(self) -> int:
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def record(self) -> str:
        """The next record of its log: level and text."""
        assert self.process.stderr is not None
        return self.process.stderr.readline().removesuffix("\n")

    def records(self) -> list[str]:
        """All further records, until it ends."""
        assert self.process.stderr is not None
        return self.process.stderr.read().splitlines()

    def result(self) -> dict[str, object]:
        """What it printed at its end."""
        return result_of(self.process)

    def carry(self) -> list[str]:
        """The log it returned."""
        result = self.result()
        assert "error" not in result, result
        carry = result["carry"]
        assert isinstance(carry, list)
        return carry

    def stop(self) -> list[str]:
        """End it from outside; the log it returned."""
        self.signal(signal.SIGTERM)
        return self.carry()

    def result_of_stop(self) -> dict[str, object]:
        """End it from outside; all that it printed."""
        self.signal(signal.SIGTERM)
        return self.result()

    def peak_memory(self) -> int:
        """The most memory it has had, in bytes."""
        return _memory(self.pid, "VmHWM")


def _memory(pid: int, kind: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith(kind))) * 1024


def peak_memory_since() -> Callable[[], int]:
    """How many more bytes than now this process has had at most, whenever that is called."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak is the present from now on
    before = _memory(os.getpid(), "VmRSS")
    return lambda: _memory(os.getpid(), "VmHWM") - before


def started(
    directory: Path, name: Name = NAME, timeout: str = "", *limits: str, program: str = "tests.shells.serve", heard: bool = False
) -> subprocess.Popen[str]:
    """A server process that may not be up yet."""
    command = [sys.executable, "-m", program, str(directory), str(name), timeout, *limits]
    heard_at = subprocess.PIPE if heard else None
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=heard_at, text=True, cwd=Path(__file__).parents[2])


def result_of(process: subprocess.Popen[str]) -> dict[str, object]:
    """What a server process printed for itself; a child that it forked may have printed, too."""
    output, _ = process.communicate(timeout=PATIENCE)
    for line in output.splitlines():
        text, _, pid = line.rpartition(" ")
        if int(pid) == process.pid:
            result = json.loads(text)
            assert isinstance(result, dict)
            return result
    raise AssertionError(f"the server printed {output!r} and ended with {process.returncode}")


@contextmanager
def running(
    directory: Path, timeout: str = "", *limits: str, name: Name = NAME, program: str = "tests.shells.serve", heard: bool = False
) -> Iterator[Running]:
    """A server process that is killed in the end if it still runs."""
    server = Running(directory, name, timeout, *limits, program=program, heard=heard)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.communicate()


@contextmanager
def signals_every(seconds: float, handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """A SIGUSR1 to this process every so many seconds. (Not an alarm: that is how tests are timed.)"""

    def send() -> None:
        while not over.wait(seconds):
            os.kill(os.getpid(), signal.SIGUSR1)

    over = threading.Event()
    before = signal.signal(signal.SIGUSR1, handler)
    sending = threading.Thread(target=send)
    sending.start()
    try:
        yield
    finally:
        over.set()
        sending.join()
        signal.signal(signal.SIGUSR1, before)


@contextmanager
def listening(directory: Path, name: Name = NAME) -> Iterator[socket.socket]:
    """A bare socket under that name: a server spoken by hand."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / f"{name}.sock"))
        listener.listen()
        listener.settimeout(PATIENCE)
        yield listener
    (directory / f"{name}.sock").unlink(missing_ok=True)


def flood(wire: Wire, data: bytes, turn: Callable[[], object]) -> None:
    """Write until the other end has read nothing in twenty of its turns; each call of `turn` lets it take one."""
    wire.stream.setblocking(False)
    left, idle = memoryview(data), 0
    while idle < 20:
        try:
            left = left[wire.stream.send(left[:65536]) :]
            idle = 0
        except BlockingIOError:
            idle += 1
            turn()
        assert left, "it read everything"


def fifo(directory: Path) -> Path:
    path = directory / "fifo"
    os.mkfifo(path)
    return path
